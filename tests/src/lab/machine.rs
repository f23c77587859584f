//! A machine's first process: what it is given of the host, what it has of its own, and what it does.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Where a machine sees its own directory.
pub(super) const HOME: &str = "/run/lab";
/// Where a machine sees the programs of Kubernetes and containerd.
pub(super) const BIN: &str = "/run/lab-bin";

/// Values the kubelet would write into the host's kernel; the machine is shown that they are set already.
const KERNEL: [(&str, &str); 6] = [
    ("vm/overcommit_memory", "1"),
    ("vm/panic_on_oom", "0"),
    ("kernel/panic", "10"),
    ("kernel/panic_on_oops", "1"),
    ("kernel/keys/root_maxkeys", "1000000"),
    ("kernel/keys/root_maxbytes", "25000000"),
];

/// The shell's script, run in new namespaces of processes, mounts and host name.
///
/// Its own `/run`, `/var/lib` and `/var/log` make every default path of containerd and the kubelet private to the
/// machine, and its own cgroups are all it sees. Afterwards the process only waits for children that have lost their parents.
pub(super) fn first_process(host: &str, home: &Path, bin: &Path, groups: &[(PathBuf, PathBuf)]) -> String {
    let (home, bin) = (home.display(), bin.display());
    let mut enter = String::new();
    let mut show = String::new();
    for (root, group) in groups {
        let (root, group) = (root.display(), group.display());
        let _ = writeln!(enter, "echo 0 > {group}/cgroup.procs");
        let _ = writeln!(show, "mount --bind {group} {root}");
        // Version 2: a group that passes controllers on may hold no process itself.
        let _ = writeln!(
            show,
            "if [ -n \"$(cat {root}/cgroup.controllers 2>/dev/null)\" ]; then\n\
             mkdir -p {root}/init && echo 0 > {root}/init/cgroup.procs\n\
             for one in $(cat {root}/cgroup.controllers); do echo +$one > {root}/cgroup.subtree_control || true; done\n\
             fi"
        );
    }
    let mut kernel = String::new();
    for (name, value) in KERNEL {
        let file = format!("/run/kernel/{}", name.replace('/', "."));
        let _ = writeln!(
            kernel,
            "if [ -e /proc/sys/{name} ]; then echo {value} > {file}; mount --bind {file} /proc/sys/{name}; fi"
        );
    }
    format!(
        r#"
{enter}
exec unshare --cgroup sh -euc '
echo {host} > /proc/sys/kernel/hostname
mount -t proc proc /proc
{show}
mount -t tmpfs -o mode=755 run /run
mkdir -p {HOME} {BIN} /run/kernel
mount --bind "{home}" {HOME}
mount --bind "{bin}" {BIN}
mount --bind {HOME}/lib /var/lib
mount --bind {HOME}/log /var/log
{kernel}
mount --make-rshared /
touch {HOME}/booted
set +e
while :; do sleep 86400 & wait $!; done
'
"#
    )
}
