//! The lab's control groups: one per machine, in which its containers are. A machine sees its own as the root of all, so
//! that its kubelet neither sees nor watches the containers of others, and all of them can be found and removed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::wait;

/// The group of all labs, below the root of each hierarchy.
const LABS: &str = "herald-lab";

/// How long the kernel may take to let go of a group whose processes have ended.
const LETTING_GO: Duration = Duration::from_secs(5);

/// Where cgroups are mounted: one directory for version 2, one per controller for version 1.
pub(super) fn roots() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            match fields.as_slice() {
                [_, directory, "cgroup" | "cgroup2", ..] => Some(PathBuf::from(directory)),
                _ => None,
            }
        })
        .collect()
}

/// Makes a machine's groups, empty ones, in all hierarchies, and returns them beside their roots.
pub(super) fn make(lab: &str, host: &str) -> std::io::Result<Vec<(PathBuf, PathBuf)>> {
    let mut made = Vec::new();
    for root in roots() {
        // After a loss of power there is an old one, and what it passed on to others keeps processes out of it.
        remove_tree(&root.join(LABS).join(lab).join(host));
        let mut group = root.clone();
        for name in [LABS, lab, host] {
            pass_on_controllers(&group);
            let parent = group.clone();
            group.push(name);
            fs::create_dir_all(&group)?;
            inherit_cpus(&parent, &group);
        }
        made.push((root, group));
    }
    Ok(made)
}

/// Removes a lab's groups, whose processes have ended.
pub(super) fn remove(lab: &str) {
    let start = wait::now();
    for root in roots() {
        let labs = root.join(LABS);
        let group = labs.join(lab);
        while group.exists() && start.elapsed() < LETTING_GO {
            remove_tree(&group);
        }
        // Only succeeds when no other lab has any.
        let _ = fs::remove_dir(labs);
    }
}

/// Removes a group and all below it, as far as they have no processes.
fn remove_tree(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path());
        }
    }
    let _ = fs::remove_dir(group);
}

/// Version 2: groups have only the controllers that the one above passes on.
fn pass_on_controllers(group: &Path) {
    let controllers = fs::read_to_string(group.join("cgroup.controllers")).unwrap_or_default();
    for controller in controllers.split_whitespace() {
        // Some can't be passed on here; a container then goes without that limit.
        let _ = fs::write(group.join("cgroup.subtree_control"), format!("+{controller}"));
    }
}

/// Version 1: a group takes no process before it has been given processors and memory nodes.
fn inherit_cpus(parent: &Path, group: &Path) {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if fs::read_to_string(group.join(file)).is_ok_and(|own| own.trim().is_empty()) {
            let _ = fs::read(parent.join(file)).and_then(|all| fs::write(group.join(file), all));
        }
    }
}
