//! What the program does on kernels that lack what the guard is made of.

use crate::program::{metrics, unconnected};
use crate::support::namespace::Namespace;
use crate::support::station::python;
use std::process::{Command, Output, Stdio};

/// How kernels lack it; `kernel_without.py` says what each is, and makes this one look so.
const KERNELS: [&str; 3] = ["netfilter", "nf_tables", "batches"];

fn on_kernel_without(what: &str) -> Command {
    let mut command = Command::new(python());
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/steering/kernel_without.py"));
    command.args([what, env!("CARGO_BIN_EXE_herald-speaker"), "--node-name=node"]);
    command.stdin(Stdio::null());
    command
}

fn to_its_end(node: &Namespace, mut command: Command) -> Output {
    node.within(|| command.output()).expect("Python is there")
}

#[test]
fn without_nf_tables_the_program_ends_with_one_line_that_says_what_to_do() {
    let node = Namespace::new("node");
    let kubeconfig = unconnected("lacking-end");
    for kernel in KERNELS {
        for flags in [&["--steering=native"][..], &["--cleanup"]] {
            let mut command = on_kernel_without(kernel);
            command.arg("--kubeconfig").arg(kubeconfig.path()).args(flags);
            let output = to_its_end(&node, command);
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{kernel} {flags:?}: {said}");
            assert_eq!(said.lines().count(), 1, "{kernel} {flags:?}: {said}");
            for part in ["no nf_tables", "modprobe nf_tables", "--steering=off"] {
                assert!(said.contains(part), "{kernel} {flags:?}: {part} is missing: {said}");
            }
        }
    }
}

#[test]
fn without_nf_tables_and_steering_the_program_runs() {
    let node = Namespace::new("node");
    let kubeconfig = unconnected("lacking-run");
    for kernel in KERNELS {
        let mut command = on_kernel_without(kernel);
        command.args(["--steering=off", "--admin-address=127.0.0.1:7473"]).arg("--kubeconfig").arg(kubeconfig.path());
        let _program = node.start(command.stderr(Stdio::null()));
        let metrics = metrics(&node);
        assert!(metrics.contains("herald_speaker_vips_known"), "{kernel}: {metrics}");
    }
}
