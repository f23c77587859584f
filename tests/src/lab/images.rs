//! Images on the nodes: there is no registry, so every image is imported into every node's containerd.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;

use super::Lab;
use super::node::{CONTAINERD_SOCKET, Node, SNAPSHOTTER};

impl Lab {
    /// Imports archives of images (as `docker save` writes them) into every node that has power.
    pub async fn load(&self, archives: &[PathBuf]) -> Result<()> {
        try_join_all(self.nodes().iter().filter(|node| node.has_power()).map(|node| node.load(archives))).await?;
        Ok(())
    }
}

impl Node {
    pub(super) async fn load(&self, archives: &[PathBuf]) -> Result<()> {
        for archive in archives {
            let (node, archive) = (self.clone(), archive.clone());
            tokio::task::spawn_blocking(move || node.import(&archive)).await??;
        }
        Ok(())
    }

    fn import(&self, archive: &Path) -> Result<()> {
        // Opened here: the node may not see the file.
        let file =
            std::fs::File::open(archive).with_context(|| format!("opening image archive {}", archive.display()))?;
        let mut import = self.room().command("ctr");
        import.args(["--address", CONTAINERD_SOCKET, "--namespace", "k8s.io", "images", "import"]);
        import.args(["--local", "--snapshotter", SNAPSHOTTER, "--digests", "-"]);
        import.stdin(file).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = self.room().spawn(import)?.wait_with_output()?;
        ensure!(
            output.status.success(),
            "{} into {}: {}",
            archive.display(),
            self.name(),
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(())
    }
}
