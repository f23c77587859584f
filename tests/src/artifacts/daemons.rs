//! Herald's own daemons as images: built by cargo, which alone decides what is fresh, linked statically, one program in an
//! image made from nothing.

use std::env;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use nix::unistd::{Uid, User};
use serde::Deserialize;

use super::build;
use super::cache::{Cache, Fingerprint};
use super::go::named_by_environment;
use super::image::{Config, Image, Layer, Spec};
use super::output::output;
use super::progress::Progress;

/// How the daemons are compiled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Optimised, but quick to build again: for everything that doesn't measure.
    #[default]
    Lab,
    /// As they are shipped: for everything that measures.
    Release,
}

impl Profile {
    fn name(self) -> &'static str {
        match self {
            Self::Lab => "lab",
            Self::Release => "release",
        }
    }
}

/// Herald's images.
#[derive(Clone, Debug)]
pub struct Daemons {
    /// `herald-lb/controller:dev`, which runs as nobody in particular.
    pub controller: Image,
    /// `herald-lb/speaker:dev`, which runs as root.
    pub speaker: Image,
}

const CONTROLLER: &str = "herald-controller";
const SPEAKER: &str = "herald-speaker";

impl Daemons {
    /// Builds the daemons (or takes those that `HERALD_LAB_HERALD_CONTROLLER` and `HERALD_LAB_HERALD_SPEAKER` name) and
    /// their images.
    ///
    /// # Errors
    /// They don't compile, or an image can't be written.
    pub fn ensure(profile: Profile, progress: Progress) -> Result<Self> {
        let cache = Cache::open()?;
        let (controller, speaker) = match (named_by_environment(CONTROLLER)?, named_by_environment(SPEAKER)?) {
            (Some(controller), Some(speaker)) => (controller, speaker),
            (controller, speaker) => {
                let built = compile(profile, progress)?;
                (
                    controller.map_or_else(|| built.path(CONTROLLER), Ok)?,
                    speaker.map_or_else(|| built.path(SPEAKER), Ok)?,
                )
            }
        };
        Ok(Self {
            controller: image(&cache, CONTROLLER, &controller, "65532:65532", progress)?,
            speaker: image(&cache, SPEAKER, &speaker, "", progress)?,
        })
    }
}

/// An image of nothing but the program, without its symbols: they are two thirds of it, and every node gets a copy.
fn image(cache: &Cache, name: &str, program: &Path, user: &str, progress: Progress) -> Result<Image> {
    let mut fingerprint = Fingerprint::new();
    fingerprint.file(program)?;
    let stripped = cache.entry(name, &fingerprint.key(), progress, |directory| {
        output(Command::new("strip").arg("-o").arg(directory.join(name)).arg(program)).map(drop)
    })?;
    let component = name.trim_start_matches("herald-");
    Spec {
        names: vec![format!("herald-lb/{component}:dev")],
        layer: Layer::new().program(name, stripped.join(name)),
        config: Config { user: user.to_owned(), entrypoint: vec![format!("/{name}")], ..Config::default() },
    }
    .ensure(cache, component, progress)
}

/// What cargo built.
struct Built(Vec<PathBuf>);

impl Built {
    fn path(&self, name: &str) -> Result<PathBuf> {
        let found = self.0.iter().find(|path| path.file_name().is_some_and(|file| file == name));
        found.cloned().with_context(|| format!("cargo built no program {name}"))
    }
}

/// The one line of cargo's messages that is read: of a finished program.
#[derive(Deserialize)]
struct Message {
    executable: Option<PathBuf>,
}

fn compile(profile: Profile, progress: Progress) -> Result<Built> {
    let cargo = Toolchain::find();
    let triple = cargo.host()?;
    let mut step = progress.begin(format!("building Herald's daemons, profile {}", profile.name()));
    let mut command = cargo.command("cargo");
    command
        .current_dir(super::tests_directory().join(".."))
        .args(["build", "--locked", "--package", CONTROLLER, "--package", SPEAKER])
        .args(["--profile", profile.name(), "--message-format", "json-render-diagnostics"])
        // Named, so that these flags don't touch what is built for this machine on the way: macros and build scripts.
        .args(["--target", &triple])
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    let messages = build::run(command, &mut step)?;
    step.end();
    let messages = serde_json::Deserializer::from_slice(&messages).into_iter::<Message>();
    let executables = messages.filter_map(|message| message.map(|message| message.executable).transpose());
    Ok(Built(executables.collect::<Result<_, _>>().context("cargo's messages can't be read")?))
}

/// Cargo and rustc, as the user who called `sudo` if there is one: root must not own what lies in the tree.
struct Toolchain {
    directory: PathBuf,
    user: Option<User>,
}

impl Toolchain {
    /// The toolchain that built this program, which is found under `sudo`, too.
    fn find() -> Self {
        let cargo = Path::new(env!("CARGO"));
        let caller = env::var("SUDO_UID").ok().and_then(|uid| uid.parse().ok()).map(Uid::from_raw);
        Self {
            directory: cargo.parent().map_or_else(PathBuf::new, Path::to_owned),
            user: caller.and_then(|uid| User::from_uid(uid).ok().flatten()),
        }
    }

    fn command(&self, name: &str) -> Command {
        let mut path = OsString::from(&self.directory);
        path.push(":");
        path.push(env::var_os("PATH").unwrap_or_default());
        let mut command = Command::new(self.directory.join(name));
        command.env("PATH", path);
        if let Some(user) = &self.user {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw()).env("HOME", &user.dir).env("USER", &user.name);
        }
        command
    }

    /// The triple of this machine.
    fn host(&self) -> Result<String> {
        let output = self.command("rustc").arg("-vV").output().context("rustc can't be started")?;
        let text = String::from_utf8_lossy(&output.stdout);
        match text.lines().find_map(|line| line.strip_prefix("host: ")) {
            Some(triple) => Ok(triple.to_owned()),
            None => bail!("rustc doesn't say which machine it is for: {text}"),
        }
    }
}
