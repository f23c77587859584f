//! `lab list`

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use comfy_table::{Table, presets};
use herald_tests::lab::{Condition, Lab};

#[derive(Debug, Args)]
pub(crate) struct List {}

impl List {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let Self {} = self;
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(["LAB", "STATE", "NODES", "PROXY", "KUBECONFIG"]);
        for (lab, condition) in Lab::all()? {
            let state = match condition {
                Condition::Up => "up",
                Condition::Building => "being built",
                Condition::Remains => "remains only",
            };
            let options = lab.options();
            let kubeconfig = lab.kubeconfig().display().to_string();
            table.add_row([lab.name(), state, &options.nodes.to_string(), options.proxy.mode(), &kubeconfig]);
        }
        if table.is_empty() {
            println!("There is no lab; `lab up` makes one.");
        } else {
            println!("{table}");
        }
        Ok(ExitCode::SUCCESS)
    }
}
