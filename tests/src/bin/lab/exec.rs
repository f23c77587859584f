//! `lab exec`

use std::env;
use std::process::{ExitCode, Stdio};

use anyhow::{Context, Result};
use clap::Args;

use crate::Which;

#[derive(Debug, Args)]
#[command(
    after_help = "Hosts: node-1, node-2, ..., client (behind the router), lan-client, router, switch, control-plane.\nExamples:\n  lab exec client -- curl -s http://192.0.2.100/\n  lab exec node-1 -- nft list ruleset\n  lab exec switch -- bridge fdb show"
)]
pub(crate) struct Exec {
    #[command(flatten)]
    which: Which,
    /// Where to run it
    host: String,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

impl Exec {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let lab = self.which.open()?;
        let (program, arguments) = self.command.split_first().context("no command")?;
        let room = lab.host(&self.host)?;
        let mut command = room.command(program);
        command.args(arguments).env("KUBECONFIG", lab.kubeconfig());
        command.envs(env::var_os("TERM").map(|term| ("TERM", term)));
        command.stdin(Stdio::inherit()).stdout(Stdio::inherit()).stderr(Stdio::inherit());
        exit_code(room.spawn(command)?.wait()?)
    }
}

/// Ends as the command has ended; one ended by a signal as a shell shows it.
pub(crate) fn exit_code(status: std::process::ExitStatus) -> Result<ExitCode> {
    use std::os::unix::process::ExitStatusExt;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).context("it has no exit status")?;
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)))
}
