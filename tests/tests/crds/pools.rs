//! The other fields of a pool, and its size.

use super::*;
use herald_api::AddressPool;

/// A pool of one network with these further fields.
fn pool(mut fields: Value) -> Value {
    fields["addresses"] = json!(["192.0.2.0/24"]);
    fields
}

#[tokio::test]
async fn five_lines_are_a_pool_and_defaults_are_filled_in() -> Result<()> {
    with_definitions(async |client| {
        expect(
            "a pool",
            &created::<AddressPool>(client, "five-lines", json!({ "addresses": ["192.0.2.0/24"] })).await?,
            &[ACCEPTED],
        )?;
        let pools: Api<AddressPool> = Api::all(client.clone());
        let spec = serde_json::to_value(pools.get("five-lines").await?.spec)?;
        pools.delete("five-lines", &kube::api::DeleteParams::default()).await?;
        let expected =
            json!({ "addresses": ["192.0.2.0/24"], "autoAssign": true, "priority": 100, "advertise": "Default",
                    "probe": "BeforeUse" });
        ensure!(spec == expected, "defaults are {spec}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_largest_pool_is_taken_and_a_larger_one_refused() -> Result<()> {
    with_definitions(async |client| {
        // The dearest entries to check: every prefix length of both ends is compared.
        let entry =
            |number| format!("2001:db8:ffff:ffff:ffff:ffff:ffff:{number:x}-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff");
        let most: Vec<_> = (0..256).map(entry).collect();
        expect(
            "256 entries",
            &verdict::<AddressPool>(client, "lan", json!({ "addresses": most })).await?,
            &[ACCEPTED],
        )?;
        let more: Vec<_> = (0..257).map(|number| format!("192.0.{}.{}", number / 256, number % 256)).collect();
        let refusal = verdict::<AddressPool>(client, "lan", json!({ "addresses": more })).await?;
        expect("257 entries", &refusal, &["spec.addresses: Too many: 257: must have at most 256 items"])?;
        let refusal = verdict::<AddressPool>(client, "lan", json!({ "addresses": [] })).await?;
        expect("no entry", &refusal, &["spec.addresses", "at least 1"])
    })
    .await
}

#[tokio::test]
async fn fields_that_say_nothing_are_refused_by_name() -> Result<()> {
    with_definitions(async |client| {
        for (fields, texts) in [
            (json!({ "priority": -1 }), ["spec.priority", "greater than or equal to 0"]),
            (json!({ "probe": "Sometimes" }), ["spec.probe", "\"BeforeUse\", \"Never\""]),
            (json!({ "advertise": "Everywhere" }), ["spec.advertise", "\"Default\", \"Selected\""]),
            (
                json!({ "namespaces": ["Team_A"] }),
                ["spec.namespaces", "must hold names of namespaces: small letters, digits and dashes"],
            ),
            (json!({ "namespaces": ["a".repeat(64)] }), ["spec.namespaces[0]", "may not be more than 63 bytes"]),
            (json!({ "autoassign": false }), ["autoassign", "field not declared in schema"]),
            (json!({ "sharing": "Never" }), ["sharing", "field not declared in schema"]),
        ] {
            let what = fields.to_string();
            expect(&what, &verdict::<AddressPool>(client, "lan", pool(fields)).await?, &texts)?;
        }
        let long = "a".repeat(254);
        expect(
            "a long name",
            &verdict::<AddressPool>(client, &long, pool(json!({}))).await?,
            &["metadata.name", "no more than 253"],
        )
    })
    .await
}

#[tokio::test]
async fn selectors_are_those_of_kubernetes() -> Result<()> {
    with_definitions(async |client| {
        let values = "operators In and NotIn need at least one of values, Exists and DoesNotExist take none";
        for (selector, text) in [
            (json!({ "matchLabels": { "app.kubernetes.io/name": "web" } }), ACCEPTED),
            (
                json!({ "matchExpressions": [{ "key": "team", "operator": "NotIn", "values": ["red", "blue"] }] }),
                ACCEPTED,
            ),
            (json!({ "matchExpressions": [{ "key": "team", "operator": "Exists" }] }), ACCEPTED),
            (
                json!({ "matchLabels": { "not a key": "web" } }),
                "keys must be label keys, such as app.kubernetes.io/name",
            ),
            (
                json!({ "matchExpressions": [{ "key": "-team-", "operator": "Exists" }] }),
                "must be a label key, such as",
            ),
            (json!({ "matchExpressions": [{ "key": "team", "operator": "In" }] }), values),
            (json!({ "matchExpressions": [{ "key": "team", "operator": "Exists", "values": ["red"] }] }), values),
            (
                json!({ "matchExpressions": [{ "key": "team", "operator": "Like", "values": ["r*"] }] }),
                "\"In\", \"NotIn\"",
            ),
        ] {
            for field in ["serviceSelector", "namespaceSelector"] {
                let what = format!("{field} {selector}");
                expect(
                    &what,
                    &verdict::<AddressPool>(client, "lan", pool(json!({ field: selector.clone() }))).await?,
                    &[text],
                )?;
            }
        }
        Ok(())
    })
    .await
}
