//! Entries of a pool's `spec.addresses`.

use super::*;
use herald_api::AddressPool;

async fn said_of(client: &Client, entry: &str) -> Result<String> {
    verdict::<AddressPool>(client, "lan", json!({ "addresses": [entry] })).await
}

/// Each entry with what must be said of it.
async fn check(entries: &[(&str, &str)]) -> Result<()> {
    with_definitions(async |client| {
        for (entry, text) in entries {
            expect(entry, &said_of(client, entry).await?, &["spec.addresses[0]", text])?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn every_form_of_range_is_taken() -> Result<()> {
    with_definitions(async |client| {
        for entry in [
            "192.0.2.0/24",
            "192.0.2.10-192.0.2.20",
            "192.0.2.10",
            "192.0.2.7-192.0.2.7",
            "192.0.2.255-192.0.3.0",
            "2001:db8::/64",
            "2001:DB8:0::10-2001:db8::ffff",
            "2001:db8::ffff-2001:db8:0:0:1::",
            "fdff:ffff:ffff:ffff:ffff:ffff:ffff:fff0-fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ] {
            expect(entry, &said_of(client, entry).await?, &[ACCEPTED])?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn host_bits_are_refused_with_the_corrected_form() -> Result<()> {
    check(&[
        (
            "192.0.2.1/24",
            "has host bits set: write 192.0.2.0/24 for the whole network or 192.0.2.1 for the one address",
        ),
        (
            "2001:db8::5/64",
            "has host bits set: write 2001:db8::/64 for the whole network or 2001:db8::5 for the one address",
        ),
    ])
    .await
}

#[tokio::test]
async fn a_reversed_range_is_refused_with_the_corrected_form() -> Result<()> {
    check(&[
        ("192.0.2.20-192.0.2.10", "runs backwards: write 192.0.2.10-192.0.2.20"),
        ("192.0.3.0-192.0.2.255", "runs backwards: write 192.0.2.255-192.0.3.0"),
        ("192.0.2.1-9.0.2.1", "runs backwards: write 9.0.2.1-192.0.2.1"),
        ("2001:db8::20-2001:db8::1f", "runs backwards: write 2001:db8::1f-2001:db8::20"),
        ("2001:db8:1::-2001:db8::ffff", "runs backwards: write 2001:db8::ffff-2001:db8:1::"),
        ("fd00::-2001:db8::", "runs backwards: write 2001:db8::-fd00::"),
    ])
    .await
}

#[tokio::test]
async fn a_range_of_two_families_is_refused() -> Result<()> {
    let message = "mixes IPv4 and IPv6: write one range for each family";
    check(&[("192.0.2.1-2001:db8::1", message), ("2001:db8::1-192.0.2.1", message)]).await
}

#[tokio::test]
async fn what_is_no_range_is_refused_with_the_forms_there_are() -> Result<()> {
    let message = "is not a CIDR (192.0.2.0/24), range (192.0.2.10-192.0.2.20) or address (192.0.2.10)";
    let garbage = ["lan", "192.0.2", "192.0.2.300", "192.0.2.010", "192.0.2.0/33", "192.0.2.1-", "-192.0.2.1", "-"];
    let almost =
        ["192.0.2.1 - 192.0.2.2", "192.0.2.1-192.0.2.2-192.0.2.3", "fe80::1%eth0", "192.0.2.0/24,192.0.3.0/24"];
    let entries: Vec<_> = garbage.into_iter().chain(almost).map(|entry| (entry, message)).collect();
    check(&entries).await
}

#[tokio::test]
async fn addresses_that_no_service_can_have_are_refused() -> Result<()> {
    let message =
        "holds unspecified, loopback, link-local, multicast or broadcast addresses, which no Service can have";
    let v4 = ["0.0.0.0/0", "127.0.0.1", "169.254.1.0/24", "224.0.0.1", "239.1.1.1-239.1.1.2", "255.255.255.255"];
    let v6 = ["::/0", "::1", "fe80::/64", "ff02::1"];
    let entries: Vec<_> = v4.into_iter().chain(v6).map(|entry| (entry, message)).collect();
    check(&entries).await?;
    let mapped = "is IPv4 written as IPv6: write it as IPv4";
    check(&[("::ffff:192.0.2.1", mapped), ("::FFFF:192.0.2.0/120", mapped)]).await
}
