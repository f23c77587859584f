//! `lab down`

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use herald_tests::lab::Lab;

use crate::Which;

#[derive(Debug, Args)]
pub(crate) struct Down {
    #[command(flatten)]
    which: Which,
    /// All labs of this machine, and what is left of any
    #[arg(long)]
    all: bool,
}

impl Down {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let names = if self.all { Lab::names()? } else { vec![self.which.name] };
        for name in names {
            if Lab::down(&name)? {
                println!("Lab {name} is gone.");
            } else {
                println!("There is no lab {name}.");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
