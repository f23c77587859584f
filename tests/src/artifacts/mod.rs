//! What the lab is made of: programs built from pinned sources, and container images made from them, all once and in a
//! cache outside the tree. Starts nothing: that is the lab's.

mod agnhost;
mod build;
mod cache;
mod daemons;
mod go;
pub mod image;
mod ingress;
mod linking;
mod output;
mod packages;
mod progress;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

pub use self::agnhost::NAME as AGNHOST;
pub use self::daemons::{Daemons, Profile};
pub use self::image::Image;
pub use self::ingress::{INGRESS, INGRESS_CONFIGURATION, ensure_ingress};
pub use self::progress::{Progress, Step};

use self::cache::Cache;
use self::go::{CONTAINER_PROGRAMS, CONTAINERD, COREDNS, KUBERNETES, SUITE};
use self::image::{Config, Layer, Spec};

/// The programs that run on the machine itself, and the images every cluster needs.
#[derive(Clone, Debug)]
pub struct Artifacts {
    /// All components of Kubernetes in one program, which looks at the name it is called by: `etcd`, `kube-apiserver`,
    /// `kube-controller-manager`, `kube-scheduler`, `kubelet`, `kube-proxy`, `kubectl`.
    pub kubernetes: PathBuf,
    /// The container runtime.
    pub containerd: PathBuf,
    /// Its client.
    pub ctr: PathBuf,
    /// What it starts for each pod; its directory must be in containerd's `PATH`.
    pub containerd_shim: PathBuf,
    /// `registry.k8s.io/pause:3.10.1`, also under the name of the suite's release.
    pub pause: Image,
    /// `registry.k8s.io/coredns/coredns` of the built version.
    pub coredns: Image,
    /// Kubernetes' own test server: `netexec` answers HTTP and UDP, `pause` waits, and much more.
    pub agnhost: Image,
}

/// Of the sandbox image, the first is the one containerd is told to use, the second the suite's.
const PAUSE: [&str; 2] = ["registry.k8s.io/pause:3.10.1", "registry.k8s.io/pause:3.10.2"];

impl Artifacts {
    /// Checks Debian's packages, then builds what isn't in the cache. Blocks, the first time for ten minutes.
    ///
    /// Each program can be named by an environment variable instead: `HERALD_LAB_KUBERNETES` (all components in one),
    /// `HERALD_LAB_CONTAINERD`, `HERALD_LAB_CTR`, `HERALD_LAB_CONTAINERD_SHIM_RUNC_V2`, `HERALD_LAB_COREDNS`,
    /// `HERALD_LAB_PAUSE`, `HERALD_LAB_AGNHOST`.
    ///
    /// # Errors
    /// Packages or Go are missing, or a build failed.
    pub fn ensure(progress: Progress) -> Result<Self> {
        packages::check()?;
        let cache = Cache::open()?;
        let kubernetes = KUBERNETES.ensure(&cache, progress)?;
        let runtime = CONTAINERD.ensure(&cache, progress)?;
        let contained = CONTAINER_PROGRAMS.ensure(&cache, progress)?;
        let coredns = COREDNS.ensure(&cache, progress)?;
        Ok(Self {
            kubernetes: kubernetes.path("kubernetes")?,
            containerd: runtime.path("containerd")?,
            ctr: runtime.path("ctr")?,
            containerd_shim: runtime.path("containerd-shim-runc-v2")?,
            pause: pause(&contained.path("pause")?).ensure(&cache, "pause", progress)?,
            coredns: name_server(&coredns.path("coredns")?)?.ensure(&cache, "coredns", progress)?,
            agnhost: agnhost::spec(&contained.path("agnhost")?)?.ensure(&cache, "agnhost", progress)?,
        })
    }

    /// The images every node is given.
    pub fn images(&self) -> [&Image; 3] {
        [&self.pause, &self.coredns, &self.agnhost]
    }
}

/// The programs of Kubernetes' own end-to-end suite.
#[derive(Clone, Debug)]
pub struct SuitePrograms {
    /// The suite.
    pub e2e: PathBuf,
    /// What runs it in several processes.
    pub ginkgo: PathBuf,
    /// The release it belongs to, for example `v1.36.3`.
    pub version: String,
}

impl SuitePrograms {
    /// Builds what isn't in the cache; `HERALD_LAB_E2E_TEST` and `HERALD_LAB_GINKGO` name others.
    ///
    /// # Errors
    /// Go is missing, or the build failed.
    pub fn ensure(progress: Progress) -> Result<Self> {
        let programs = SUITE.ensure(&Cache::open()?, progress)?;
        Ok(Self {
            e2e: programs.path("e2e.test")?,
            ginkgo: programs.path("ginkgo")?,
            version: SUITE.version("k8s.io/kubernetes")?,
        })
    }
}

fn pause(program: &Path) -> Spec {
    Spec {
        names: PAUSE.map(str::to_owned).to_vec(),
        layer: Layer::new().program("pause", program),
        config: Config { user: "65535:65535".to_owned(), entrypoint: vec!["/pause".to_owned()], ..Config::default() },
    }
}

fn name_server(program: &Path) -> Result<Spec> {
    let version = COREDNS.version("github.com/coredns/coredns")?;
    Ok(Spec {
        names: vec![format!("registry.k8s.io/coredns/coredns:{version}")],
        layer: Layer::new().program("coredns", program),
        config: Config { entrypoint: vec!["/coredns".to_owned()], ..Config::default() },
    })
}

/// The directory of this crate, in which the Go modules lie.
fn tests_directory() -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    fs::canonicalize(&directory).unwrap_or(directory)
}
