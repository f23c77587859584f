//! Container images made from files, without a container engine: one layer, its configuration and a manifest in a
//! docker-archive, which `ctr images import` reads. The same files give the same bytes. Knows nothing of which images exist.

use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use aws_lc_rs::digest::{self, SHA256};
use serde::Serialize;
use serde_json::json;
use tar::{EntryType, Header};

use super::cache::{Cache, Fingerprint, hex};
use super::progress::Progress;

/// An image in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The name by which manifests ask for it.
    pub name: String,
    /// The docker-archive.
    pub archive: PathBuf,
}

/// What an image is made of.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Its names, for example `registry.k8s.io/pause:3.10.1`; the first one is the principal one.
    pub names: Vec<String>,
    /// Its files.
    pub layer: Layer,
    /// How it is run.
    pub config: Config,
}

/// How an image is run; what is empty is left to whoever runs it.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Config {
    /// `UID:GID`, empty for root.
    pub user: String,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// The program and its first arguments.
    pub entrypoint: Vec<String>,
    /// More arguments, which a pod's `args` replace.
    pub cmd: Vec<String>,
    /// The directory to run in.
    pub working_dir: String,
}

impl Spec {
    /// Makes the image in the cache unless it is there.
    ///
    /// # Errors
    /// A file can't be read, or the archive can't be written.
    pub(super) fn ensure(&self, cache: &Cache, thing: &str, progress: Progress) -> Result<Image> {
        let name = self.names.first().context("an image needs a name")?.clone();
        let mut fingerprint = Fingerprint::new();
        fingerprint.text(&serde_json::to_string(&(&self.names, &self.config, ARCH))?);
        self.layer.add_to(&mut fingerprint)?;
        let entry = cache.entry(&format!("image-{thing}"), &fingerprint.key(), progress, |directory| {
            build(self, &directory.join(ARCHIVE)).with_context(|| format!("image {name} can't be made"))
        })?;
        Ok(Image { name, archive: entry.join(ARCHIVE) })
    }
}

const ARCHIVE: &str = "image.tar";

/// Writes the docker-archive of an image to `out`.
///
/// # Errors
/// A file can't be read, or the archive can't be written.
pub fn build(spec: &Spec, out: &Path) -> Result<()> {
    let scratch = out.with_extension("layer");
    let layer = spec.layer.write(&scratch)?;
    let config = serde_json::to_vec(&json!({
        "architecture": match ARCH { "x86_64" => "amd64", "aarch64" => "arm64", other => other },
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": spec.config,
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{layer}")] },
        "history": [{ "created": "1970-01-01T00:00:00Z", "created_by": "herald lab" }],
    }))?;
    let config_name = format!("{}.json", hex(digest::digest(&SHA256, &config).as_ref()));
    let layer_name = format!("{layer}/layer.tar");
    let manifest =
        serde_json::to_vec(&json!([{ "Config": config_name, "RepoTags": spec.names, "Layers": [layer_name] }]))?;

    let mut archive = tar::Builder::new(create(out)?);
    append(&mut archive, "manifest.json", &manifest)?;
    append(&mut archive, &config_name, &config)?;
    let mut header = header(EntryType::Regular, 0o644);
    header.set_size(fs::metadata(&scratch)?.len());
    archive.append_data(&mut header, layer_name, BufReader::new(File::open(&scratch)?))?;
    archive.into_inner()?.flush()?;
    fs::remove_file(&scratch)?;
    Ok(())
}

fn append(archive: &mut tar::Builder<BufWriter<File>>, name: &str, content: &[u8]) -> Result<()> {
    let mut header = header(EntryType::Regular, 0o644);
    header.set_size(u64::try_from(content.len())?);
    archive.append_data(&mut header, name, content)?;
    Ok(())
}

/// A header of root's, of no time and no particular machine, so that the same files give the same bytes.
fn header(kind: EntryType, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    header
}

fn create(path: &Path) -> Result<BufWriter<File>> {
    Ok(BufWriter::new(File::create(path).with_context(|| format!("{} can't be written", path.display()))?))
}

/// The files of an image by path without the leading slash. Directories on the way are made.
#[derive(Clone, Debug, Default)]
pub struct Layer {
    entries: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug)]
enum Entry {
    Directory { mode: u32 },
    Copy { of: PathBuf, mode: u32 },
    Text { content: String, mode: u32 },
    Link { target: String },
}

impl Layer {
    /// No files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a program: a copy of the file `of`, which everybody may run.
    #[must_use]
    pub fn program(self, path: &str, of: impl Into<PathBuf>) -> Self {
        self.with(path, Entry::Copy { of: of.into(), mode: 0o755 })
    }

