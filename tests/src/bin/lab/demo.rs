//! `lab demo`: what Herald is for, shown on a real cluster. Here: from a pool to an address that answers; then [`trouble`].

mod trouble;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use comfy_table::{Table, presets};
use herald_tests::artifacts::Progress;
use herald_tests::lab::addresses::{POOL_V4, POOL_V6};
use herald_tests::lab::topology::{CLIENT, LAN_CLIENT, LAN_INTERFACE};
use herald_tests::lab::{Condition, Lab, Options, ProcessId, Seen, eventually};
use k8s_openapi::api::core::v1::Service;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};

use crate::Which;

/// The namespace, pool and Service of the story.
const NAME: &str = "demo";
/// Requests of the client behind the router, per family: enough to meet every replica.
const REQUESTS: usize = 20;
/// How long any step of the story may take.
const PATIENCE: Duration = Duration::from_mins(1);

#[derive(Debug, Args)]
pub(crate) struct Demo {
    #[command(flatten)]
    which: Which,
    /// Leave the lab running if it is started for this
    #[arg(long)]
    keep: bool,
}

/// What was found out about one of the Service's addresses.
struct Finding {
    address: IpAddr,
    announcer: String,
    answer: String,
    pods: usize,
}

impl Demo {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        let name = &self.which.name;
        let runs = Lab::all()?.iter().any(|(lab, condition)| lab.name() == name && *condition == Condition::Up);
        let lab = if runs {
            self.which.open()?
        } else {
            let owner = if self.keep { None } else { Some(ProcessId::own()?) };
            if !self.keep {
                Lab::end_with_this_process(name)?;
            }
            say("A cluster of three nodes, with a switch, a router and two clients, on this machine:");
            Lab::up(Options::named(name), owner, Progress::stderr()).await?
        };
        ensure!(lab.options().herald, "lab {name} was started with --without-herald; `lab down` and try again");
        let told = tell(&lab).await;
        if told.is_err() {
            lab.heal().await?;
        }
        if runs || self.keep {
            lab.kubectl(&["delete", "namespace/demo", "addresspool/demo", "--ignore-not-found", "--wait=false"])
                .await?;
            say(&format!("Lab {name} goes on. Look around: lab kubectl get vips; lab down ends it."));
        } else {
            Lab::down(name)?;
        }
        told?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn tell(lab: &Lab) -> Result<()> {
    say("\nA pool of addresses of the LAN, the one object an operator writes:\n");
    say(&format!("  kind: AddressPool\n  spec:\n    addresses:\n      - {POOL_V4}\n      - {POOL_V6}\n"));
    lab.apply(&pool()).await?;
    lab.apply(&deployment()).await?;
    lab.rolled_out(NAME, &["deployment/web"]).await?;
    say("Three web servers are ready. A dual-stack Service of type LoadBalancer for them ...");
    let services: Api<Service> = Api::namespaced(lab.client().await?, NAME);
    let created = now();
    services.create(&PostParams::default(), &serde_json::from_value(service())?).await?;
    let addresses = addresses(&services).await?;
    let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    say(&format!("... has {} after {} ms.\n", list.join(" and "), created.elapsed().as_millis()));
    let mut findings = Vec::new();
    for address in &addresses {
        findings.push(examine(lab, *address).await?);
    }
    say(&table(&findings));
    say("\nThe LAN client's own kernel asked for the addresses; the client sits behind a router, in another subnet.");
    let watched = addresses.iter().find(|address| address.is_ipv4()).context("no IPv4 address")?;
    trouble::tell(lab, *watched).await
}

async fn examine(lab: &Lab, address: IpAddr) -> Result<Finding> {
    let (asks, url) = match address {
        IpAddr::V4(_) => ("ARP", format!("http://{address}/hostname")),
        IpAddr::V6(_) => ("NDP", format!("http://[{address}]/hostname")),
    };
    say(&format!("{asks}: who has {address}?"));
    let mac = eventually(PATIENCE, &format!("{address} answers on the LAN"), async || {
        lab.exec(LAN_CLIENT, &["curl", "--silent", "--max-time", "1", &url]).await?;
        let neighbour =
            lab.exec(LAN_CLIENT, &["ip", "neigh", "show", &address.to_string(), "dev", LAN_INTERFACE]).await?;
        let mac = neighbour.stdout.split_whitespace().skip_while(|word| *word != "lladdr").nth(1).map(str::to_owned);
        Ok(mac.map_or_else(|| Seen::NotYet(neighbour.stdout), Seen::Yes))
    })
    .await?;
    let node = lab.nodes().iter().find(|node| node.addresses().mac() == mac).map_or("a stranger", |node| node.name());
    say(&format!("  {mac}, which is {node}"));
    let announcer = announcer(lab, address).await?;
    let mut pods = BTreeSet::new();
    for _ in 0..REQUESTS {
        let answer = lab.exec(CLIENT, &["curl", "--silent", "--show-error", "--fail", "--max-time", "5", &url]).await?;
        pods.insert(answer.text()?);
    }
    say(&format!("  {REQUESTS} requests from behind the router: {REQUESTS} answers, from {} pods", pods.len()));
    Ok(Finding { address, announcer, answer: format!("{mac} ({node})"), pods: pods.len() })
}

async fn addresses(services: &Api<Service>) -> Result<Vec<IpAddr>> {
    eventually(PATIENCE, "the Service has two addresses", async || {
        let status = services.get("web").await?.status;
        let ingress = status.as_ref().and_then(|status| status.load_balancer.as_ref()?.ingress.as_deref());
        let addresses: Vec<IpAddr> =
            ingress.into_iter().flatten().filter_map(|one| one.ip.as_ref()?.parse().ok()).collect();
        Ok(Seen::when(addresses.len() == 2, addresses, status))
    })
    .await
}

/// Who says of itself, in the ledger, that it announces an address.
async fn announcer(lab: &Lab, address: IpAddr) -> Result<String> {
    eventually(PATIENCE, &format!("the ledger says who announces {address}"), async || {
        let ledger = get(lab, &["virtualips"]).await?;
        let entries = ledger["items"].as_array().cloned().unwrap_or_default();
        let entry = entries.iter().find(|entry| entry["spec"]["address"] == address.to_string());
        let announcer = entry.map(|entry| entry["status"]["announcer"].clone()).unwrap_or_default();
        let text = |field: &str| announcer[field].as_str().map(str::to_owned);
        Ok(match (text("node"), text("interface")) {
            (Some(node), Some(interface)) => Seen::Yes(format!("{node} on {interface}")),
            _ => Seen::NotYet(format!("{entry:?}")),
        })
    })
    .await
}

async fn get(lab: &Lab, what: &[&str]) -> Result<Value> {
    let arguments: Vec<&str> = ["get", "-o", "json"].into_iter().chain(what.iter().copied()).collect();
    serde_json::from_str(&lab.kubectl(&arguments).await?).context("kubectl's answer is no JSON")
}

fn table(findings: &[Finding]) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["Service address", "announced by", "answers on the LAN", "from behind the router"]);
    for finding in findings {
        let reached = format!("{REQUESTS} of {REQUESTS} answered, {} pods", finding.pods);
        table.add_row([&finding.address.to_string(), &finding.announcer, &finding.answer, &reached]);
    }
    table.to_string()
}

fn pool() -> Value {
    json!({
        "apiVersion": "herald-lb.io/v1alpha1", "kind": "AddressPool", "metadata": {"name": NAME},
        "spec": {"addresses": [POOL_V4, POOL_V6]},
    })
}

fn deployment() -> Value {
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAME}},
        {
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": NAME, "name": "web"},
            "spec": {
                "replicas": 3, "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {
                        "terminationGracePeriodSeconds": 0,
                        "containers": [{
                            "name": "web", "image": herald_tests::artifacts::AGNHOST, "imagePullPolicy": "Never",
                            "args": ["netexec", "--http-port=8080"],
                            "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1},
                        }],
                    },
                },
            },
        },
    ]})
}

fn service() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"namespace": NAME, "name": "web"},
        "spec": {
            "type": "LoadBalancer", "ipFamilyPolicy": "RequireDualStack", "selector": {"app": "web"},
            "ports": [{"port": 80, "targetPort": 8080}],
        },
    })
}

fn say(line: &str) {
    println!("{line}");
}

#[expect(clippy::disallowed_methods, reason = "the story tells how long things take")]
fn now() -> Instant {
    Instant::now()
}
