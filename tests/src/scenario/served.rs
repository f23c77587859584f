//! An address that is announced by one node and served by a pod on another, so that the end of the announcer is nothing but
//! that.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use herald_api::VirtualIP;
use herald_api::virtual_ip::{Announcer, VirtualIPStatus};
use herald_core::address::{Family, Vip};
use serde_json::json;

use super::caller::Caller;
use super::{Server, Stage, service};
use crate::lab::topology::{CLIENT, LAN_CLIENT};
use crate::lab::{Seen, eventually};

/// Far longer than any takeover may take; how long it took is for those to say who watched.
const NOTICED: Duration = Duration::from_mins(2);

/// The name of the Service and of its server.
const WEB: &str = "web";

/// An address that is announced and served.
#[derive(Clone, Debug)]
pub struct Served {
    /// The address.
    pub vip: Vip,
    /// The node that announces it.
    pub owner: String,
    /// The node with the pod, another one.
    pub server: String,
    /// The epoch of the owner's claim.
    pub epoch: i64,
}

impl Served {
    /// Makes a Service of one family and a server for it, and waits until clients on the LAN and behind the router are
    /// answered.
    pub async fn on(stage: &Stage, family: Family) -> Result<Self> {
        let families = match family {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        };
        let wanted = service(WEB, json!({"ipFamilyPolicy": "SingleStack", "ipFamilies": [families]}));
        let address = stage.offer(wanted).await?.into_iter().next().context("a Service without an address")?;
        let announcer = stage.announcer(address).await?;
        let mut others = stage.lab().nodes().iter().map(crate::lab::Node::name).filter(|node| *node != announcer.node);
        let server = others.next_back().context("a lab of one node has no other")?.to_owned();
        stage.deploy(&Server::named(WEB).on(&server)).await?;
        for host in [LAN_CLIENT, CLIENT] {
            Caller::on(stage.lab(), host)?.reaches(SocketAddr::new(address, 80)).await?;
        }
        Ok(Self { vip: Vip::new(address)?, owner: announcer.node, server, epoch: announcer.epoch })
    }

    /// The node that neither announces nor serves it, of a lab of three.
    pub fn third(&self, stage: &Stage) -> Result<String> {
        let mut nodes = stage.lab().nodes().iter().map(crate::lab::Node::name);
        let third = nodes.find(|node| *node != self.owner && *node != self.server);
        third.map(str::to_owned).context("a third node")
    }

    /// Waits until the ledger says that another node announces it; returns all that it says then.
    pub async fn moved(&self, stage: &Stage) -> Result<(Announcer, VirtualIPStatus)> {
        let what = format!("another node than {} announces {}", self.owner, self.vip);
        let name = self.vip.object_name();
        eventually(NOTICED, &what, async || {
            let status = stage.cluster::<VirtualIP>().get(&name).await?.status.unwrap_or_default();
            Ok(match &status.announcer {
                Some(announcer) if announcer.node != self.owner => Seen::Yes((announcer.clone(), status)),
                other => Seen::NotYet(format!("{other:?}")),
            })
        })
        .await
    }
}
