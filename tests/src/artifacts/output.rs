//! Short commands whose standard output is wanted.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// Runs a command and returns its standard output.
///
/// # Errors
/// It can't be started, fails (then with its standard error), or says what is not UTF-8.
pub(super) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?} can't be started"))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}
