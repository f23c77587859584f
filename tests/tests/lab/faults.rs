//! Each fault breaks what its name says and nothing else, and healing mends it.

use std::time::Duration;

use anyhow::{Result, ensure};
use herald_tests::lab::topology::LAN_CLIENT;
use herald_tests::lab::{Lab, OneWay, STRANGER_MAC, Seen, eventually};
use herald_tests::scenario::wire::{asserted, who_has};

use super::LAB;
use super::web::{self, PORT};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_node_cut_from_the_lan_is_silent_there_but_its_kubelet_still_answers() -> Result<()> {
    LAB.run_alone(async |lab| {
        let servers = web::servers(lab).await?;
        lab.cut_lan("node-2")?;
        ensure!(!pings(lab, LAN_CLIENT, "192.0.2.12").await?, "a node without LAN answers");
        ensure!(pings(lab, LAN_CLIENT, "192.0.2.13").await?, "another node has lost the LAN, too");
        let carrier = lab.exec("node-2", &["ip", "link", "show", "eth0"]).await?.text()?;
        ensure!(carrier.contains("NO-CARRIER"), "the node still has a carrier: {carrier}");
        let kubelet = lab.kubectl(&["exec", "-n", web::NAMESPACE, &servers["node-2"].pod, "--", "hostname"]).await?;
        assert_eq!(kubelet.trim(), servers["node-2"].pod);
        lab.heal().await?;
        answers_again(lab, "192.0.2.12").await
    })
    .await
}

