//! What is left of labs: nothing, whatever happened to them.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use herald_tests::artifacts::Progress;
use herald_tests::lab::{Condition, Lab, Options, ProcessId};

/// As small as a lab can be.
fn small(name: &str) -> Options {
    Options { nodes: 1, herald: false, dns: false, ..Options::named(name) }
}

async fn up(options: Options) -> Result<Lab> {
    Lab::up(options, Some(ProcessId::own()?), Progress::quiet()).await
}

#[tokio::test]
async fn labs_stand_side_by_side_and_leave_nothing_behind() -> Result<()> {
    let (one, other) = tokio::try_join!(up(small("side-a")), up(small("side-a-b")))?;
    for lab in [&one, &other] {
        let nodes = lab.kubectl(&["get", "nodes", "--no-headers"]).await?;
        ensure!(nodes.lines().count() == 1, "lab {} has nodes {nodes}", lab.name());
    }
    let again = up(small("side-a")).await.expect_err("a second lab of the same name");
    ensure!(format!("{again:#}").contains("already running"), "{again:#}");

    let processes = processes_of(&one)?;
    ensure!(processes.len() > 8, "these are not all processes of a lab: {processes:?}");
    Lab::down("side-a")?;
    nothing_is_left("side-a", &processes)?;
    // Its name begins with the other's, and it must not go with it.
    other.kubectl(&["get", "nodes"]).await?;
    let processes = processes_of(&other)?;
    Lab::down("side-a-b")?;
    nothing_is_left("side-a-b", &processes)
}

#[tokio::test]
async fn what_a_crash_has_left_goes_with_the_next_start() -> Result<()> {
    let mut building = Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(["up", "--name", "crash", "--nodes", "1", "--without-herald", "--without-dns"])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    let lines = BufReader::new(building.stderr.take().context("its stderr")?).lines();
    for line in lines {
        if line?.contains("API server ready") {
            break;
        }
    }
    building.kill()?;
    building.wait()?;
    let remains = Lab::all()?.into_iter().find(|(lab, _)| lab.name() == "crash").context("nothing is known of it")?;
    ensure!(remains.1 == Condition::Remains, "{:?}", remains.1);
    let processes = processes_of(&remains.0)?;
    ensure!(!processes.is_empty(), "the crash left no processes to clean up");

    let lab = up(small("crash")).await?;
    let old: Vec<_> = processes.iter().filter(|process| process.lives()).collect();
    ensure!(old.is_empty(), "these of the first start still run: {old:?}");
    let processes = processes_of(&lab)?;
    Lab::down("crash")?;
    nothing_is_left("crash", &processes)
}

#[tokio::test]
async fn what_a_reboot_of_the_machine_has_left_on_disk_goes_with_the_next_start() -> Result<()> {
    const NAME: &str = "reboot";
    Lab::down(NAME)?;
    // Without an owner, as `lab up` makes it: only a start of the same name may take it for remains.
    let lab = Lab::up(small(NAME), None, Progress::quiet()).await?;
    let home = lab.home().clone();
    let record = fs::read(home.join("lab.json"))?;
    Lab::down(NAME)?;

    // Processes, namespaces and mounts are gone, and all numbers belong to others, even from the same tick on.
    let mut stranger = Command::new("sleep").arg("600").spawn()?;
    let mut number = serde_json::to_value(ProcessId::of(stranger.id()).context("the stranger runs")?)?;
    number["boot"] = "another boot".into();
    for host in ["control-plane", "node-1"] {
        fs::create_dir_all(home.join(host).join("pids"))?;
        fs::create_dir_all(home.join(host).join("lib/left"))?;
        for daemon in ["init", "kubelet", "etcd"] {
            fs::write(home.join(host).join("pids").join(daemon), number.to_string())?;
        }
    }
    fs::write(home.join("lab.json"), record)?;
    let namespace = Path::new("/run/netns").join(format!("{NAME}-node-1"));
    fs::write(&namespace, "")?;

    let remains = Lab::all()?.into_iter().find(|(lab, _)| lab.name() == NAME).context("nothing is known of it")?;
    ensure!(remains.1 == Condition::Remains, "{:?}", remains.1);
    let lab = up(small(NAME)).await?;
    lab.kubectl(&["get", "nodes"]).await?;
    ensure!(!home.join("node-1/lib/left").exists(), "the new lab stands on the remains of the old");
    let processes = processes_of(&lab)?;
    Lab::down(NAME)?;
    let ended = stranger.try_wait()?;
    stranger.kill()?;
    stranger.wait()?;
    ensure!(ended.is_none(), "a process that never was the lab's was ended: {ended:?}");
    nothing_is_left(NAME, &processes)
}

#[tokio::test]
async fn a_lab_whose_damaged_record_says_nothing_is_removed_too() -> Result<()> {
    let lab = up(small("damaged")).await?;
    let processes = processes_of(&lab)?;
    fs::write(lab.home().join("lab.json"), "{")?;
    ensure!(Lab::open("damaged").is_err(), "a damaged record was read");
    ensure!(Lab::down("damaged")?, "nothing was found to remove");
    nothing_is_left("damaged", &processes)
}

fn processes_of(lab: &Lab) -> Result<Vec<ProcessId>> {
    let mut all = Vec::new();
    for host in ["control-plane", "node-1"] {
        all.extend(lab.host(host)?.processes()?.into_iter().map(|process| process.id));
    }
    Ok(all)
}

fn nothing_is_left(name: &str, processes: &[ProcessId]) -> Result<()> {
    let alive: Vec<_> = processes.iter().filter(|process| process.lives()).collect();
    ensure!(alive.is_empty(), "processes are left: {alive:?}");
    for entry in fs::read_dir("/run/netns")? {
        let namespace = entry?.file_name().into_string().unwrap_or_default();
        let of_this =
            namespace.strip_prefix(name).is_some_and(|host| ["-node-1", "-switch", "-router"].contains(&host));
        ensure!(!of_this, "namespace {namespace} is left");
    }
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    if let Some(mount) =
        mounts.lines().find(|line| line.contains(&format!("/{name}/")) || line.contains(&format!("/{name}-node")))
    {
        bail!("a mount is left: {mount}");
    }
    for controller in fs::read_dir("/sys/fs/cgroup")? {
        let group = controller?.path().join("herald-lab").join(name);
        ensure!(!group.exists(), "{} is left", group.display());
    }
    let home = Path::new("/var/lib/herald-lab").join(name);
    ensure!(!home.exists(), "{} is left", home.display());
    Ok(())
}
