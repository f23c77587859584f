//! What a dynamically linked program needs beside it in an image.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use super::output::output;

/// The paths of the loader and the libraries of a program.
///
/// # Errors
/// They can't be listed, or one is not on this machine.
pub(super) fn libraries(program: &Path) -> Result<Vec<String>> {
    let listed = output(Command::new("ldd").arg(program))?;
    let mut paths = Vec::new();
    for line in listed.lines() {
        // "libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x..)", "/lib64/ld-linux-x86-64.so.2 (0x..)", "linux-vdso.so.1 (0x..)"
        if line.contains("not found") {
            bail!("{} needs a library that is not on this machine: {}", program.display(), line.trim());
        }
        paths.extend(line.split_whitespace().find(|word| word.starts_with('/')).map(str::to_owned));
    }
    Ok(paths)
}
