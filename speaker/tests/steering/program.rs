//! What the program makes of the guard.

use crate::site::{PATIENCE, Site, UNSERVED, VIPS, at, connect};
use crate::support::namespace::Namespace;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// An API server where nothing listens: the program waits for it, and serves its metrics meanwhile.
const KUBECONFIG: &str = "\
apiVersion: v1
kind: Config
clusters: [{ name: absent, cluster: { server: 'http://127.0.0.1:1' } }]
users: [{ name: nobody, user: {} }]
contexts: [{ name: absent, context: { cluster: absent, user: nobody } }]
current-context: absent
";

/// A file with [`KUBECONFIG`] that goes with this value.
pub(crate) struct Kubeconfig(PathBuf);

impl Kubeconfig {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Kubeconfig {
    fn drop(&mut self) {
        // Nothing hangs on a temporary file that stays.
        let _stays = std::fs::remove_file(&self.0);
    }
}

/// A kubeconfig that leads nowhere; each test gives it a name of its own.
pub(crate) fn unconnected(name: &str) -> Kubeconfig {
    let path = std::env::temp_dir().join(format!("herald-speaker-{name}-{}.conf", std::process::id()));
    std::fs::write(&path, KUBECONFIG).expect("a temporary file");
    Kubeconfig(path)
}

/// The metrics of the program that runs there, once it serves them.
pub(crate) fn metrics(node: &Namespace) -> String {
    crate::support::eventually("its metrics", PATIENCE, || scrape(node).map_err(|error| error.to_string()))
}

fn scrape(node: &Namespace) -> std::io::Result<String> {
    let mut stream = connect(node, at("127.0.0.1", 7473))?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

#[test]
fn what_the_guard_took_shows_in_the_program_s_metrics_unless_steering_is_off() {
    let site = Site::new();
    connect(&site.client.namespace, at(VIPS[0], UNSERVED)).expect_err("nobody serves it");
    let kubeconfig = unconnected("steering");
    let metrics = |steering: &str| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_herald-speaker"));
        program.args(["--node-name=node", &format!("--steering={steering}"), "--admin-address=127.0.0.1:7473"]);
        program.arg("--kubeconfig").arg(kubeconfig.path()).stderr(Stdio::null());
        let _program = site.node.namespace.start(&mut program);
        metrics(&site.node.namespace)
    };
    let (native, off) = (metrics("native"), metrics("off"));
    for line in [
        "herald_speaker_guard_packets_total{family=\"ip\",reason=\"refused\"} 1",
        "herald_speaker_guard_bytes_total{family=\"ip\",reason=\"refused\"} 60",
        "herald_speaker_guard_packets_total{family=\"ip6\",reason=\"refused\"} 0",
    ] {
        assert!(native.lines().any(|it| it == line), "{line} in\n{native}");
    }
    assert!(off.contains("herald_speaker_vips_known") && !off.contains("guard"), "{off}");
}
