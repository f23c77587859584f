//! What the lab remembers on disk, so that any later call finds a lab, and finds what a crash or a reboot has left.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use super::addresses::HostLink;
use super::cleanup;
use super::options::Options;
use super::process::ProcessId;
use super::room::Room;
use super::topology::CONTROL_PLANE;

/// The directory of all labs unless the environment variable [`STATE_VARIABLE`] names another.
const STATE_ROOT: &str = "/var/lib/herald-lab";
/// Names another directory for the state of all labs.
pub const STATE_VARIABLE: &str = "HERALD_LAB_STATE";

/// One lab as it is remembered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) options: Options,
    /// Tells labs apart on the host: part of its link's addresses.
    pub(super) index: u8,
    /// The process that builds it, until it is up.
    pub(super) builder: Option<ProcessId>,
    /// The test process it belongs to; without one it stays until `lab down`.
    pub(super) owner: Option<ProcessId>,
}

/// What has become of a lab that is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It runs.
    Up,
    /// Another process is building it.
    Building,
    /// What a crash or a reboot has left.
    Remains,
}

impl Record {
    pub(super) fn load(name: &str) -> Result<Option<Self>> {
        let path = home(name).join("lab.json");
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(
                serde_json::from_slice(&bytes)
                    .with_context(|| format!("{} is damaged: `lab down --name {name}` removes it", path.display()))?,
            )),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
        }
    }

    pub(super) fn save(&self) -> Result<()> {
        let home = home(&self.options.name);
        fs::create_dir_all(&home).with_context(|| format!("creating {}", home.display()))?;
        let path = home.join("lab.json");
        let draft = home.join("lab.json.draft");
        fs::write(&draft, serde_json::to_vec_pretty(self)?).with_context(|| format!("writing {}", draft.display()))?;
        fs::rename(&draft, &path).with_context(|| format!("writing {}", path.display()))
    }

    pub(super) fn condition(&self) -> Condition {
        let runs = || {
            let name = &self.options.name;
            Room::machine(name, CONTROL_PLANE, Path::new(""), home(name).join(CONTROL_PLANE)).init().is_some()
        };
        match &self.builder {
            Some(builder) if builder.lives() => Condition::Building,
            None if runs() => Condition::Up,
            Some(_) | None => Condition::Remains,
        }
    }

    fn is_orphan(&self) -> bool {
        self.owner.as_ref().is_some_and(|owner| !owner.lives())
    }
}

/// The directory of all labs.
pub(super) fn root() -> PathBuf {
    std::env::var_os(STATE_VARIABLE).map_or_else(|| PathBuf::from(STATE_ROOT), PathBuf::from)
}

/// The directory of one lab.
pub(super) fn home(name: &str) -> PathBuf {
    root().join(name)
}

/// Reserves a name and an index, after removing what stands in their way: remains of a lab of this name, and labs whose
/// test process has died. Fails if a lab of this name runs or is being built.
pub(super) fn claim(options: &Options, owner: Option<ProcessId>) -> Result<Record> {
    let _lock = lock()?;
    let name = &options.name;
    for other in names()? {
        let record = Record::load(&other);
        let known = record.as_ref().ok().and_then(Option::as_ref);
        if known.is_some_and(Record::is_orphan) {
            cleanup::remove(&other)?;
        } else if other == *name {
            match known.map(Record::condition) {
                Some(Condition::Up) => bail!("lab {name} is already running (`lab down --name {name}` ends it)"),
                Some(Condition::Building) => bail!("lab {name} is being built by another process"),
                Some(Condition::Remains) | None => {}
            }
        }
    }
    // Also without a directory: it may have been in memory, and the crash left namespaces.
    cleanup::remove(name)?;
    let taken: Vec<u8> =
        names()?.iter().filter_map(|other| Record::load(other).ok().flatten()).map(|record| record.index).collect();
    let index = (0..=u8::MAX)
        .find(|index| !taken.contains(index) && !interface_exists(&HostLink::of(*index).interface()))
        .context("256 labs run already")?;
    let record = Record { options: options.clone(), index, builder: Some(ProcessId::own()?), owner };
    record.save()?;
    Ok(record)
}

/// Removes a lab and whatever is left of it. Returns whether there was anything.
pub(super) fn release(name: &str) -> Result<bool> {
    let _lock = lock()?;
    cleanup::remove(name)
}

/// The names of all labs that are remembered.
pub(super) fn names() -> Result<Vec<String>> {
    let root = root();
    if !root.exists() {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(&root).with_context(|| format!("reading {}", root.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names.extend(entry.file_name().into_string());
        }
    }
    names.sort();
    Ok(names)
}

fn lock() -> Result<Flock<File>> {
    let root = root();
    fs::create_dir_all(&root).with_context(|| format!("creating {}", root.display()))?;
    let path = root.join("lock");
    let file =
        File::options().create(true).append(true).open(&path).with_context(|| format!("opening {}", path.display()))?;
    Flock::lock(file, FlockArg::LockExclusive)
        .map_err(|(_, error)| error)
        .with_context(|| format!("locking {}", path.display()))
}

fn interface_exists(name: &str) -> bool {
    Path::new("/sys/class/net").join(name).exists()
}
