//! `lab e2e`

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use herald_tests::artifacts::Progress;
use herald_tests::suite::{self, Choice, LOAD_BALANCER};

#[derive(Debug, Args)]
#[command(
    after_help = "Without --name Herald is tested in a lab that is made for it. With it, what is in that lab is, be it Herald or\nanother implementation; nodes of that lab should be `lab up --ipv4-nodes`."
)]
pub(crate) struct E2e {
    /// Specs whose names match this expression
    #[arg(default_value = LOAD_BALANCER)]
    focus: String,
    /// A lab that runs already
    #[arg(long, value_name = "LAB")]
    name: Option<String>,
    /// How many specs run at a time
    #[arg(long, default_value_t = Choice::default().at_a_time)]
    at_a_time: u8,
}

impl E2e {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        let choice = Choice { focus: self.focus, at_a_time: self.at_a_time };
        let report = suite::verify(&choice, self.name.as_deref(), Progress::stderr()).await?;
        println!("{}", suite::table(&report));
        Ok(if report.is_expected() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
