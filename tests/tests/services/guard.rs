//! What an address does with everything that no Service serves: pings answered, the rest refused at once, and nothing
//! that ever leaves a node again.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Result, ensure};
use herald_tests::lab::topology::{CLIENT, LAN_CLIENT};
use herald_tests::lab::{Frame, Seen, eventually};
use herald_tests::scenario::call::{ask, get};
use herald_tests::scenario::caller::SOON;
use herald_tests::scenario::server::HTTP_PORT;
use herald_tests::scenario::wire::{asked_for, destination, is_neighbour_discovery, redirected, sctp_init};
use herald_tests::scenario::{Outcome, Server, Stage, service};
use serde_json::{Value, json};

use crate::{LAB, on_stage};

/// Less than the second after which a SYN is sent again: what ends within it was refused at the first knock.
const AT_ONCE: Duration = Duration::from_millis(900);

/// A port that no Service of these tests has.
const UNSERVED: u16 = 4711;

#[tokio::test]
async fn echo_requests_are_answered() -> Result<()> {
    on_stage(async |stage| {
        for address in served(stage).await? {
            for host in [CLIENT, LAN_CLIENT] {
                ensure!(stage.caller(host)?.pings(address).await?, "{address} does not answer the ping of {host}");
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_port_nobody_serves_is_refused_at_once_and_nothing_leaks() -> Result<()> {
    without_leaks(async |stage, addresses| {
        for address in addresses {
            let to = SocketAddr::new(*address, UNSERVED);
            for host in [CLIENT, LAN_CLIENT] {
                let caller = stage.caller(host)?;
                let tcp = caller.there(move || get(to, None, "/", AT_ONCE)).await?;
                ensure!(tcp == Outcome::Refused, "TCP {to} from {host}: {tcp}");
                let udp = caller.there(move || ask(to, "hostname", AT_ONCE)).await?;
                ensure!(udp == Outcome::Refused, "UDP {to} from {host}: {udp}");
                // The same number is served by TCP alone.
                let served = SocketAddr::new(*address, 80);
                let udp = caller.there(move || ask(served, "hostname", AT_ONCE)).await?;
                ensure!(udp == Outcome::Refused, "UDP {served} from {host}: {udp}");
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn sctp_that_nobody_serves_is_refused_by_icmp_and_nothing_leaks() -> Result<()> {
    without_leaks(async |stage, addresses| {
        for address in addresses {
            // Port unreachable: RFC 792 and RFC 4443, 3.1.
            let refused = if address.is_ipv4() { "icmp 3/3" } else { "icmp 1/4" };
            for host in [CLIENT, LAN_CLIENT] {
                let answer = sctp_init(stage.lab(), host, *address, UNSERVED).await?;
                ensure!(answer.as_deref() == Some(refused), "SCTP {address} from {host}: {answer:?}, not {refused:?}");
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn sctp_that_a_service_serves_reaches_its_pod() -> Result<()> {
    on_stage(async |stage| {
        stage.deploy(&Server::named("web")).await?;
        let ports = json!({"ports": [
            {"name": "http", "port": 80, "targetPort": HTTP_PORT},
            {"name": "sctp", "port": 80, "targetPort": HTTP_PORT, "protocol": "SCTP"},
        ]});
        for address in stage.offer(service("web", ports)).await? {
            // The pod's kernel says that it has no such protocol, or, if it has, no such server.
            let from_pod = if address.is_ipv4() { "icmp 3/2" } else { "icmp 4/1" };
            for host in [CLIENT, LAN_CLIENT] {
                eventually(SOON, &format!("SCTP {address} from {host} is answered by the pod"), async || {
                    let answer = sctp_init(stage.lab(), host, address, 80).await?;
                    let answered = [Some(from_pod), Some("sctp abort")].contains(&answer.as_deref());
                    Ok(Seen::when(answered, (), answer))
                })
                .await?;
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_service_without_endpoints_is_refused() -> Result<()> {
    on_stage(async |stage| {
        let addresses = served(stage).await?;
        stage.scale("web", 0).await?;
        for address in addresses {
            let to = SocketAddr::new(address, 80);
            for host in [CLIENT, LAN_CLIENT] {
                let caller = stage.caller(host)?;
                let what = format!("{to} is refused to {host}");
                // kube-proxy refuses by ICMP at once; on wires without length it finds the client's socket still locked
                // by its own SYN, so that the client may learn of it only at the second SYN.
                eventually(SOON, &what, async || {
                    let outcome = caller.get(to, "/").await?;
                    Ok(Seen::when(outcome == Outcome::Refused, (), outcome))
                })
                .await?;
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn no_interface_of_a_node_has_the_address() -> Result<()> {
    on_stage(async |stage| {
        let addresses = served(stage).await?;
        for node in stage.lab().nodes() {
            let said = stage.caller(node.name())?.run(&["ip", "-j", "addr"]).await?;
            let interfaces: Vec<Value> = serde_json::from_str(&said)?;
            let held: Vec<IpAddr> = interfaces
                .iter()
                .flat_map(|interface| interface["addr_info"].as_array().cloned().unwrap_or_default())
                .filter_map(|address| address["local"].as_str()?.parse().ok())
                .collect();
            ensure!(
                held.contains(&node.addresses().v4().into()),
                "{}: not even its own address in {held:?}",
                node.name()
            );
            for address in &addresses {
                ensure!(!held.contains(address), "{} has {address} on an interface", node.name());
            }
        }
        Ok(())
    })
    .await
}

/// The addresses of a Service that answers, so that all rules are in place.
async fn served(stage: &Stage) -> Result<Vec<IpAddr>> {
    stage.deploy(&Server::named("web")).await?;
    let addresses = stage.offer(service("web", json!({}))).await?;
    for address in &addresses {
        for host in [CLIENT, LAN_CLIENT] {
            stage.caller(host)?.reaches(SocketAddr::new(*address, 80)).await?;
        }
    }
    Ok(addresses)
}

/// Plays a scenario that sends to addresses what nobody serves, then looks at all that was on the LAN: only clients and
/// the router sent anything to the addresses, no node asked for one that it announces itself, and none redirected anybody.
async fn without_leaks(scenario: impl AsyncFnOnce(&Stage, &[IpAddr]) -> Result<()>) -> Result<()> {
    LAB.run(async |lab| {
        let stage = Stage::for_test(lab).await?;
        let addresses = served(&stage).await?;
        let mut announcers = Vec::new();
        for address in &addresses {
            announcers.push((*address, stage.announcer(*address).await?.mac));
        }
        scenario(&stage, &addresses).await?;
        // What clients sent last is in the capture: so is everything before.
        let last = stage.caller(LAN_CLIENT)?;
        for address in &addresses {
            ensure!(last.pings(*address).await?, "{address} does not answer any more");
        }
        let nodes: Vec<String> = lab.nodes().iter().map(|node| node.addresses().mac()).collect();
        let frames = eventually(SOON, "the clients' own frames are captured", async || {
            let frames = lab.frames()?;
            let seen = addresses.iter().all(|address| frames.iter().any(|frame| destination(frame) == Some(*address)));
            Ok(Seen::when(seen, frames, "not all addresses"))
        })
        .await?;
        for frame in frames.iter().filter(|frame| nodes.contains(&source(frame))) {
            let to = destination(frame).filter(|to| addresses.contains(to));
            ensure!(
                to.is_none() || is_neighbour_discovery(frame),
                "{} sent a packet to {to:?}: {:02x?}",
                source(frame),
                frame.bytes
            );
            let asks = asked_for(frame).is_some_and(|to| announcers.contains(&(to, source(frame))));
            ensure!(!asks, "{} asks who has the address that it announces: {:02x?}", source(frame), frame.bytes);
            let about = redirected(frame).filter(|about| addresses.contains(about));
            ensure!(about.is_none(), "{} sent a redirect about {about:?}: {:02x?}", source(frame), frame.bytes);
        }
        stage.strike().await
    })
    .await
}

fn source(frame: &Frame) -> String {
    frame.source().unwrap_or_default().map(|byte| format!("{byte:02x}")).join(":")
}
