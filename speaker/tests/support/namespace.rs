//! A network namespace of the test's own, and programs in it.

use nix::sched::{CloneFlags, setns, unshare};
use std::ffi::OsStr;
use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};

/// A network namespace that lives as long as this value, or a thread or program in it.
pub(crate) struct Namespace {
    name: String,
    handle: File,
}

impl Namespace {
    /// Makes one with `lo` up and without the pauses that duplicate address detection costs.
    pub(crate) fn new(name: &str) -> Self {
        let handle = std::thread::scope(|scope| scope.spawn(make).join().expect("the thread that made a namespace"));
        let namespace = Self { name: name.to_owned(), handle };
        for scope in ["all", "default"] {
            namespace.sysctl(&format!("net/ipv6/conf/{scope}/accept_dad"), "0");
            namespace.sysctl(&format!("net/ipv6/conf/{scope}/router_solicitations"), "0");
        }
        namespace.run("ip link set dev lo up");
        namespace
    }

    /// The one that the calling thread is in.
    pub(crate) fn own() -> Self {
        let handle = File::open("/proc/thread-self/ns/net").expect("a handle on this thread's namespace");
        Self { name: "here".to_owned(), handle }
    }

    /// The name it was given, for messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A path that other programs can open it by, such as `ip link set dev DEV netns PATH` and `nsenter --net=PATH`.
    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.handle.as_raw_fd())
    }

    /// Runs a piece of code on a thread inside the namespace. Threads and programs it starts are inside too.
    pub(crate) fn within<T: Send>(&self, code: impl FnOnce() -> T + Send) -> T {
        let enter = || {
            setns(&self.handle, CloneFlags::CLONE_NEWNET).expect("entering a namespace needs CAP_SYS_ADMIN");
            code()
        };
        std::thread::scope(|scope| match scope.spawn(enter).join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }

    /// Runs a program to its end and returns what it printed. Words are split at spaces.
    ///
    /// # Panics
    /// If it is not installed or fails; the message holds what it said.
    pub(crate) fn run(&self, line: &str) -> String {
        self.attempt(line).unwrap_or_else(|said| panic!("{}: {line}: {said}", self.name))
    }

    /// As [`Namespace::run`], for a program that may fail.
    ///
    /// # Errors
    /// What a program that failed printed to its standard error.
    pub(crate) fn attempt(&self, line: &str) -> Result<String, String> {
        let mut words = line.split_whitespace();
        let mut command = Command::new(words.next().expect("a program"));
        let output = self.within(|| command.args(words).stdin(Stdio::null()).output());
        let output = output.unwrap_or_else(|error| missing(command.get_program(), &error));
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    /// Starts a program that goes on until its handle is dropped.
    ///
    /// # Panics
    /// If it is not installed.
    pub(crate) fn start(&self, command: &mut Command) -> Running {
        Running(self.within(|| command.spawn()).unwrap_or_else(|error| missing(command.get_program(), &error)))
    }

    /// Sets a kernel parameter, given as path below `/proc/sys`.
    pub(crate) fn sysctl(&self, path: &str, value: &str) {
        self.within(|| std::fs::write(format!("/proc/sys/{path}"), value))
            .unwrap_or_else(|error| panic!("{}: writing {value} to {path}: {error}", self.name));
    }

    /// Lays a cable to another namespace: a veth pair, both ends up.
    pub(crate) fn cable(&self, device: &str, other: &Self, other_device: &str) {
        let (here, there) = (self.path(), other.path());
        self.run(&format!("ip link add {device} netns {here} type veth peer name {other_device} netns {there}"));
        self.run(&format!("ip link set dev {device} up"));
        other.run(&format!("ip link set dev {other_device} up"));
    }
}

fn make() -> File {
    unshare(CloneFlags::CLONE_NEWNET).unwrap_or_else(|error| panic!("making a network namespace needs root: {error}"));
    File::open("/proc/thread-self/ns/net").expect("a handle on the new namespace")
}

fn missing(program: &OsStr, error: &std::io::Error) -> ! {
    let program = program.to_string_lossy();
    let package = match &*program {
        "ip" | "bridge" | "ss" => "iproute2",
        "nft" => "nftables",
        "ping" => "iputils-ping",
        "nsenter" => "util-linux",
        other => other,
    };
    assert!(error.kind() != ErrorKind::NotFound, "{program} is not there: apt-get install {package}");
    panic!("{program} could not be started: {error}")
}

/// A program that is ended when this is dropped.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nobody to end and the wait only collects it.
        let _ended_before = self.0.kill();
        let _status = self.0.wait();
    }
}
