//! Images read by Python's tar module, which shares no code with what wrote them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::super::image::{Config, Layer, Spec, build};
use super::Scratch;

/// Reads an archive, checks every digest in it, and prints what is in it as JSON.
const READER: &str = r#"
import hashlib, io, json, sys, tarfile
outer = tarfile.open(sys.argv[1])
read = lambda name: outer.extractfile(name).read()
[image] = json.loads(read("manifest.json"))
config = json.loads(read(image["Config"]))
assert image["Config"] == hashlib.sha256(read(image["Config"])).hexdigest() + ".json", "digest of the configuration"
[layer] = image["Layers"]
[diff_id] = config["rootfs"]["diff_ids"]
assert diff_id == "sha256:" + hashlib.sha256(read(layer)).hexdigest(), "digest of the layer"
files = {}
inner = tarfile.open(fileobj=io.BytesIO(read(layer)))
for member in inner:
    assert (member.uid, member.gid, member.mtime) == (0, 0, 0), member.name
    kind = {tarfile.REGTYPE: "file", tarfile.DIRTYPE: "directory", tarfile.SYMTYPE: "link"}[member.type]
    content = inner.extractfile(member).read().decode() if member.isfile() else member.linkname
    files[member.name] = [kind, oct(member.mode), content]
print(json.dumps({"names": image["RepoTags"], "config": config["config"], "os": config["os"], "files": files}))
"#;

fn read(archive: &Path) -> Value {
    let output = Command::new("python3").args(["-c", READER]).arg(archive).output();
    let output = output.expect("python3 is missing: install the packages of tests/packages.txt");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn spec(layer: Layer) -> Spec {
    Spec { names: vec!["example.com/web:1".to_owned()], layer, config: Config::default() }
}

#[test]
fn an_independent_reader_finds_what_was_put_in_and_right_digests() {
    let scratch = Scratch::new();
    let program = scratch.write("program", "#!/bin/true");
    let long = format!("a/{}/file", "long".repeat(40));
    let layer = Layer::new()
        .program("/usr/bin/web", &program)
        .text("etc/hosts", "127.0.0.1 localhost\n")
        .text(&long, "far")
        .link("bin", "usr/bin")
        .directory("tmp", 0o1777);
    let config = Config {
        user: "65532:65532".to_owned(),
        env: vec!["PATH=/bin".to_owned()],
        entrypoint: vec!["/usr/bin/web".to_owned()],
        cmd: vec!["--port=80".to_owned()],
        working_dir: "/tmp".to_owned(),
    };
    let archive = scratch.path("image.tar");
    build(&Spec { names: vec!["a:1".to_owned(), "b:2".to_owned()], layer, config }, &archive).unwrap();

    let seen = read(&archive);
    assert_eq!(seen["names"], json!(["a:1", "b:2"]));
    assert_eq!(seen["os"], "linux");
    assert_eq!(
        seen["config"],
        json!({ "User": "65532:65532", "Env": ["PATH=/bin"], "Entrypoint": ["/usr/bin/web"], "Cmd": ["--port=80"],
            "WorkingDir": "/tmp" })
    );
    let directory = json!(["directory", "0o755", ""]);
    assert_eq!(
        seen["files"],
        json!({
            "a": directory, (long.trim_end_matches("/file")): directory, "etc": directory, "usr": directory,
            "usr/bin": directory,
            "tmp": ["directory", "0o1777", ""],
            "usr/bin/web": ["file", "0o755", "#!/bin/true"],
            "etc/hosts": ["file", "0o644", "127.0.0.1 localhost\n"],
            (long): ["file", "0o644", "far"],
            "bin": ["link", "0o777", "usr/bin"],
        })
    );
}

#[test]
fn a_directory_becomes_an_image_with_its_modes_and_links() {
    let scratch = Scratch::new();
    let script = scratch.write("root/bin/hello", "echo hello");
    fs::set_permissions(&script, PermissionsExt::from_mode(0o751)).unwrap();
    symlink("hello", scratch.path("root/bin/hi")).unwrap();
    let archive = scratch.path("image.tar");
    build(&spec(Layer::new().tree(&scratch.path("root")).unwrap()), &archive).unwrap();

    let files = &read(&archive)["files"];
    assert_eq!(files["bin/hello"], json!(["file", "0o751", "echo hello"]));
    assert_eq!(files["bin/hi"], json!(["link", "0o777", "hello"]));
    assert_eq!(files["bin"][0], "directory");
}

#[test]
fn what_no_image_can_hold_is_refused_by_name() {
    let scratch = Scratch::new();
    scratch.write("root/file", "");
    let socket = scratch.path("root/socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    let refused = Layer::new().tree(&scratch.path("root")).unwrap_err();
    assert!(refused.to_string().starts_with(&socket.display().to_string()), "{refused}");
}

#[test]
fn the_same_files_give_the_same_bytes() {
    let scratch = Scratch::new();
    let build_from = |root: &str, reversed: bool| {
        let mut files = ["z/last", "a/first", "middle"];
        if reversed {
            files.reverse();
        }
        for file in files {
            scratch.write(&format!("{root}/{file}"), file);
        }
        let archive = scratch.path(&format!("{root}.tar"));
        build(&spec(Layer::new().tree(&scratch.path(root)).unwrap()), &archive).unwrap();
        fs::read(archive).unwrap()
    };
    assert!(build_from("one", false) == build_from("two", true), "the archives differ");
}
