//! The lab makes namespaces and mounts, which needs root.

use std::env;
use std::io::{IsTerminal, stdin};
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, bail};
use nix::unistd::geteuid;

/// Goes on as root: through sudo when a person is there to be asked for a password, else it says what to call.
pub(crate) fn require() -> Result<()> {
    if geteuid().is_root() {
        return Ok(());
    }
    let program = env::current_exe().context("finding this program")?;
    let mut sudo = Command::new("sudo");
    // sudo passes on neither the path by which Go and cargo are found nor the lab's own variables.
    sudo.arg("env");
    sudo.args(env::vars().filter(|(name, _)| is_passed_on(name)).map(|(name, value)| format!("{name}={value}")));
    sudo.arg(program).args(env::args_os().skip(1));
    if !stdin().is_terminal() {
        let call: Vec<_> = env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
        bail!("the lab makes network namespaces and mounts and needs root: sudo env \"PATH=$PATH\" {}", call.join(" "));
    }
    eprintln!("The lab makes network namespaces and mounts and needs root; going on through sudo.");
    Err(sudo.exec()).context("starting sudo; call this as root instead")
}

fn is_passed_on(variable: &str) -> bool {
    variable == "PATH" || variable.starts_with("HERALD_")
}
