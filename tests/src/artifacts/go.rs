//! The parts that are built from Go modules below `tests/`: which programs each module gives, how they are built, and
//! what a new build of them depends on. Knows nothing of what the programs are used for.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::build;
use super::cache::{Cache, Fingerprint, Key};
use super::progress::{Progress, Step};

/// A Go module below `tests/`, or as much of one as is wanted together.
#[derive(Debug)]
pub(super) struct Part {
    /// Names the part in the cache and to the reader.
    pub(super) name: &'static str,
    /// The module's directory below `tests/`.
    pub(super) module: &'static str,
    /// Commands to build: `.` and `./x` of the module itself, others of what it depends on.
    pub(super) commands: &'static [&'static str],
    /// Packages of the module whose test binary is wanted.
    pub(super) test_binaries: &'static [&'static str],
    /// Build tags.
    pub(super) tags: &'static [&'static str],
    /// The dependency whose version the programs show as Kubernetes' version.
    pub(super) version_of: Option<&'static str>,
    /// What a first build costs on two cores.
    pub(super) first_time: &'static str,
}

/// The control plane and the node's software in one program.
pub(super) const KUBERNETES: Part = Part {
    name: "kubernetes",
    module: "kubernetes",
    commands: &["."],
    test_binaries: &[],
    tags: &[],
    version_of: Some("k8s.io/kubernetes"),
    first_time: "6 min",
};

/// What containers are made of: `pause` in every pod, and `agnhost`, Kubernetes' own test server.
pub(super) const CONTAINER_PROGRAMS: Part = Part {
    name: "container-programs",
    module: "kubernetes",
    commands: &["./pause", "k8s.io/kubernetes/test/images/agnhost"],
    test_binaries: &[],
    tags: &[],
    version_of: None,
    first_time: "half a minute",
};

/// Kubernetes' own end-to-end suite and the program that runs it in parallel.
pub(super) const SUITE: Part = Part {
    name: "suite",
    module: "kubernetes",
    commands: &["github.com/onsi/ginkgo/v2/ginkgo"],
    test_binaries: &["./e2e"],
    tags: &[],
    version_of: Some("k8s.io/kubernetes"),
    first_time: "3 min",
};

/// The container runtime.
pub(super) const CONTAINERD: Part = Part {
    name: "containerd",
    module: "containerd",
    commands: &["./containerd", "./ctr", "./containerd-shim-runc-v2"],
    test_binaries: &[],
    tags: &["no_btrfs", "no_devmapper", "no_zfs"],
    version_of: None,
    first_time: "a minute",
};

/// The cluster's name server.
pub(super) const COREDNS: Part = Part {
    name: "coredns",
    module: "coredns",
    commands: &["."],
    test_binaries: &[],
    tags: &[],
    version_of: None,
    first_time: "a minute",
};

/// Programs by name.
#[derive(Debug)]
pub(super) struct Programs(BTreeMap<String, PathBuf>);

impl Programs {
    /// The path of a program of the part.
    ///
    /// # Errors
    /// The part has no such program.
    pub(super) fn path(&self, name: &str) -> Result<PathBuf> {
        self.0.get(name).cloned().with_context(|| format!("no program is called {name}"))
    }
}

impl Part {
    /// The part's programs: those that environment variables name (`HERALD_LAB_KUBERNETES` for `kubernetes`), the others
    /// from the cache, built if they aren't there.
    ///
    /// # Errors
    /// A named program is not there, Go is missing or too old, or the build failed.
    pub(super) fn ensure(&self, cache: &Cache, progress: Progress) -> Result<Programs> {
        let mut programs = BTreeMap::new();
        let mut wanted = Vec::new();
        for name in self.names() {
            match named_by_environment(&name)? {
                Some(path) => drop(programs.insert(name, path)),
                None => wanted.push(name),
            }
        }
        if !wanted.is_empty() {
            let go = Go::find()?;
            let entry = cache.entry(self.name, &self.key(&go)?, progress, |directory| {
                let mut step = progress.begin(format!("building {} (the first time {})", self.name, self.first_time));
                self.build(&go, directory, &mut step)?;
                step.end();
                Ok(())
            })?;
            programs.extend(wanted.into_iter().map(|name| (name.clone(), entry.join(name))));
        }
        Ok(Programs(programs))
    }

