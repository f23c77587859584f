//! The programs a lab runs, laid out so that each is found under its component's name.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// Components in the one file of Kubernetes, chosen by the name it is called by.
const KUBERNETES: [&str; 7] =
    ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"];

/// Directories that a machine of the lab has of its own, so that programs there are out of its sight.
const OUT_OF_SIGHT: [&str; 3] = ["/run", "/var/lib", "/var/log"];

/// What a lab is made of.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Kubernetes' components in one file.
    pub kubernetes: PathBuf,
    /// containerd.
    pub containerd: PathBuf,
    /// containerd's command line.
    pub ctr: PathBuf,
    /// containerd's shim for runc.
    pub shim: PathBuf,
    /// Archives of images every node is given at its start.
    pub images: Vec<PathBuf>,
}

impl Parts {
    /// Links every program under its component's name in `directory`.
    pub(super) fn lay_out(&self, directory: &Path) -> Result<()> {
        fs::create_dir_all(directory).with_context(|| format!("creating {}", directory.display()))?;
        let kubernetes = KUBERNETES.map(|name| (name, &self.kubernetes));
        let containerd =
            [("containerd", &self.containerd), ("ctr", &self.ctr), ("containerd-shim-runc-v2", &self.shim)];
        for (name, program) in kubernetes.into_iter().chain(containerd) {
            let program = program.canonicalize().with_context(|| format!("{name}: {}", program.display()))?;
            ensure!(
                !OUT_OF_SIGHT.iter().any(|hidden| program.starts_with(hidden)),
                "{}: nodes have a {} of their own and don't see it; keep the lab's programs elsewhere",
                program.display(),
                OUT_OF_SIGHT.join(", ")
            );
            symlink(&program, directory.join(name)).with_context(|| format!("linking {name}"))?;
        }
        Ok(())
    }
}
