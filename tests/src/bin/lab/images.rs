//! `lab images`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use herald_tests::artifacts::{Daemons, Profile, Progress};

#[derive(Debug, Args)]
pub(crate) struct Images {
    /// The directory they are written to
    #[arg(value_name = "DIRECTORY", default_value = "build/images")]
    directory: PathBuf,
}

impl Images {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let daemons = Daemons::ensure(Profile::Release, Progress::stderr())?;
        let directory = &self.directory;
        std::fs::create_dir_all(directory).with_context(|| format!("creating {}", directory.display()))?;
        for (image, file) in [(daemons.controller, "controller.tar"), (daemons.speaker, "speaker.tar")] {
            let archive = directory.join(file);
            std::fs::copy(&image.archive, &archive).with_context(|| format!("writing {}", archive.display()))?;
            println!("{}  {}", archive.display(), image.name);
        }
        Ok(ExitCode::SUCCESS)
    }
}