    /// File names of the programs.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        let commands = self.commands.iter().map(|package| match package.rsplit_once('/') {
            Some((_, name)) => name.to_owned(),
            None => self.module.to_owned(),
        });
        let tests = self.test_binaries.iter().map(|package| format!("{}.test", package.trim_start_matches("./")));
        commands.chain(tests)
    }

    fn build(&self, go: &Go, directory: &Path, step: &mut Step) -> Result<()> {
        let flags = self.flags()?;
        let mut command = go.command(&self.directory());
        command.arg("build").args(&flags).arg("-o").arg(directory.join("")).args(self.commands);
        build::run(command, step)?;
        for package in self.test_binaries {
            let mut command = go.command(&self.directory());
            command.args(["test", "-c"]).args(&flags).arg("-o").arg(directory.join("")).arg(package);
            build::run(command, step)?;
        }
        for name in self.names() {
            let program = directory.join(name);
            if !program.is_file() {
                bail!("the build of {} gave no {}", self.name, program.display());
            }
        }
        Ok(())
    }

    pub(super) fn flags(&self) -> Result<Vec<String>> {
        let mut linker = "-s -w".to_owned();
        if let Some(dependency) = self.version_of {
            linker.push_str(&self.version_flags(dependency)?);
        }
        let mut flags = vec!["-v".to_owned(), "-trimpath".to_owned(), format!("-ldflags={linker}")];
        if !self.tags.is_empty() {
            flags.push(format!("-tags={}", self.tags.join(",")));
        }
        Ok(flags)
    }

    /// Kubernetes' programs read their own version from variables that its build scripts set.
    fn version_flags(&self, dependency: &str) -> Result<String> {
        let version = self.version(dependency)?;
        let mut numbers = version.trim_start_matches('v').split('.');
        let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
        let values = [("gitVersion", version.as_str()), ("gitMajor", major), ("gitMinor", minor)];
        let packages = ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"];
        let flags = packages.iter().flat_map(|package| {
            values.iter().map(move |(variable, value)| format!(" -X {package}.{variable}={value}"))
        });
        Ok(flags.collect())
    }

    /// The version of a dependency that the module's `go.mod` pins.
    ///
    /// # Errors
    /// `go.mod` can't be read or doesn't require it.
    pub(super) fn version(&self, dependency: &str) -> Result<String> {
        let path = self.directory().join("go.mod");
        let text = fs::read_to_string(&path).with_context(|| format!("{} can't be read", path.display()))?;
        let mut words = text.lines().map(|line| line.trim().trim_start_matches("require ").split_whitespace());
        words
            .find_map(|mut words| (words.next() == Some(dependency)).then(|| words.next().map(str::to_owned)).flatten())
            .with_context(|| format!("{} doesn't require {dependency}", path.display()))
    }

    fn key(&self, go: &Go) -> Result<Key> {
        let mut fingerprint = Fingerprint::new();
        fingerprint.text(&go.version);
        for flag in self.flags()? {
            fingerprint.text(&flag);
        }
        for package in self.commands.iter().chain(self.test_binaries) {
            fingerprint.text(package);
            if package.starts_with('.') {
                for source in sources(&self.directory().join(package))? {
                    fingerprint.file(&source)?;
                }
            }
        }
        fingerprint.file(&self.directory().join("go.mod"))?.file(&self.directory().join("go.sum"))?;
        Ok(fingerprint.key())
    }

    fn directory(&self) -> PathBuf {
        super::tests_directory().join(self.module)
    }
}

/// The Go files of a package, in order.
fn sources(package: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(package).with_context(|| format!("{} can't be read", package.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "go") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The file that an environment variable names in place of a program of our own building.
pub(super) fn named_by_environment(program: &str) -> Result<Option<PathBuf>> {
    let letters = program.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
    let variable = format!("HERALD_LAB_{}", letters.collect::<String>());
    let Some(value) = env::var_os(&variable) else { return Ok(None) };
    let path = PathBuf::from(value);
    if !path.is_file() {
        bail!("{variable} names {}, which is no file: correct it or unset it", path.display());
    }
    Ok(Some(path))
}

/// The Go toolchain.
#[derive(Debug)]
struct Go {
    program: PathBuf,
    /// Release, system and architecture.
    version: String,
}

/// Where distributions and Go's own archive put it when it isn't in `PATH`, which `sudo` shortens.
const GO_DIRECTORIES: [&str; 2] = ["/usr/local/go/bin", "/usr/lib/go/bin"];

impl Go {
    fn find() -> Result<Self> {
        let path = env::var_os("PATH").unwrap_or_default();
        let program = env::split_paths(&path)
            .chain(GO_DIRECTORIES.iter().map(PathBuf::from))
            .map(|directory| directory.join("go"))
            .find(|program| program.is_file())
            .context(
                "Go is missing: install Go 1.21 or newer (the release that go.mod names is then fetched by itself)",
            )?;
        let go = Self { program, version: String::new() };
        // Asked in a module, so that the answer is the release that go.mod chooses.
        let output = go.command(&KUBERNETES.directory()).args(["env", "GOVERSION", "GOOS", "GOARCH"]).output()?;
        if !output.status.success() {
            bail!("{} can't be used: {}", go.program.display(), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(Self { version: String::from_utf8(output.stdout)?.split_whitespace().collect::<Vec<_>>().join(" "), ..go })
    }

    fn command(&self, directory: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command
            .current_dir(directory)
            .env("CGO_ENABLED", "0")
            .env("GOFLAGS", "-mod=readonly -buildvcs=false")
            .env("GOWORK", "off");
        if env::var_os("HOME").is_none() {
            command.env("HOME", OsString::from("/root")); // Go wants a place for its caches
        }
        command
    }
}
