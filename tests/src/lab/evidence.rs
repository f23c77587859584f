//! What is kept of a failure: frames, logs, objects and the state of every node, in one directory.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result};

use super::capture::Capture;
use super::{HERALD_NAMESPACE, Lab};

/// Where failures are kept, below the workspace.
const DIRECTORY: &str = "target/lab-failures";

/// Objects that tell most, of all namespaces.
const OBJECTS: &str = "nodes,pods,services,endpointslices,deployments,daemonsets,events";
/// Herald's own, there only if it is installed.
const HERALD_OBJECTS: &str = "addresspools,virtualips,l2advertisements,speakers";

/// State of a host that no log has.
const SHOW: [&[&str]; 4] = [&["ip", "addr"], &["ip", "route"], &["ip", "neigh"], &["nft", "list", "ruleset"]];

impl Lab {
    /// Writes all that is known into a directory named after `what`, and returns it. What can't be had is left out.
    pub(super) async fn keep_evidence(&self, what: &str, frames: &Capture, since: SystemTime) -> Result<PathBuf> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(DIRECTORY);
        let directory = root.join(what.replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
        if directory.exists() {
            fs::remove_dir_all(&directory)?;
        }
        fs::create_dir_all(&directory).with_context(|| format!("creating {}", directory.display()))?;
        let directory = directory.canonicalize()?;
        let write = |name: &str, text: Result<String>| {
            let text = text.unwrap_or_else(|error| format!("not to be had: {error:#}"));
            fs::write(directory.join(name), text).with_context(|| format!("writing {name}"))
        };
        frames.write(since, &directory.join("frames.pcap"))?;
        for (name, objects) in [("objects", OBJECTS), ("herald-objects", HERALD_OBJECTS)] {
            write(&format!("{name}.yaml"), self.kubectl(&["get", objects, "--all-namespaces", "-o", "yaml"]).await)?;
            write(&format!("{name}.txt"), self.kubectl(&["get", objects, "--all-namespaces", "-o", "wide"]).await)?;
        }
        for (name, workload) in
            [("controller", "deployment/herald-controller"), ("speakers", "daemonset/herald-speaker")]
        {
            let logs = ["--namespace", HERALD_NAMESPACE, "logs", workload, "--all-pods", "--prefix", "--timestamps"];
            write(&format!("herald-{name}.log"), self.kubectl(&logs).await)?;
        }
        for host in super::topology::hosts(self.options().nodes) {
            let mut shown = String::new();
            for command in SHOW {
                let text = match self.exec(&host, command).await {
                    Ok(output) => output.stdout,
                    Err(error) => format!("{error:#}\n"),
                };
                writeln!(shown, "# {}\n{text}", command.join(" "))?;
            }
            write(&format!("{host}.txt"), Ok(shown))?;
            copy_logs(&self.home().join(&host).join("log"), &directory.join(&host))?;
        }
        Ok(directory)
    }
}

fn copy_logs(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).into_iter().flatten().flatten() {
        if entry.file_type()?.is_file() {
            fs::create_dir_all(to)?;
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}
