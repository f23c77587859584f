//! `lab capture`

use std::path::{PathBuf, absolute};
use std::process::{ExitCode, Stdio};

use anyhow::Result;
use clap::Args;
use herald_tests::lab::topology::{BRIDGE, SWITCH};

use crate::Which;
use crate::exec::exit_code;

#[derive(Debug, Args)]
#[command(
    after_help = "Node N sends from 02:00:5e:10:00:NN.\nExamples:\n  lab capture arp or icmp6\n  lab capture --write frames.pcap"
)]
pub(crate) struct Capture {
    #[command(flatten)]
    which: Which,
    /// Write the frames into this file, for tcpdump or Wireshark, instead of showing them
    #[arg(short, long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Only frames that match, in tcpdump's language
    filter: Vec<String>,
}

impl Capture {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        let switch = self.which.open()?.host(SWITCH)?;
        let mut tcpdump = switch.command("tcpdump");
        tcpdump.args(["--immediate-mode", "-Z", "root", "-i", BRIDGE, "-n"]);
        match self.write {
            Some(file) => tcpdump.arg("-U").arg("-w").arg(absolute(file)?),
            None => tcpdump.args(["-l", "-e"]),
        };
        tcpdump.args(self.filter).stdout(Stdio::inherit()).stderr(Stdio::inherit());
        let mut child = switch.spawn(tcpdump)?;
        // ctrl-C is for tcpdump, which then says how many frames it saw.
        let ending = tokio::spawn(async { while tokio::signal::ctrl_c().await.is_ok() {} });
        let status = tokio::task::spawn_blocking(move || child.wait()).await??;
        ending.abort();
        exit_code(status)
    }
}
