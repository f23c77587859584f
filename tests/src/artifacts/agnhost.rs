//! The image of Kubernetes' own test server, `agnhost`, under the name that the pinned release of the suite asks for: the
//! server and the programs that specs run beside it. Upstream's image has an Alpine below; this one takes them from Debian.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::image::{Config, Layer, Spec};
use super::linking::libraries;
use super::output::output;
use super::packages::find;

/// The suite of the pinned release asks for this one (`test/utils/image/manifest.go`).
pub const NAME: &str = "registry.k8s.io/e2e-test-images/agnhost:2.63.0";

/// Real programs in place of busybox' applets: `sh`, because busybox' shell runs its own `wget` and `nc` whatever `PATH`
/// says; those two, because busybox' are linked statically and crash in glibc's name service; and `curl`.
const REAL: [(&str, &str); 4] =
    [("bin/sh", "dash"), ("usr/bin/curl", "curl"), ("usr/bin/wget", "wget"), ("usr/bin/nc", "nc")];

/// Applets that are not linked: what is there for real, and busybox itself, which is in its own list.
const NO_APPLETS: [&str; 6] = ["busybox", "sh", "ash", "curl", "wget", "nc"];

const NAME_SERVICE: &str = "hosts: files dns\n";

/// Specs that expect no answer wait for one `wget`, which by itself would try twenty times.
const WGET: &str = "tries = 1\n";

const USERS: &str = "root:x:0:0:root:/root:/bin/sh\n\
    user-defined-in-image:x:1000:1000::/home/user-defined-in-image:/bin/sh\n\
    nobody:x:65534:65534:nobody:/:/bin/false\n";

const GROUPS: &str = "root:x:0:\n\
    user-defined-in-image:x:1000:\n\
    group-defined-in-image:x:50000:user-defined-in-image\n\
    nogroup:x:65534:\n";

/// The image around the program `agnhost`.
///
/// # Errors
/// A program of `tests/packages.txt` is missing, or the libraries of one can't be listed.
pub(super) fn spec(agnhost: &Path) -> Result<Spec> {
    let busybox = installed("busybox")?;
    let mut layer = Layer::new()
        .program("agnhost", agnhost)
        .link("agnhost-2", "agnhost")
        .program("bin/busybox", &busybox)
        .directory("tmp", 0o1777)
        .directory("uploads", 0o755)
        .directory("root", 0o700)
        .text("etc/nsswitch.conf", NAME_SERVICE)
        .text("etc/wgetrc", WGET)
        .text("etc/passwd", USERS)
        .text("etc/group", GROUPS);
    for applet in applets(&busybox)? {
        layer = layer.link(&format!("bin/{applet}"), "busybox");
    }
    for (path, program) in REAL {
        let program = installed(program)?;
        for library in libraries(&program)? {
            layer = layer.program(&library, &library);
        }
        layer = layer.program(path, program);
    }
    Ok(Spec {
        names: vec![NAME.to_owned()],
        layer,
        config: Config {
            env: vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()],
            entrypoint: vec!["/agnhost".to_owned()],
            cmd: vec!["pause".to_owned()],
            ..Config::default()
        },
    })
}

fn installed(program: &str) -> Result<PathBuf> {
    find(program).with_context(|| format!("{program} is missing: install the packages of tests/packages.txt"))
}

fn applets(busybox: &Path) -> Result<Vec<String>> {
    let listed = output(Command::new(busybox).arg("--list"))?;
    Ok(listed.lines().filter(|applet| !NO_APPLETS.contains(applet)).map(str::to_owned).collect())
}
