//! The Debian packages whose programs the lab runs: `tests/packages.txt` lists them, and here is checked that they are there.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// One package a line, behind a `#` the programs or files it is wanted for.
const LIST: &str = include_str!("../../packages.txt");

/// Where administrators' programs are when `PATH` doesn't say.
const ADMINISTRATORS: [&str; 2] = ["/usr/sbin", "/sbin"];

/// Checks that every program of `tests/packages.txt` is there.
///
/// # Errors
/// Some are missing; the message lists their packages and the command that installs them.
pub(super) fn check() -> Result<()> {
    let missing: Vec<&str> = packages(LIST)
        .filter(|(_, wanted)| !wanted.iter().all(|wanted| find(wanted).is_some()))
        .map(|(package, _)| package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(" ");
    bail!(
        "these packages are missing: {missing}\ninstall them: apt-get install --yes --no-install-recommends {missing}"
    )
}

/// The path of a program, or of a file if the name is a path.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    if name.starts_with('/') {
        return Some(PathBuf::from(name)).filter(|path| path.exists());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(ADMINISTRATORS.iter().map(PathBuf::from))
        .map(|directory: PathBuf| directory.join(name))
        .find(|path: &PathBuf| Path::is_file(path))
}

fn packages(list: &str) -> impl Iterator<Item = (&str, Vec<&str>)> {
    list.lines().filter_map(|line| {
        let (package, wanted) = line.split_once('#').unwrap_or((line, ""));
        Some((package.split_whitespace().next()?, wanted.split_whitespace().collect()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_of_the_list_names_what_it_is_wanted_for() {
        let listed: Vec<_> = packages(LIST).collect();
        assert!(listed.len() > 10, "{listed:?}");
        for (package, wanted) in listed {
            assert!(!wanted.is_empty(), "{package} names no program");
        }
    }

    #[test]
    fn lines_of_comment_are_no_packages() {
        let list = "# heading\n\nrunc   # runc\ncni # /a/ptp /a/loopback\n";
        let listed: Vec<_> = packages(list).collect();
        assert_eq!(listed, [("runc", vec!["runc"]), ("cni", vec!["/a/ptp", "/a/loopback"])]);
    }
}
