//! `lab kubectl`

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::Args;

use crate::Which;
use crate::exec::exit_code;

#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Kubectl {
    #[command(flatten)]
    which: Which,
    /// kubectl's own arguments; `--name LAB` goes before them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Kubectl {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let lab = self.which.open()?;
        let mut kubectl = Command::new(lab.bin().join("kubectl"));
        kubectl.args(self.arguments).env("KUBECONFIG", lab.kubeconfig());
        exit_code(kubectl.status().context("starting kubectl")?)
    }
}
