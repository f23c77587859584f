//! What the Go modules give.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::super::AGNHOST;
use super::super::go::{CONTAINER_PROGRAMS, CONTAINERD, COREDNS, KUBERNETES, Part, SUITE};

fn names(part: &Part) -> Vec<String> {
    part.names().collect()
}

#[test]
fn programs_are_called_as_go_calls_them() {
    assert_eq!(names(&KUBERNETES), ["kubernetes"]);
    assert_eq!(names(&CONTAINERD), ["containerd", "ctr", "containerd-shim-runc-v2"]);
    assert_eq!(names(&CONTAINER_PROGRAMS), ["pause", "agnhost"]);
    assert_eq!(names(&COREDNS), ["coredns"]);
    assert_eq!(names(&SUITE), ["ginkgo", "e2e.test"]);
}

#[test]
fn the_version_kubernetes_shows_is_the_one_its_module_pins() {
    let version = KUBERNETES.version("k8s.io/kubernetes").unwrap();
    let flags = KUBERNETES.flags().unwrap().join(" ");
    assert!(version.starts_with("v1."), "{version}");
    assert!(flags.contains(&format!("-X k8s.io/component-base/version.gitVersion={version} ")), "{flags}");
    let unknown = KUBERNETES.version("example.com/none").unwrap_err();
    assert!(unknown.to_string().ends_with("doesn't require example.com/none"), "{unknown}");
}

#[test]
fn the_server_image_is_the_one_the_pinned_suite_asks_for() {
    let module = Command::new("go")
        .args(["list", "-m", "-f", "{{.Dir}}", "k8s.io/kubernetes"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/kubernetes"))
        .output()
        .expect("Go is missing: install it");
    let directory = String::from_utf8(module.stdout).unwrap();
    let manifest = fs::read_to_string(Path::new(directory.trim()).join("test/utils/image/manifest.go"));
    let manifest = manifest.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&module.stderr)));
    let (name, version) = AGNHOST.rsplit_once(':').unwrap();
    let asked = format!("configs[Agnhost] = Config{{list.PromoterE2eRegistry, \"agnhost\", \"{version}\"}}");
    assert!(manifest.contains(&asked), "the suite doesn't ask for {AGNHOST}");
    assert_eq!(name, "registry.k8s.io/e2e-test-images/agnhost");
}
