//! `lab load`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::Which;

#[derive(Debug, Args)]
pub(crate) struct Load {
    #[command(flatten)]
    which: Which,
    /// Archives as `lab image` and `docker save` write them
    #[arg(required = true, value_name = "TAR")]
    archives: Vec<PathBuf>,
}

impl Load {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        let lab = self.which.open()?;
        lab.load(&self.archives).await?;
        println!("{} archives are on every node of lab {}.", self.archives.len(), lab.name());
        Ok(ExitCode::SUCCESS)
    }
}
