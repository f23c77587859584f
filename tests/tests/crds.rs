//! What the API server says to objects of Herald's kinds: good ones it takes, bad ones it refuses with a message that
//! says what to write instead. No controller runs: these rules hold without one.

use anyhow::{Context, Result, ensure};
use herald_tests::lab::{Options, Seen, SharedLab, eventually};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, ValidationDirective};
use kube::{Client, Resource, ResourceExt};
use serde_json::{Value, json};
use std::time::Duration;

#[path = "crds/addresses.rs"]
mod addresses;
#[path = "crds/advertisements.rs"]
mod advertisements;
#[path = "crds/configs.rs"]
mod configs;
#[path = "crds/pools.rs"]
mod pools;
#[path = "crds/virtual_ips.rs"]
mod virtual_ips;

static LAB: SharedLab = SharedLab::new(|| Options { nodes: 1, herald: false, dns: false, ..Options::named("crds") });

/// How long the API server may take to serve a new definition; it takes about a second.
const SERVED_WITHIN: Duration = Duration::from_secs(20);

/// What the API server says when it takes an object.
const ACCEPTED: &str = "accepted";

/// Runs a test where the definitions are served.
async fn with_definitions(test: impl AsyncFnOnce(&Client) -> Result<()>) -> Result<()> {
    LAB.run(async |lab| {
        let client = lab.client().await?;
        let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
        for definition in herald_api::crds::all() {
            let name = definition.name_any();
            let applied = PatchParams::apply("herald-tests").force();
            definitions.patch(&name, &applied, &Patch::Apply(&definition)).await.with_context(|| name.clone())?;
            eventually(SERVED_WITHIN, &format!("{name} is served"), async || {
                let conditions =
                    definitions.get(&name).await?.status.and_then(|status| status.conditions).unwrap_or_default();
                let served = conditions.iter().any(|it| it.type_ == "Established" && it.status == "True");
                Ok(Seen::when(served, (), conditions))
            })
            .await?;
        }
        test(&client).await
    })
    .await
}

/// What the API server would say to an object: [`ACCEPTED`], or its refusal.
async fn verdict<K>(client: &Client, name: &str, spec: Value) -> Result<String>
where
    K: Resource<DynamicType = ()>,
{
    say::<K>(client, name, spec, true).await
}

/// What the API server says to an object, which is there afterwards if it was accepted.
async fn created<K>(client: &Client, name: &str, spec: Value) -> Result<String>
where
    K: Resource<DynamicType = ()>,
{
    say::<K>(client, name, spec, false).await
}

async fn say<K>(client: &Client, name: &str, spec: Value, dry_run: bool) -> Result<String>
where
    K: Resource<DynamicType = ()>,
{
    let kind = ApiResource::erase::<K>(&());
    let objects: Api<DynamicObject> = Api::all_with(client.clone(), &kind);
    let object = json!({
        "apiVersion": kind.api_version, "kind": kind.kind, "metadata": { "name": name }, "spec": spec,
    });
    let apply = PatchParams {
        dry_run,
        field_validation: Some(ValidationDirective::Strict),
        ..PatchParams::apply("herald-tests").force()
    };
    match objects.patch(name, &apply, &Patch::Apply(&object)).await {
        Ok(_) => Ok(ACCEPTED.to_owned()),
        Err(kube::Error::Api(refusal)) => Ok(refusal.message.clone()),
        Err(error) => Err(error).with_context(|| format!("the API server did not judge {} {name}", kind.kind)),
    }
}

/// Checks a verdict: it must hold all of these texts.
fn expect(what: &str, verdict: &str, texts: &[&str]) -> Result<()> {
    let missing = texts.iter().find(|text| !verdict.contains(**text));
    ensure!(missing.is_none(), "{what}: the API server should say {:?}, but says: {verdict}", missing.unwrap_or(&""));
    Ok(())
}
