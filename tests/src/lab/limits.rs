//! Limits of the machine that a lab needs higher than Linux sets them. They are raised, never lowered, and it is said.

use std::fs;

use anyhow::{Context, Result};

use crate::artifacts::Progress;

/// Kubelets, containerd and the control plane watch files; a lab of three nodes takes some 40 of the 128 instances that
/// all programs of one user have by default. Without one a kubelet starts but never registers its node.
const LIMITS: [(&str, u64); 2] = [("fs/inotify/max_user_instances", 8192), ("fs/inotify/max_user_watches", 524_288)];

/// Raises what is too low.
pub(super) fn raise(progress: Progress) -> Result<()> {
    for (name, needed) in LIMITS {
        let path = format!("/proc/sys/{name}");
        let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let now: u64 = text.trim().parse().with_context(|| format!("{path}: {text}"))?;
        if now < needed {
            progress.say(&format!("raising {} from {now} to {needed}", name.replace('/', ".")));
            fs::write(&path, needed.to_string()).with_context(|| format!("writing {needed} to {path}"))?;
        }
    }
    Ok(())
}
