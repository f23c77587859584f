//! Removing a lab: from what its namespaces show, not from what was written down, so that nothing survives a crash, a
//! reboot or a lost file. Only what lives in namespaces and directories of the lab's own is touched.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::mount::{MntFlags, umount2};
use nix::sys::signal::Signal;

use super::addresses::HostLink;
use super::cgroups;
use super::process::ProcessId;
use super::room::netns_path;
use super::state;
use super::topology::{self, CLIENT, CONTROL_PLANE, LAN_CLIENT, ROUTER, STRANGER, SWITCH};
use super::wait;

/// Removes everything of a lab. Returns whether there was anything.
pub(super) fn remove(name: &str) -> Result<bool> {
    let namespaces = namespaces_of(name)?;
    let home = state::home(name);
    let found = !namespaces.is_empty() || home.exists();
    end_everything_in(&namespaces)?;
    remove_host_link(name)?;
    for namespace in &namespaces {
        // After a reboot it is a plain file, and not mounted.
        let _ = umount2(namespace, MntFlags::MNT_DETACH);
        fs::remove_file(namespace).with_context(|| format!("removing {}", namespace.display()))?;
    }
    cgroups::remove(name);
    if home.exists() {
        fs::remove_dir_all(&home).with_context(|| format!("removing {}", home.display()))?;
    }
    Ok(found)
}

/// The kernel may keep a namespace, and with it the other end of this link, for minutes after its last process.
fn remove_host_link(name: &str) -> Result<()> {
    let Ok(Some(record)) = state::Record::load(name) else { return Ok(()) };
    let link = HostLink::of(record.index).interface();
    if Path::new("/sys/class/net").join(&link).exists() {
        topology::ip(&[], &format!("link delete {link}\n"))?;
    }
    Ok(())
}

/// The files of the lab's namespaces: only names a lab gives, so that lab `a` never takes `a-b`'s.
fn namespaces_of(name: &str) -> Result<Vec<PathBuf>> {
    let any = netns_path(name, SWITCH);
    let directory = any.parent().context("namespaces lie in a directory")?;
    let Ok(entries) = fs::read_dir(directory) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in entries {
        let file = entry?.file_name();
        let Some(host) = file.to_str().and_then(|file| file.strip_prefix(name)?.strip_prefix('-')) else { continue };
        let is_node = host.strip_prefix("node-").is_some_and(|number| number.parse::<u8>().is_ok());
        if is_node || [SWITCH, CONTROL_PLANE, ROUTER, CLIENT, LAN_CLIENT, STRANGER].contains(&host) {
            found.push(directory.join(&file));
        }
    }
    Ok(found)
}

/// Ends every process in these network namespaces. A node's init process is one of them, and takes the node's pods along;
/// pods have namespaces of their own, so they are waited for by number.
fn end_everything_in(namespaces: &[PathBuf]) -> Result<()> {
    let inodes: Vec<u64> =
        namespaces.iter().filter_map(|namespace| Some(fs::metadata(namespace).ok()?.ino())).collect();
    let start = wait::now();
    let mut pods: Vec<ProcessId> =
        processes_in(&inodes).iter().flat_map(ProcessId::descendants).map(|one| one.id).collect();
    loop {
        let inside = processes_in(&inodes);
        for process in &inside {
            process.signal(Signal::SIGKILL)?;
        }
        pods.retain(ProcessId::lives);
        if inside.is_empty() && pods.is_empty() {
            return Ok(());
        }
        if start.elapsed() > Duration::from_secs(20) {
            bail!("these processes did not end after SIGKILL: {inside:?} {pods:?}");
        }
        std::thread::yield_now();
    }
}

fn processes_in(inodes: &[u64]) -> Vec<ProcessId> {
    let own = std::process::id();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let inode = fs::metadata(entry.path().join("ns/net")).ok()?.ino();
            (pid != own && inodes.contains(&inode)).then_some(pid).and_then(ProcessId::of)
        })
        .collect()
}