    /// Adds a text file, which everybody may read.
    #[must_use]
    pub fn text(self, path: &str, content: impl Into<String>) -> Self {
        self.with(path, Entry::Text { content: content.into(), mode: 0o644 })
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn link(self, path: &str, target: impl Into<String>) -> Self {
        self.with(path, Entry::Link { target: target.into() })
    }

    /// Adds an empty directory.
    #[must_use]
    pub fn directory(self, path: &str, mode: u32) -> Self {
        self.with(path, Entry::Directory { mode })
    }

    /// Adds all that is in a directory: files and directories with their modes, and symbolic links as they are.
    ///
    /// # Errors
    /// Something can't be read, is neither of these, or has a name that is not UTF-8.
    pub fn tree(mut self, root: &Path) -> Result<Self> {
        let mut pending = vec![root.to_owned()];
        while let Some(directory) = pending.pop() {
            let listed = fs::read_dir(&directory).with_context(|| format!("{} can't be read", directory.display()))?;
            for entry in listed {
                let path = entry?.path();
                let name = path.strip_prefix(root)?.to_str();
                let name = name.with_context(|| format!("{} is not UTF-8", path.display()))?;
                let metadata = fs::symlink_metadata(&path)?;
                let mode = metadata.permissions().mode() & 0o7777;
                let entry = if metadata.is_dir() {
                    pending.push(path.clone());
                    Entry::Directory { mode }
                } else if metadata.is_file() {
                    Entry::Copy { of: path.clone(), mode }
                } else if metadata.is_symlink() {
                    let target = fs::read_link(&path)?;
                    let target = target.to_str().with_context(|| format!("{}'s target", path.display()))?;
                    Entry::Link { target: target.to_owned() }
                } else {
                    bail!("{} is neither file, directory nor symbolic link: leave it out of the image", path.display());
                };
                self = self.with(name, entry);
            }
        }
        Ok(self)
    }

    fn with(mut self, path: &str, entry: Entry) -> Self {
        let path = path.trim_matches('/');
        for (slash, _) in path.match_indices('/') {
            if let Some(parent) = path.get(..slash) {
                self.entries.entry(parent.to_owned()).or_insert(Entry::Directory { mode: 0o755 });
            }
        }
        self.entries.insert(path.to_owned(), entry);
        self
    }

    fn add_to(&self, fingerprint: &mut Fingerprint) -> Result<()> {
        for (path, entry) in &self.entries {
            fingerprint.text(path);
            match entry {
                Entry::Directory { mode } => fingerprint.text(&format!("directory {mode:o}")),
                Entry::Copy { of, mode } => fingerprint.text(&format!("file {mode:o}")).file(of)?,
                Entry::Text { content, mode } => fingerprint.text(&format!("file {mode:o}")).text(content),
                Entry::Link { target } => fingerprint.text("link").text(target),
            };
        }
        Ok(())
    }

    /// Writes the layer as a tar and returns its digest in hexadecimal digits.
    fn write(&self, out: &Path) -> Result<String> {
        let digested = Digested { inner: create(out)?, digest: digest::Context::new(&SHA256) };
        let mut archive = tar::Builder::new(digested);
        for (path, entry) in &self.entries {
            entry.append(&mut archive, path).with_context(|| format!("/{path} of the image can't be written"))?;
        }
        let mut digested = archive.into_inner()?;
        digested.inner.flush()?;
        Ok(hex(digested.digest.finish().as_ref()))
    }
}

impl Entry {
    fn append(&self, archive: &mut tar::Builder<impl Write>, path: &str) -> Result<()> {
        match self {
            Self::Directory { mode } => {
                archive.append_data(&mut header(EntryType::Directory, *mode), format!("{path}/"), io::empty())?;
            }
            Self::Copy { of, mode } => {
                let file = File::open(of).with_context(|| format!("{} can't be read", of.display()))?;
                let length = file.metadata()?.len();
                let mut header = header(EntryType::Regular, *mode);
                header.set_size(length);
                // A file that grows meanwhile must not spoil the archive.
                archive.append_data(&mut header, path, BufReader::new(file).take(length))?;
            }
            Self::Text { content, mode } => {
                let mut header = header(EntryType::Regular, *mode);
                header.set_size(u64::try_from(content.len())?);
                archive.append_data(&mut header, path, content.as_bytes())?;
            }
            Self::Link { target } => archive.append_link(&mut header(EntryType::Symlink, 0o777), path, target)?,
        }
        Ok(())
    }
}

/// Digests what passes through.
struct Digested<W> {
    inner: W,
    digest: digest::Context,
}

impl<W: Write> Write for Digested<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.digest.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
