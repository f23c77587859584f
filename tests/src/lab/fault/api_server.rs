//! The API server gone, and back.

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;

use crate::lab::process::ProcessId;
use crate::lab::topology::CONTROL_PLANE;
use crate::lab::{Lab, control_plane};

const PROCESS: &str = "kube-apiserver";

impl Lab {
    /// Ends the API server. etcd, the controller manager and all nodes go on.
    pub async fn stop_api_server(&self) -> Result<()> {
        let process = self.host(CONTROL_PLANE)?.recorded(PROCESS).context("no API server was started")?;
        process.end().await
    }

    /// Starts the API server, unless it runs, lets one go on that was stopped, and waits until it is ready.
    pub async fn start_api_server(&self) -> Result<()> {
        let room = self.host(CONTROL_PLANE)?;
        match room.recorded(PROCESS).filter(ProcessId::lives) {
            // It may have been frozen.
            Some(process) => process.signal(Signal::SIGCONT)?,
            None => control_plane::start_apiserver(&room)?,
        }
        control_plane::ready(&room, &self.client().await?).await
    }
}
