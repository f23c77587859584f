//! How fast addresses answer: ARP and neighbour solicitations on the wire, and a request to a new address.
//!
//! Questions are made by scapy and both sides of each are timed where they enter the switch: nothing of Herald's own judges.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use herald_tests::lab::topology::{LAN_CLIENT, LAN_INTERFACE};
use herald_tests::lab::{Frame, Lab, Seen, eventually};
use herald_tests::scenario::{Caller, Server, Stage, service};
use serde_json::json;

use super::now;
use super::report::Figure;

/// The program that asks.
const ASK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/bin/bench/ask.py");
/// Seconds between two questions: idle, and still soon done.
const PAUSE: &str = "0.003";
/// New addresses that are reached.
const NEW_ADDRESSES: u32 = 20;

/// Asks for one address of each family many times.
pub(crate) async fn on_the_wire(lab: &Lab, questions: u32) -> Result<Vec<Figure>> {
    let stage = Stage::set(lab, "on-the-wire").await?;
    let addresses = stage.offer(service("asked", json!({}))).await?;
    let mut figures = Vec::new();
    for address in addresses {
        stage.announcer(address).await?;
        let took = answers(lab, address, questions).await?;
        let (what, target) = match address {
            IpAddr::V4(_) => ("ARP request → reply, at the switch", "p99 < 1"),
            IpAddr::V6(_) => ("neighbour solicitation → advertisement, at the switch", "p99 < 1"),
        };
        figures.push(Figure::of(what, "ms", target, took)?);
    }
    stage.strike().await?;
    Ok(figures)
}

async fn answers(lab: &Lab, address: IpAddr, questions: u32) -> Result<Vec<f64>> {
    let capture = lab.capture().await?;
    let since = wall_clock();
    let (count, address_text) = (questions.to_string(), address.to_string());
    let command = ["/usr/bin/python3", ASK, LAN_INTERFACE, &address_text, &count, PAUSE];
    lab.start(LAN_CLIENT, &command)?.finish(Duration::from_mins(2)).await?.text()?;
    let wanted = usize::try_from(questions)?;
    // The client's own kernel may ask as well.
    eventually(Duration::from_secs(10), &format!("{questions} answers for {address}"), async || {
        let took = pairs(&capture.frames(since)?, address);
        Ok(Seen::when(took.len() >= wanted, took.clone(), took.len()))
    })
    .await
}

/// The time from each question about the address to its answer, in milliseconds. Askers take turns, so that an answer belongs to
/// the one question its asker waits with, and one that is lost spoils no other.
fn pairs(frames: &[Frame], address: IpAddr) -> Vec<f64> {
    let mut asked = BTreeMap::new();
    let mut took = Vec::new();
    for frame in frames {
        match role(frame, address) {
            Some(Role::Question { asker }) => {
                asked.insert(asker, frame.at);
            }
            Some(Role::Answer { asker }) => {
                let gap = asked.remove(asker).and_then(|asked| frame.at.duration_since(asked).ok());
                took.extend(gap.map(|gap| gap.as_secs_f64() * 1e3));
            }
            None => {}
        }
    }
    took
}

/// The asker is the address that asks, and to which the answer goes.
enum Role<'a> {
    Question { asker: &'a [u8] },
    Answer { asker: &'a [u8] },
}

/// What a frame is to the address, by RFC 826 and RFC 4861; gratuitous ARP is neither.
fn role(frame: &Frame, address: IpAddr) -> Option<Role<'_>> {
    let field = |range: std::ops::Range<usize>| frame.bytes.get(range);
    match (frame.kind()?, address) {
        (0x0806, IpAddr::V4(address)) => {
            let (sender, target) = (field(28..32)?, field(38..42)?);
            match (field(20..22)?, address.octets()) {
                ([0, 1], address) if target == address && sender != address => Some(Role::Question { asker: sender }),
                ([0, 2], address) if sender == address && target != address => Some(Role::Answer { asker: target }),
                _ => None,
            }
        }
        (0x86dd, IpAddr::V6(address)) => match (field(54..55)?, field(58..59)?, field(62..78)?) {
            ([135], _, target) if target == address.octets() => Some(Role::Question { asker: field(22..38)? }),
            // Solicited: bit 6 of the flags.
            ([136], [flags], target) if flags & 0x40 != 0 && target == address.octets() => {
                Some(Role::Answer { asker: field(38..54)? })
            }
            _ => None,
        },
        _ => None,
    }
}

/// From an address in the Service's status to the first request that is answered there, and from the creation of the
/// Service to that answer. The way leads through kube-proxy, which gathers changes for up to a second.
pub(crate) async fn of_new_addresses(lab: &Lab) -> Result<Vec<Figure>> {
    let stage = Stage::set(lab, "new-addresses").await?;
    stage.deploy(&Server::named("web").replicas(2)).await?;
    let caller = Caller::on(lab, LAN_CLIENT)?;
    let (mut from_address, mut from_creation) = (Vec::new(), Vec::new());
    for number in 0..NEW_ADDRESSES {
        let name = format!("web-{number}");
        let created = now();
        let spec = json!({"ipFamilyPolicy": "SingleStack", "selector": {"app": "web"}});
        let address = stage.offer(service(&name, spec)).await?.into_iter().next().context("no address")?;
        let addressed = now();
        caller.reaches(SocketAddr::new(address, 80)).await?;
        from_address.push(addressed.elapsed().as_secs_f64() * 1e3);
        from_creation.push(created.elapsed().as_secs_f64() * 1e3);
        let services: kube::Api<k8s_openapi::api::core::v1::Service> = stage.api();
        services.delete(&name, &kube::api::DeleteParams::default()).await?;
    }
    stage.strike().await?;
    Ok(vec![
        Figure::of("address in status → first answered request, through kube-proxy", "ms", "", from_address)?,
        Figure::of("Service created → first answered request, through kube-proxy", "ms", "", from_creation)?,
    ])
}

#[expect(clippy::disallowed_methods, reason = "frames carry the time of this clock")]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}
