//! What a lab is made of, laid out so that each program is found under its component's name.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::options::Options;
use crate::artifacts::{Artifacts, Daemons, Profile, Progress};

/// Components in the one file of Kubernetes, chosen by the name it is called by.
const COMPONENTS: [&str; 7] =
    ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"];

/// Directories that a machine of the lab has of its own, so that programs there are out of its sight.
const OUT_OF_SIGHT: [&str; 3] = ["/run", "/var/lib", "/var/log"];

/// Programs and images, built.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    artifacts: Artifacts,
    herald: Option<Daemons>,
}

impl Parts {
    /// Builds what these options need and is not there yet.
    pub(super) async fn ensure(options: &Options, progress: Progress) -> Result<Self> {
        let profile = options.herald.then_some(if options.release { Profile::Release } else { Profile::Lab });
        tokio::task::spawn_blocking(move || {
            Ok(Self {
                artifacts: Artifacts::ensure(progress)?,
                herald: profile.map(|profile| Daemons::ensure(profile, progress)).transpose()?,
            })
        })
        .await?
    }

    /// Links every program under its component's name in `directory`.
    pub(super) fn lay_out(&self, directory: &Path) -> Result<()> {
        fs::create_dir_all(directory).with_context(|| format!("creating {}", directory.display()))?;
        let kubernetes = COMPONENTS.map(|name| (name, self.artifacts.kubernetes.clone()));
        let containerd = [
            ("containerd", self.artifacts.containerd.clone()),
            ("ctr", self.artifacts.ctr.clone()),
            ("containerd-shim-runc-v2", self.artifacts.containerd_shim.clone()),
        ];
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

    /// Archives of the images every node is given at its start.
    pub(super) fn images(&self, options: &Options) -> Vec<PathBuf> {
        let mut images = vec![self.artifacts.pause.archive.clone()];
        if options.dns {
            images.push(self.artifacts.coredns.archive.clone());
        }
        if let Some(herald) = &self.herald {
            images.extend([herald.controller.archive.clone(), herald.speaker.archive.clone()]);
        }
        images
    }

    /// The archive of Kubernetes' own test server, which tests and demonstrations run behind their Services.
    pub(super) fn test_server(&self) -> PathBuf {
        self.artifacts.agnhost.archive.clone()
    }

    /// The name of CoreDNS' image.
    pub(super) fn name_server(&self) -> &str {
        &self.artifacts.coredns.name
    }
}
