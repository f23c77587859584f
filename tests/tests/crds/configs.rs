//! The one object that holds for the whole cluster.

use super::*;
use herald_api::HeraldConfig;

#[tokio::test]
async fn there_is_one_configuration_and_its_name_is_default() -> Result<()> {
    with_definitions(async |client| {
        let refusal = "metadata.name must be default: there is one HeraldConfig in a cluster";
        for (name, text) in [("default", ACCEPTED), ("other", refusal), ("default-2", refusal)] {
            expect(name, &verdict::<HeraldConfig>(client, name, json!({})).await?, &[text])?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn liveness_is_one_of_three_words_and_balanced_if_not_given() -> Result<()> {
    with_definitions(async |client| {
        for (spec, text) in [
            (json!({ "liveness": "balanced" }), ACCEPTED),
            (json!({ "liveness": "fast" }), ACCEPTED),
            (json!({ "liveness": "virtual" }), ACCEPTED),
            (json!({ "liveness": "Fast" }), "\"balanced\", \"fast\", \"virtual\""),
            (json!({ "liveness": "100ms" }), "spec.liveness"),
        ] {
            expect(&spec.to_string(), &verdict::<HeraldConfig>(client, "default", spec).await?, &[text])?;
        }
        expect("no field", &created::<HeraldConfig>(client, "default", json!({})).await?, &[ACCEPTED])?;
        let configs: Api<HeraldConfig> = Api::all(client.clone());
        let spec = serde_json::to_value(configs.get("default").await?.spec)?;
        configs.delete("default", &kube::api::DeleteParams::default()).await?;
        ensure!(spec == json!({ "liveness": "balanced" }), "defaults are {spec}");
        Ok(())
    })
    .await
}
