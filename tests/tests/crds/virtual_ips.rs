//! Addresses in use: the name is the address, and stays it.

use super::*;
use herald_api::VirtualIP;

const V6_NAME: &str = "2001-0db8-0000-0000-0000-0000-0000-0010";
const NAME_RULE: &str =
    "metadata.name must be spec.address: IPv4 as it is (192.0.2.10), IPv6 with all digits and dashes";

fn unheld(address: &str) -> Value {
    json!({ "address": address, "pool": "lan", "holders": [] })
}

fn held(holder: &Value) -> Value {
    json!({ "address": "192.0.2.10", "pool": "lan", "holders": [holder] })
}

#[tokio::test]
async fn only_the_address_in_its_one_spelling_is_a_name() -> Result<()> {
    with_definitions(async |client| {
        let canonical = "must be an IPv4 or IPv6 address in its canonical form";
        for (name, address, text) in [
            ("192.0.2.10", "192.0.2.10", ACCEPTED),
            (V6_NAME, "2001:db8::10", ACCEPTED),
            ("web", "192.0.2.10", NAME_RULE),
            ("192.0.2.10", "192.0.2.11", NAME_RULE),
            ("2001-db8--10", "2001:db8::10", NAME_RULE),
            ("2001-0db8-0000-0000-0000-0000-0000-0011", "2001:db8::10", NAME_RULE),
            ("192.0.2.10", "2001:db8::10", NAME_RULE),
            (V6_NAME, "2001:DB8::10", canonical),
            (V6_NAME, "2001:db8:0::10", canonical),
            ("192.0.2.10", "192.0.2.010", canonical),
            ("192.0.2.10", "::ffff:192.0.2.10", canonical),
            ("192.0.2.10", "lan", canonical),
        ] {
            expect(
                &format!("{name} for {address}"),
                &verdict::<VirtualIP>(client, name, unheld(address)).await?,
                &[text],
            )?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_name_the_ledger_writes_is_the_name_the_api_server_wants() -> Result<()> {
    with_definitions(async |client| {
        for address in ["192.0.2.10", "2001:db8::10", "fd00:1:22:333:4444:5:66:777", "2001:db8:0:0:1::"] {
            let vip = herald_core::address::Vip::new(address.parse()?)?;
            let entry = herald_core::allocation::LedgerEntry { pool: "lan".into(), holder: None };
            let object = herald_api::convert::ledger::object(vip, &entry);
            let spec = serde_json::to_value(&object.spec)?;
            expect(address, &verdict::<VirtualIP>(client, &object.name_any(), spec).await?, &[ACCEPTED])?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_address_is_created_once_and_never_changes() -> Result<()> {
    with_definitions(async |client| {
        let objects: Api<VirtualIP> = Api::all(client.clone());
        let spec = unheld("192.0.2.99");
        expect("an address", &created::<VirtualIP>(client, "192.0.2.99", spec.clone()).await?, &[ACCEPTED])?;
        let again = VirtualIP::new("192.0.2.99", serde_json::from_value(spec)?);
        let twice = objects.create(&kube::api::PostParams::default(), &again).await;
        let other = verdict::<VirtualIP>(client, "192.0.2.99", unheld("192.0.2.98")).await?;
        let moved = json!({ "address": "192.0.2.99", "pool": "dmz", "holders": [] });
        let moved = verdict::<VirtualIP>(client, "192.0.2.99", moved).await?;
        objects.delete("192.0.2.99", &kube::api::DeleteParams::default()).await?;
        let refused = matches!(&twice, Err(kube::Error::Api(status)) if status.is_already_exists());
        ensure!(refused, "a second create gives {twice:?}");
        expect("another address", &other, &["spec.address", "is immutable: the object is the address"])?;
        expect("another pool", &moved, &[ACCEPTED])
    })
    .await
}

#[tokio::test]
async fn a_holder_is_one_service_with_real_ports() -> Result<()> {
    with_definitions(async |client| {
        let web =
            json!({ "namespace": "default", "name": "web", "uid": "u1", "ports": [{ "protocol": "TCP", "port": 80 }] });
        let with = |field: &str, value: Value| {
            let mut holder = web.clone();
            holder[field] = value;
            held(&holder)
        };
        for (spec, texts) in [
            (held(&web), [ACCEPTED, ACCEPTED]),
            (json!({ "address": "192.0.2.10", "pool": "lan", "holders": [web, web] }), ["spec.holders", "at most 1"]),
            (with("name", json!("a".repeat(64))), ["spec.holders[0].name", "may not be more than 63 bytes"]),
            (with("uid", json!("")), ["spec.holders[0].uid", "at least 1 chars"]),
            (with("ports", json!([{ "protocol": "ICMP", "port": 1 }])), ["protocol", "\"TCP\", \"UDP\", \"SCTP\""]),
            (with("ports", json!([{ "protocol": "TCP", "port": 0 }])), ["port", "greater than or equal to 1"]),
            (with("ports", json!([{ "protocol": "TCP", "port": 65536 }])), ["port", "less than or equal to 65535"]),
        ] {
            let what = spec.to_string();
            expect(&what, &verdict::<VirtualIP>(client, "192.0.2.10", spec).await?, &texts)?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_address_is_pinned_to_a_node_and_not_to_nothing() -> Result<()> {
    with_definitions(async |client| {
        let with = |fields: &Value| {
            let mut spec = unheld("192.0.2.10");
            spec.as_object_mut().expect("it is an object").extend(fields.as_object().cloned().unwrap_or_default());
            spec
        };
        let refusal = "pinned needs preferredNode: name the node that the address is to stay on";
        for (fields, text) in [
            (json!({ "preferredNode": "node-1" }), ACCEPTED),
            (json!({ "preferredNode": "node-1", "pinned": true }), ACCEPTED),
            (json!({ "preferredNode": "node-1", "pinned": false }), ACCEPTED),
            (json!({ "pinned": false }), ACCEPTED),
            (json!({ "pinned": true }), refusal),
            (json!({ "preferredNode": null, "pinned": true }), refusal),
            (json!({ "preferredNode": "", "pinned": true }), "spec.preferredNode"),
        ] {
            expect(&fields.to_string(), &verdict::<VirtualIP>(client, "192.0.2.10", with(&fields)).await?, &[text])?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_speakers_say_of_an_address_is_taken_and_what_can_not_be_is_refused() -> Result<()> {
    with_definitions(async |client| {
        let objects: Api<VirtualIP> = Api::all(client.clone());
        expect("an address", &created::<VirtualIP>(client, "192.0.2.97", unheld("192.0.2.97")).await?, &[ACCEPTED])?;
        let moved = |gap: &str| {
            json!({ "lastMove": { "from": "node-1", "to": "node-2", "at": "2026-11-21T12:00:00.123456Z",
                                  "cause": "Takeover", "gap": gap } })
        };
        let verified =
            |mac: &str| json!({ "verified": { "at": "2026-11-21T12:00:00.123456Z", "by": "node-3", "mac": mac } });
        let mut verdicts = Vec::new();
        for (status, text) in [
            (moved("0.512s"), ACCEPTED),
            (moved("3s"), ACCEPTED),
            (moved("half a second"), "status.lastMove.gap"),
            (moved("-1s"), "status.lastMove.gap"),
            (verified("52:54:00:aa:bb:01"), ACCEPTED),
            (verified("52-54-00-AA-BB-01"), "status.verified.mac"),
        ] {
            let patch = Patch::Merge(json!({ "status": status }));
            let said = match objects.patch_status("192.0.2.97", &PatchParams::default(), &patch).await {
                Ok(_) => ACCEPTED.to_owned(),
                Err(error) => error.to_string(),
            };
            verdicts.push((status.to_string(), said, text));
        }
        objects.delete("192.0.2.97", &kube::api::DeleteParams::default()).await?;
        verdicts.iter().try_for_each(|(what, said, text)| expect(what, said, &[text]))
    })
    .await
}
