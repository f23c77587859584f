//! Many hosts behind one address: nginx with host routing in front of two Services.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use herald_tests::artifacts::{INGRESS, INGRESS_CONFIGURATION, Progress, ensure_ingress};
use herald_tests::lab::topology::{CLIENT, LAN_CLIENT};
use herald_tests::lab::{Seen, eventually};
use herald_tests::scenario::caller::SOON;
use herald_tests::scenario::{Outcome, Server, Stage, service};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use serde_json::json;

use crate::on_stage;

/// The hosts; each leads to the Service of the same name.
const HOSTS: [&str; 2] = ["apples", "pears"];

#[tokio::test]
async fn two_hosts_behind_one_address_lead_to_their_own_services() -> Result<()> {
    on_stage(async |stage| {
        let image = tokio::task::spawn_blocking(|| ensure_ingress(Progress::stderr())).await??;
        stage.lab().load(&[image.archive]).await?;
        let mut pods = Vec::new();
        for host in HOSTS {
            stage.create(&service(host, json!({"type": "ClusterIP"}))).await?;
            pods.push(stage.deploy(&Server::named(host)).await?.first().map(ResourceExt::name_any).unwrap_or_default());
        }
        stage.create(&routes(stage)?).await?;
        stage.create(&proxy()?).await?;
        stage.pods_ready("proxy", 1).await?;

        let front = service("proxy", json!({"ports": [{"port": 80, "targetPort": 80}]}));
        for to in stage.offer(front).await?.iter().map(|address| SocketAddr::new(*address, 80)) {
            for client in [stage.caller(CLIENT)?, stage.caller(LAN_CLIENT)?] {
                for (host, pod) in HOSTS.iter().zip(&pods) {
                    let name = format!("{host}.example.com");
                    eventually(SOON, &format!("{name} at {to} is answered by {pod}"), async || {
                        let outcome = client.get_of(to, &name, "/hostname").await?;
                        Ok(Seen::when(outcome.answer() == Some(pod), (), outcome))
                    })
                    .await?;
                }
                let outcome = client.get_of(to, "plums.example.com", "/hostname").await?;
                ensure!(matches!(outcome, Outcome::Failed(404, _)), "no such host, and yet: {outcome}");
            }
        }
        Ok(())
    })
    .await
}

/// What an Ingress of two rules says, in nginx' words.
fn routes(stage: &Stage) -> Result<ConfigMap> {
    let mut text = "server { listen 80 default_server; listen [::]:80 default_server; return 404; }\n".to_owned();
    for host in HOSTS {
        let to = format!("http://{host}.{}.svc.cluster.local:80", stage.name());
        let rule = format!(
            "server {{ listen 80; listen [::]:80; server_name {host}.example.com; location / {{ proxy_pass {to}; }} }}\n"
        );
        text.push_str(&rule);
    }
    Ok(serde_json::from_value(json!({"metadata": {"name": "routes"}, "data": {"routes.conf": text}}))?)
}

fn proxy() -> Result<Deployment> {
    let labels = json!({"app": "proxy"});
    Ok(serde_json::from_value(json!({
        "metadata": {"name": "proxy"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {
                "terminationGracePeriodSeconds": 1,
                "containers": [{
                    "name": "nginx",
                    "image": INGRESS,
                    "imagePullPolicy": "IfNotPresent",
                    "readinessProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 1},
                    "volumeMounts": [{"name": "routes", "mountPath": INGRESS_CONFIGURATION}],
                }],
                "volumes": [{"name": "routes", "configMap": {"name": "routes"}}],
            }},
        },
    }))?)
}