#[tokio::test]
async fn a_node_cut_from_the_api_server_still_serves_on_the_lan() -> Result<()> {
    LAB.run_alone(async |lab| {
        let servers = web::servers(lab).await?;
        lab.cut_api("node-2")?;
        let api = ["curl", "--silent", "--insecure", "--max-time", "1", "https://10.200.0.1:6443/livez"];
        ensure!(!lab.exec("node-2", &api).await?.is_ok(), "the API server is still reached");
        ensure!(lab.exec("node-1", &api).await?.is_ok(), "another node does not reach the API server either");
        let address = servers["node-2"].addresses[0].to_string();
        assert_eq!(web::get(lab, "node-1", &address, PORT).await?, servers["node-2"].pod);
        lab.heal().await?;
        ensure!(lab.exec("node-2", &api).await?.is_ok(), "healed, and the API server is still not reached");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_node_without_power_runs_nothing_and_comes_back_with_its_pods() -> Result<()> {
    LAB.run_alone(async |lab| {
        web::servers(lab).await?;
        let node = lab.node("node-3")?;
        let before = node.room().processes()?;
        ensure!(before.iter().any(|one| one.command == "agnhost"), "pods are among its processes: {before:?}");
        lab.power_off("node-3").await?;
        let left: Vec<_> = before.iter().filter(|one| one.id.lives()).collect();
        ensure!(left.is_empty(), "these outlived the loss of power: {left:?}");
        ensure!(!node.has_power() && !pings(lab, LAN_CLIENT, "192.0.2.13").await?, "it still answers");

        lab.heal().await?;
        answers_again(lab, "192.0.2.13").await?;
        eventually(Duration::from_mins(1), "the web server of node-3 serves again", async || {
            let servers = web::servers(lab).await?;
            let address = servers["node-3"].addresses[0].to_string();
            let answer = web::get(lab, "node-1", &address, PORT).await?;
            Ok(Seen::when(answer == servers["node-3"].pod, (), answer))
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_one_way_cable_keeps_its_carrier_and_carries_one_way_only() -> Result<()> {
    LAB.run_alone(async |lab| {
        for (left, from_node, nobody) in [(OneWay::Mute, 0, "192.0.2.98"), (OneWay::Deaf, 1, "192.0.2.99")] {
            lab.cut_one_way("node-2", left)?;
            let carrier = lab.exec("node-2", &["ip", "link", "show", "eth0"]).await?.text()?;
            ensure!(!carrier.contains("NO-CARRIER"), "the carrier is gone: {carrier}");
            let since = lab.frames()?.last().map(|frame| frame.at);
            // It asks for a neighbour that it can't know. (One that it asked for in vain a moment ago it may not ask for.)
            let asks = ["ping", "-c", "1", "-W", "1", nobody];
            ensure!(!lab.exec("node-2", &asks).await?.is_ok(), "nobody has this address");
            ensure!(!pings(lab, LAN_CLIENT, "192.0.2.12").await?, "{left:?}: an answer takes both ways");
            let questions = lab.frames()?.into_iter().filter(|frame| {
                Some(frame.at) > since
                    && frame.source() == Some([2, 0, 0x5e, 0x10, 0, 2])
                    && frame.kind() == Some(0x0806)
            });
            let questions = questions.count();
            ensure!(questions.min(1) == from_node, "{left:?}: {questions} of its questions entered the switch");
            lab.heal().await?;
            answers_again(lab, "192.0.2.12").await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_stranger_answers_for_its_address_until_it_is_healed_away() -> Result<()> {
    LAB.run_alone(async |lab| {
        for address in ["192.0.2.240", "2001:db8:1::1:240"] {
            let address = address.parse()?;
            ensure!(who_has(lab, address).await?.is_empty(), "somebody has {address} already");
            lab.let_stranger_have(address)?;
            eventually(SOON, "the stranger answers", async || {
                let macs = who_has(lab, address).await?;
                Ok(Seen::when(macs == [STRANGER_MAC], (), macs))
            })
            .await?;
            let told = lab.frames()?.into_iter().any(|frame| asserted(&frame).is_some_and(|one| one.to_all));
            ensure!(told, "it said to nobody that it has {address}");
            lab.heal().await?;
            ensure!(who_has(lab, address).await?.is_empty(), "{address} answers still");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_api_server_ends_and_comes_back_with_all_it_knew() -> Result<()> {
    LAB.run_alone(async |lab| {
        web::servers(lab).await?;
        lab.stop_api_server().await?;
        ensure!(lab.kubectl(&["get", "nodes"]).await.is_err(), "the API server still answers");
        lab.heal().await?;
        let nodes = lab.kubectl(&["get", "nodes", "--no-headers"]).await?;
        ensure!(nodes.lines().count() == lab.nodes().len(), "{nodes}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_lossy_link_loses_about_as_many_frames_as_asked() -> Result<()> {
    LAB.run_alone(async |lab| {
        lab.lose_frames("node-1", 30.0)?;
        let flood = ["ping", "-q", "-c", "400", "-i", "0.002", "-W", "1", "192.0.2.11"];
        let report = lab.exec(LAN_CLIENT, &flood).await?.stdout;
        // Lost on the way there or back: 1 - 0.7 * 0.7 = 51 %, of 400 with a standard deviation of 2.5 %.
        let lost = loss(&report).expect(&report);
        ensure!((35.0..=67.0).contains(&lost), "30 % each way lost {lost} %");
        lab.heal().await?;
        let report = lab.exec(LAN_CLIENT, &flood).await?.stdout;
        assert_eq!(loss(&report), Some(0.0), "{report}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_frozen_process_answers_nobody_until_it_is_healed() -> Result<()> {
    LAB.run_alone(async |lab| {
        let servers = web::servers(lab).await?;
        let address = servers["node-1"].addresses[0].to_string();
        lab.freeze("node-1", "agnhost")?;
        ensure!(web::get(lab, "node-2", &address, PORT).await.is_err(), "a frozen server answers");
        lab.heal().await?;
        eventually(SOON, "the server answers again", async || {
            Ok(Seen::Yes(web::get(lab, "node-2", &address, PORT).await?))
        })
        .await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_killed_process_is_another_one_afterwards() -> Result<()> {
    LAB.run_alone(async |lab| {
        web::servers(lab).await?;
        let killed = lab.processes("node-2", "agnhost")?;
        lab.kill("node-2", "agnhost")?;
        eventually(SOON, "the kubelet starts the server again", async || {
            let now = lab.processes("node-2", "agnhost")?;
            Ok(Seen::when(now.iter().all(|process| !killed.contains(process)), (), now))
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_starved_process_gets_the_share_of_a_cpu_it_is_left() -> Result<()> {
    LAB.run_alone(async |lab| {
        let servers = web::servers(lab).await?;
        let burn = ["exec", "-n", web::NAMESPACE, &servers["node-1"].pod, "--", "sh", "-c", BURN];
        lab.starve("node-1", "agnhost", 2.0)?;
        let starved = throttled(&lab.kubectl(&burn).await?)?;
        lab.heal().await?;
        let fed = throttled(&lab.kubectl(&burn).await?)?;
        ensure!(starved > 0 && fed == 0, "stopped short of CPU {starved} times starved, {fed} times fed");
        Ok(())
    })
    .await
}

/// Some hundredths of a second of computing in a container; says how often its quota had stopped it before and after.
const BURN: &str = "count() { cat /sys/fs/cgroup/cpu.stat /sys/fs/cgroup/cpu/cpu.stat 2>/dev/null | grep nr_throttled; }; \
                    count; i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; count";

fn throttled(report: &str) -> Result<u64> {
    let counts = report.lines().filter_map(|line| line.split(' ').nth(1)?.parse().ok()).collect::<Vec<u64>>();
    let [before, after] = counts[..] else { anyhow::bail!("not two counts: {report}") };
    Ok(after - before)
}

#[tokio::test]
async fn kube_proxy_can_be_started_anew() -> Result<()> {
    LAB.run_alone(async |lab| {
        web::servers(lab).await?;
        let node = lab.node("node-1")?;
        let before = node.room().recorded("kube-proxy");
        node.restart_proxy().await?;
        let now = node.room().recorded("kube-proxy");
        ensure!(before != now && now.is_some_and(|proxy| proxy.lives()), "kube-proxy was not started anew");
        let v4 = node.addresses().v4().to_string();
        eventually(SOON, "node-1 serves its node port", async || {
            Ok(Seen::Yes(web::get(lab, LAN_CLIENT, &v4, web::NODE_PORT).await?))
        })
        .await
        .map(drop)
    })
    .await
}

async fn pings(lab: &Lab, from: &str, to: &str) -> Result<bool> {
    Ok(lab.exec(from, &["ping", "-c", "1", "-W", "1", to]).await?.is_ok())
}

async fn answers_again(lab: &Lab, address: &str) -> Result<()> {
    eventually(SOON, &format!("{address} answers on the LAN"), async || {
        Ok(Seen::when(pings(lab, LAN_CLIENT, address).await?, (), "silence"))
    })
    .await
}

fn loss(report: &str) -> Option<f64> {
    report
        .split(", ")
        .find_map(|part| {
            part.strip_suffix("% packet loss").or_else(|| part.split_once("% packet loss").map(|(percent, _)| percent))
        })?
        .parse()
        .ok()
}
