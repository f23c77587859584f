//! `lab image`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Args;
use herald_tests::artifacts::image::{Config, Layer, Spec, build};

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  lab image example.test/server:1 ./root --entrypoint /server --out server.tar\n  lab load server.tar"
)]
pub(crate) struct Image {
    /// The name by which manifests ask for it, with its tag
    #[arg(value_name = "IMAGE")]
    tag: String,
    /// The directory that becomes its root
    directory: PathBuf,
    /// The program and arguments it runs; repeat for each argument
    #[arg(long, allow_hyphen_values = true)]
    entrypoint: Vec<String>,
    /// UID:GID it runs as; root if not given
    #[arg(long, default_value = "")]
    user: String,
    /// The archive to write
    #[arg(long, value_name = "TAR", default_value = "image.tar")]
    out: PathBuf,
}

impl Image {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let tagged = self.tag.rsplit('/').next().is_some_and(|last| last.contains(':'));
        ensure!(tagged, "image name {}: add a tag, as in {}:1", self.tag, self.tag);
        let spec = Spec {
            names: vec![self.tag],
            layer: Layer::new().tree(&self.directory).with_context(|| self.directory.display().to_string())?,
            config: Config { user: self.user, entrypoint: self.entrypoint, ..Config::default() },
        };
        build(&spec, &self.out)?;
        println!("{}", self.out.display());
        Ok(ExitCode::SUCCESS)
    }
}
