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
    /// Wait for the end of standard input first; tests tie a lab to their process so
    #[arg(long, hide = true)]
    after_input_ends: bool,
}

impl Down {
    pub(crate) fn run(self) -> Result<ExitCode> {
        if self.after_input_ends {
            std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
        }
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
