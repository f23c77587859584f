//! The second half of the story: what happens to an address while things go wrong around it, and what clients see of that.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result};
use comfy_table::{Table, presets};
use herald_core::address::Vip;
use herald_tests::lab::topology::{CLIENT, LAN_CLIENT};
use herald_tests::lab::{Lab, STRANGER_MAC, Seen, eventually, throughout};
use herald_tests::scenario::calm::{node_back, speakers_ready};
use herald_tests::scenario::observer::{Manner, Observed, Traffic};
use herald_tests::scenario::{Audience, Caller};
use serde_json::{Value, json};

use super::{NAME, PATIENCE, say};

/// Before and after what happens.
const AROUND: Duration = Duration::from_secs(2);

/// A thing that happened, and what was seen of it.
struct Chapter {
    happened: String,
    seen: String,
}

/// Power loss, drain, conflict; ends with a table.
pub(super) async fn tell(lab: &Lab, address: IpAddr) -> Result<()> {
    let vip = Vip::new(address)?;
    serve_elsewhere(lab, vip).await?;
    let chapters = [power(lab, vip).await?, drain(lab, vip).await?, conflict(lab, vip).await?];
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY)
        .set_header([&format!("what happened to {vip}"), "what clients saw"]);
    for chapter in chapters {
        table.add_row([chapter.happened, chapter.seen]);
    }
    say(&format!("\n{table}"));
    Ok(())
}

/// The web servers go to nodes that don't announce the address, so that nothing but announcing is put to the test.
async fn serve_elsewhere(lab: &Lab, vip: Vip) -> Result<()> {
    let owner = announcer(lab, vip).await?;
    let rule = json!({"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "NotIn", "values": [owner]}]});
    let required = json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [rule]}});
    let patch = json!({"spec": {"template": {"spec": {"affinity": {"nodeAffinity": required}}}}}).to_string();
    lab.kubectl(&["--namespace", NAME, "patch", "deployment/web", "--patch", &patch]).await?;
    lab.rolled_out(NAME, &["deployment/web"]).await?;
    for host in [LAN_CLIENT, CLIENT] {
        Caller::on(lab, host)?.reaches(SocketAddr::new(vip.address(), 80)).await?;
    }
    Ok(())
}

async fn power(lab: &Lab, vip: Vip) -> Result<Chapter> {
    let owner = announcer(lab, vip).await?;
    say(&format!(
        "\n{owner} announces {vip}. Two clients connect to it 50 times a second each; {owner} loses power ..."
    ));
    let capture = lab.capture().await?;
    let audience = Audience::seated(lab, vip, 80, |since| capture.frames(since)).await?;
    lab.power_off(&owner).await?;
    let heir = moved(lab, vip, &owner).await?;
    throughout(AROUND, "clients go on", async || Ok(Seen::Yes(()))).await?;
    let review = audience.leave(|since| capture.frames(since)).await?;
    let gap = review.outage()?.length.as_millis();
    say(&format!("... and {heir} announces it. The longest time any client went without an answer: {gap} ms."));
    lab.power_on(&owner).await?;
    node_back(lab, &owner).await?;
    speakers_ready(lab).await?;
    let now = announcer(lab, vip).await?;
    say(&format!("{owner} has power again; the address stays where it is, on {now}."));
    Ok(Chapter { happened: format!("{owner} lost power, {heir} took over"), seen: format!("longest gap {gap} ms") })
}

async fn drain(lab: &Lab, vip: Vip) -> Result<Chapter> {
    let owner = announcer(lab, vip).await?;
    say(&format!(
        "\nAn upgrade of {owner} begins with `kubectl cordon {owner}`, while a client sends 1,000 requests a second ..."
    ));
    let traffic = Traffic::start(lab, CLIENT, SocketAddr::new(vip.address(), 80), Manner::BUSY)?;
    throughout(AROUND, "requests come in", async || Ok(Seen::Yes(()))).await?;
    lab.kubectl(&["cordon", &owner]).await?;
    let heir = moved(lab, vip, &owner).await;
    throughout(AROUND, "requests go on", async || Ok(Seen::Yes(()))).await?;
    let observed = traffic.stop().await?;
    lab.kubectl(&["uncordon", &owner]).await?;
    let heir = heir?;
    let seen = failed(&observed)?;
    say(&format!("... and {heir} announces it. {seen}."));
    Ok(Chapter { happened: format!("{owner} was cordoned, {heir} was handed the address"), seen })
}

/// How many requests failed, and in what time these had begun: only those under way at the very switch should.
fn failed(observed: &Observed) -> Result<String> {
    let failed: Vec<_> =
        observed.attempts.iter().filter(|attempt| attempt.answer.is_err()).map(|attempt| attempt.at).collect();
    let all = observed.attempts.len();
    Ok(match (failed.first(), failed.last()) {
        (Some(first), Some(last)) => {
            let span = last.duration_since(*first)?.as_millis();
            format!("{} of {all} requests failed, all of them begun within {span} ms", failed.len())
        }
        _ => format!("0 of {all} requests failed"),
    })
}

async fn conflict(lab: &Lab, vip: Vip) -> Result<Chapter> {
    let owner = announcer(lab, vip).await?;
    say(&format!("\nSomebody gives {vip} to another machine of the LAN, {STRANGER_MAC} ..."));
    lab.let_stranger_have(vip.address())?;
    let message = eventually(PATIENCE, "the conflict is found", async || {
        let status = status(lab, vip).await?;
        let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        let found = conditions.iter().find(|one| one["type"] == "Conflict" && one["status"] == "True");
        let message = found.and_then(|found| found["message"].as_str()).map(str::to_owned);
        Ok(message.map_or_else(|| Seen::NotYet(status.to_string()), Seen::Yes))
    })
    .await?;
    lab.silence_stranger()?;
    say(&format!("... `kubectl describe vip {vip}` says: {message}"));
    Ok(Chapter { happened: format!("a stranger took the address from {owner}"), seen: format!("Conflict: {message}") })
}

/// Waits until another node announces the address, by the ledger.
async fn moved(lab: &Lab, vip: Vip, from: &str) -> Result<String> {
    eventually(PATIENCE, &format!("another node than {from} announces {vip}"), async || {
        let node = announcer(lab, vip).await?;
        Ok(Seen::when(node != from, node.clone(), node))
    })
    .await
}

/// The node that announces the address, by the ledger.
async fn announcer(lab: &Lab, vip: Vip) -> Result<String> {
    let status = status(lab, vip).await?;
    status["announcer"]["node"].as_str().map(str::to_owned).with_context(|| format!("nobody announces {vip}: {status}"))
}

async fn status(lab: &Lab, vip: Vip) -> Result<Value> {
    let mut object = super::get(lab, &["virtualip", &vip.object_name()]).await?;
    Ok(object["status"].take())
}
