//! Where it plays: two nodes announce in turn, a third one serves and never announces, so that a loss of power is a change of
//! the announcer and nothing else.

use std::cell::RefCell;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use herald_api::VirtualIP;
use herald_api::keys::EXCLUDE_NODE_LABEL;
use herald_core::address::Vip;
use herald_core::mac::MacAddr;
use herald_tests::artifacts::Progress;
use herald_tests::invariants::Record;
use herald_tests::lab::{Capture, Frame, Lab, Seen, eventually};
use herald_tests::scenario::calm::{calm, node_back, speakers_ready};
use herald_tests::scenario::wire::asserted;
use herald_tests::scenario::{Audience, Caller, Range, Server, Stage, service};
use k8s_openapi::api::core::v1::{Node, Service};
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::memory::POOL;

/// The nodes that announce; the first one does so at first.
const ANNOUNCERS: [&str; 2] = ["node-1", "node-2"];
/// The node with the server.
const SERVER: &str = "node-3";
/// Creates under way at once.
const CREATES: usize = 16;
/// For what is no figure: a machine of two cores boots nodes and makes a thousand Services in minutes.
pub(super) const PATIENCE: Duration = Duration::from_mins(5);

/// Addresses that are announced and served.
pub(crate) struct Ground<'lab> {
    pub(super) lab: &'lab Lab,
    pub(super) stage: Stage,
    /// The first is the one that clients watch.
    vips: Vec<Vip>,
    /// Promises that were broken, in words.
    broken: RefCell<Vec<String>>,
}

impl<'lab> Ground<'lab> {
    /// Makes `count` addresses, all on one node.
    pub(crate) async fn laid(lab: &'lab Lab, count: u32) -> Result<Self> {
        calm(lab).await?;
        let stage = Stage::bare(lab, &format!("failover-{count}"), Range::take(1)?).await?;
        let (addresses, family) =
            if count == 1 { (stage.range().addresses().to_vec(), "IPv4") } else { (vec![POOL.to_owned()], "IPv6") };
        stage.pool(stage.name(), json!({"addresses": addresses})).await?;
        stage.deploy(&Server::named("web").on(SERVER)).await?;
        let [first, second] = ANNOUNCERS;
        exclude(&stage, SERVER, true).await?;
        exclude(&stage, second, true).await?;
        let services: Api<Service> = stage.api();
        let made = stream::iter(0..count).map(|number| {
            let services = services.clone();
            let spec = json!({"ipFamilyPolicy": "SingleStack", "ipFamilies": [family], "selector": {"app": "web"}});
            async move { services.create(&PostParams::default(), &service(&format!("s{number}"), spec)).await }
        });
        made.buffer_unordered(CREATES).try_for_each(async |_| Ok(())).await?;
        let mut ground = Self { lab, stage, vips: Vec::new(), broken: RefCell::default() };
        ground.vips = eventually(PATIENCE, &format!("{count} addresses are announced by {first}"), async || {
            let found = ground.announced_by(first).await?;
            Ok(Seen::when(found.len() == usize::try_from(count)?, found.clone(), found.len()))
        })
        .await?;
        exclude(&ground.stage, second, false).await?;
        for host in ["lan-client", "client"] {
            Caller::on(lab, host)?.reaches((ground.watched()?.address(), 80).into()).await?;
        }
        Ok(ground)
    }

    /// The address that clients watch.
    pub(super) fn watched(&self) -> Result<Vip> {
        self.vips.first().copied().context("no address")
    }

    /// Clients watch it from now on.
    pub(super) async fn audience(&self, capture: &Capture) -> Result<Audience> {
        Audience::seated(self.lab, self.watched()?, 80, |since| capture.frames(since)).await
    }

    /// The node that announces what is watched, by the ledger.
    pub(super) async fn announcer(&self) -> Result<String> {
        Ok(self.stage.announcer(self.watched()?.address()).await?.node)
    }

    /// The addresses that a node announces, by the ledger.
    pub(super) async fn announced_by(&self, node: &str) -> Result<Vec<Vip>> {
        let ledger: Api<VirtualIP> = self.stage.cluster();
        let all = ledger.list(&ListParams::default()).await?;
        let by = all.iter().filter(|vip| {
            vip.status.iter().flat_map(|status| &status.announcer).any(|announcer| announcer.node == node)
        });
        by.map(|vip| Ok(Vip::new(vip.spec.address.parse()?)?)).collect()
    }

    /// The node is as it was before it lost power or its speaker, the ledger knows who announces what, and everything has
    /// settled.
    pub(super) async fn restored(&self, node: &str) -> Result<()> {
        self.lab.power_on(node).await?;
        node_back(self.lab, node).await?;
        speakers_ready(self.lab).await?;
        let watched = self.watched()?;
        eventually(PATIENCE, &format!("the ledger has {watched} on another node than {node}"), async || {
            let left = self.announced_by(node).await?;
            Ok(Seen::when(!left.contains(&watched), (), left.len()))
        })
        .await
    }

    /// A node's Ethernet address.
    pub(super) fn mac(&self, node: &str) -> Result<MacAddr> {
        Ok(self.lab.node(node)?.addresses().mac().parse()?)
    }

    /// Judges a run, and remembers what promises it broke.
    pub(super) fn judge(&self, progress: Progress, what: &str, record: &Record) {
        for violation in record.violations() {
            let violation = format!("{what}: {violation}");
            progress.say(&violation);
            self.broken.borrow_mut().push(violation);
        }
    }

    /// Gives the addresses back; the promises that were broken on them, in words.
    pub(crate) async fn cleared(self) -> Result<Vec<String>> {
        exclude(&self.stage, SERVER, false).await?;
        let ledger: Api<VirtualIP> = self.stage.cluster();
        self.stage.strike().await?;
        crate::allocation::released(&ledger, PATIENCE).await?;
        Ok(self.broken.into_inner())
    }
}

/// When each of these addresses was asserted first by another node than `mac`, since a moment.
pub(super) fn heirs(frames: &[Frame], vips: &[Vip], mac: MacAddr, since: SystemTime) -> Vec<(Vip, SystemTime)> {
    let mut found: Vec<(Vip, SystemTime)> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for frame in frames.iter().filter(|frame| frame.at > since) {
        let Some(said) = asserted(frame).filter(|said| said.mac != mac) else { continue };
        if let Ok(vip) = Vip::new(said.address)
            && vips.contains(&vip)
            && seen.insert(vip)
        {
            found.push((vip, frame.at));
        }
    }
    found
}

/// Whether a node may announce.
async fn exclude(stage: &Stage, node: &str, excluded: bool) -> Result<()> {
    label(stage, node, EXCLUDE_NODE_LABEL, if excluded { json!("true") } else { Value::Null }).await
}

/// Sets a node's label, or takes it away.
pub(super) async fn label(stage: &Stage, node: &str, key: &str, value: Value) -> Result<()> {
    let nodes: Api<Node> = stage.cluster();
    let patch = Patch::Merge(json!({"metadata": {"labels": {key: value}}}));
    nodes.patch(node, &PatchParams::default(), &patch).await.with_context(|| format!("labelling {node}"))?;
    Ok(())
}
