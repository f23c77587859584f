//! The lab's own images, imported by the containerd they are for.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use super::super::{Artifacts, Progress, ensure_ingress};
use super::Scratch;

/// Runs until dropped, with all its files in one directory.
struct Containerd {
    process: Child,
    socket: std::path::PathBuf,
    ctr: std::path::PathBuf,
}

impl Containerd {
    fn start(artifacts: &Artifacts, scratch: &Scratch) -> Self {
        let socket = scratch.path("containerd.sock");
        let config = format!(
            "version = 3\nroot = '{0}/root'\nstate = '{0}/state'\ndisabled_plugins = ['io.containerd.grpc.v1.cri', \
             'io.containerd.cri.v1.images', 'io.containerd.cri.v1.runtime']\n[grpc]\naddress = '{0}/containerd.sock'\n",
            scratch.0.display()
        );
        let log = File::create(scratch.path("log")).unwrap();
        let process = Command::new(&artifacts.containerd)
            .arg("--config")
            .arg(scratch.write("config.toml", &config))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let containerd = Self { process, socket, ctr: artifacts.ctr.clone() };
        containerd.wait_until_ready(&scratch.path("log"));
        containerd
    }

    fn wait_until_ready(&self, log: &Path) {
        let (ready, waiting) = channel();
        let (ctr, socket) = (self.ctr.clone(), self.socket.clone());
        thread::spawn(move || {
            // ctr itself waits for the daemon for as long as it is told.
            while !ctr_command(&ctr, &socket).arg("version").output().unwrap().status.success() {}
            let _ = ready.send(());
        });
        let answered = waiting.recv_timeout(Duration::from_secs(30));
        assert!(answered.is_ok(), "containerd doesn't answer: {}", fs::read_to_string(log).unwrap_or_default());
    }

    fn ctr(&self, arguments: &[&str]) -> String {
        let output = ctr_command(&self.ctr, &self.socket).args(arguments).output().unwrap();
        assert!(output.status.success(), "ctr {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

fn ctr_command(ctr: &Path, socket: &Path) -> Command {
    let mut command = Command::new(ctr);
    command.args(["--connect-timeout", "5s", "--namespace", "k8s.io", "--address"]).arg(socket);
    command
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn containerd_imports_every_image_under_its_name_and_unpacks_it() {
    let artifacts = Artifacts::ensure(Progress::stderr()).unwrap();
    let scratch = Scratch::new();
    let containerd = Containerd::start(&artifacts, &scratch);
    let ingress = ensure_ingress(Progress::stderr()).unwrap();
    for image in artifacts.images().into_iter().chain([&ingress]) {
        containerd.ctr(&["images", "import", "--local", "--snapshotter", "native", &image.archive.to_string_lossy()]);
        let check = containerd.ctr(&["images", "check", "--snapshotter", "native", &format!("name~={}$", image.name)]);
        assert!(check.contains(&image.name) && check.contains("complete"), "{}:\n{check}", image.name);
    }
}
