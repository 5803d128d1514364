// SPDX-License-Identifier: Apache-2.0
//! What other hands bring to a node is what `apply` puts there: paths, modes and bytes.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

use clap::ValueEnum as _;
use k3s_harden::render::RenderFormat;
use serde_json::Value;

use crate::minors::newest;
use crate::support::{Node, owner};

/// A mode, and what is in it, if it is a file.
type Tree = BTreeMap<String, (u32, Option<Vec<u8>>)>;

/// Everything below a root that is ours.
fn tree(root: &Path) -> Tree {
    let mut found = Tree::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            let bytes = metadata.is_file().then(|| fs::read(&path).unwrap());
            if is_ours(&name) {
                found.insert(name, (metadata.mode() & 0o7777, bytes));
            }
            if metadata.is_dir() {
                folders.push(path);
            }
        }
    }
    found
}

/// The nodes that are tried: server and agent, oldest and newest, with and without more.
fn nodes() -> Vec<Vec<&'static str>> {
    let mut nodes = Vec::new();
    for minor in ["1.24", newest()] {
        for role in ["server", "agent"] {
            for profile in ["cis", "cis,strict"] {
                nodes.push(vec!["--k3s-version", minor, "--role", role, "--profile", profile]);
            }
        }
    }
    nodes.push(vec!["--k3s-version", "1.33", "--role", "server", "--data-dir", "/srv/it's a disk"]);
    nodes
}

fn applied(words: &[&str]) -> Tree {
    let node = Node::new();
    let arguments = ["apply", "-q", "--no-history", "--no-preflight"];
    let output = node.run(&[arguments.as_slice(), words].concat());
    assert_eq!(output.code, 0, "{}", output.stderr);
    tree(node.path())
}

/// What the system brings, or where the lock is.
fn is_ours(path: &str) -> bool {
    !["etc", "etc/sysctl.d", "var", "var/lib"].contains(&path) && !path.starts_with("var/lib/k3s-harden")
}

fn rendered(format: &str, words: &[&str]) -> String {
    let node = Node::new();
    let file = node.path().join("rendered");
    let out = file.to_str().unwrap();
    let output = node.run(&[["render", "--as", format, "--out", out].as_slice(), words].concat());
    assert_eq!(output.code, 0, "{}", output.stderr);
    fs::read_to_string(&file).unwrap()
}

/// A root as any system has it.
fn system() -> Node {
    let node = Node::new();
    for path in ["etc/sysctl.d", "var/lib"] {
        fs::create_dir_all(node.path().join(path)).unwrap();
    }
    for path in ["etc", "etc/sysctl.d", "var", "var/lib"] {
        fs::set_permissions(node.path().join(path), fs::Permissions::from_mode(0o755)).unwrap();
    }
    node
}

fn assert_same(what: &str, words: &[&str], carried: &Tree) {
    let applied = applied(words);
    let names =
        |tree: &Tree| tree.iter().map(|(path, (mode, _))| format!("{mode:o} {path}")).collect::<Vec<_>>();
    assert_eq!(names(carried), names(&applied), "{what} {words:?}");
    for (path, (_, bytes)) in &applied {
        let text =
            |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        assert_eq!(text(&carried[path].1), text(bytes), "{what} {words:?} {path}");
    }
}

fn shell(script: &str, root: &Path) -> std::process::Output {
    let mut child = Command::new("sh")
        .args(["-s", root.to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), script.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn the_script_does_what_apply_does_and_the_second_time_nothing() {
    for words in nodes() {
        let script = rendered("shell", &words);
        let node = Node::new();
        let first = shell(&script, node.path());
        assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
        assert_same("shell", &words, &tree(node.path()));
        let times = || {
            let files = tree(node.path()).into_keys();
            files
                .map(|path| fs::metadata(node.path().join(path)).unwrap())
                .filter(fs::Metadata::is_file)
                .map(|it| (it.ino(), it.mtime_nsec()))
                .collect::<Vec<_>>()
        };
        let before = times();
        let second = shell(&script, node.path());
        assert!(second.status.success() && second.stdout.is_empty(), "{second:?}");
        assert_eq!(times(), before, "nothing was written again");
    }
}

#[test]
fn the_script_mends_what_somebody_has_changed_and_leaves_nothing_where_it_fails() {
    let words = ["--k3s-version", "1.33", "--role", "server"];
    let script = rendered("shell", &words);
    let node = Node::new();
    assert!(shell(&script, node.path()).status.success());
    let audit = node.path().join("var/lib/rancher/k3s/server/audit.yaml");
    fs::set_permissions(&audit, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(node.path().join("etc/sysctl.d/90-kubelet.conf"), "kernel.panic=0\n").unwrap();
    fs::set_permissions(node.path().join("var/lib/rancher/k3s/server"), fs::Permissions::from_mode(0o755))
        .unwrap();
    let mended = shell(&script, node.path());
    assert_eq!(String::from_utf8_lossy(&mended.stdout).lines().count(), 2, "{mended:?}");
    assert_same("shell", &words, &tree(node.path()));

    // Nothing is put in place, and no temporary file stays.
    let node = Node::new();
    fs::create_dir_all(node.path().join("etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml")).unwrap();
    let refused = shell(&script, node.path());
    assert_eq!(refused.status.code(), Some(73), "{refused:?}");
    assert!(tree(node.path()).values().all(|(_, bytes)| bytes.is_none()));
    // A variable that is not set is no root, least of all this machine's. Without programs nothing could happen to it.
    for roots in [&[""][..], &["/mnt/my", "image"]] {
        let output = Command::new("/bin/sh")
            .args(["-c", &script, "sh"])
            .args(roots)
            .env("PATH", "/none")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(64), "{output:?}");
    }
    // Not through a symlink of an image.
    let node = Node::new();
    let outside = Node::new();
    std::os::unix::fs::symlink(outside.path(), node.path().join("etc")).unwrap();
    assert_eq!(shell(&script, node.path()).status.code(), Some(73));
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn an_archive_has_the_same_bytes_every_time_and_unpacks_to_the_same_tree() {
    for words in nodes() {
        let node = system();
        let archive = node.path().join("archive.tar");
        let word = |path: &Path| path.to_str().unwrap().to_owned();
        let render = |target: &Path| {
            let out = word(target);
            let arguments = [["render", "--as", "tar", "--out", &out].as_slice(), &words].concat();
            assert_eq!(Node::new().run(&arguments).code, 0);
            fs::read(target).unwrap()
        };
        let bytes = render(&archive);
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert_eq!(render(&node.path().join("again.tar")), bytes, "{words:?}");
        fs::remove_file(node.path().join("again.tar")).unwrap();
        let unpacked = Command::new("tar")
            .args(["--no-same-owner", "-xpf"])
            .arg(&archive)
            .arg("-C")
            .arg(node.path())
            .status();
        assert!(unpacked.unwrap().success());
        fs::remove_file(&archive).unwrap();
        assert_same("tar", &words, &tree(node.path()));
    }
}

#[test]
fn a_directory_has_the_same_tree_whatever_the_umask() {
    for words in nodes() {
        let node = system();
        let out = node.path().to_str().unwrap();
        let arguments = [["render", "--as", "dir", "--out", out].as_slice(), &words].concat();
        for _ in 0..2 {
            assert_eq!(Node::new().run(&arguments).code, 0);
            assert_same("dir", &words, &tree(node.path()));
        }
    }
    assert_eq!(Node::new().run(&["render", "--as", "dir", "--k3s-version", "1.33"]).code, 64);
}

#[test]
fn a_directory_is_not_left_through_a_symlink_of_an_image() {
    for link in ["etc", "etc/rancher", "etc/sysctl.d/90-kubelet.conf"] {
        let (node, outside) = (Node::new(), Node::new());
        let link = node.path().join(link);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(outside.path().join("new"), &link).unwrap();
        let out = node.path().to_str().unwrap();
        let output = Node::new().run(&["render", "--as", "dir", "--k3s-version", "1.33", "--out", out]);
        assert_eq!(output.code, 73, "{}", output.stderr);
        assert!(output.stderr.contains(" is a symlink, and may point outside "), "{}", output.stderr);
        assert!(fs::read_dir(outside.path()).unwrap().next().is_none() && !node.path().join("var").exists());
    }
}

/// The program has no umask while it runs.
#[test]
fn nobody_else_may_write_into_a_directory_that_is_made() {
    for format in ["dir", "systemd", "account-update"] {
        let out = tempfile::tempdir().unwrap();
        let made = out.path().join("not/there");
        let arguments = ["render", "--as", format, "--k3s-version", "1.33", "--out", made.to_str().unwrap()];
        assert_eq!(Node::new().run(&arguments).code, 0);
        let open: Vec<_> = walk(out.path())
            .into_iter()
            .filter(|path| path.metadata().unwrap().mode() & 0o022 != 0)
            .collect();
        assert!(made.is_dir() && open.is_empty(), "{format}: {open:?}");
    }
}

/// Everything below a directory.
fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            let below = if path.is_dir() { walk(&path) } else { Vec::new() };
            std::iter::once(path).chain(below)
        })
        .collect()
}

#[test]
fn what_is_configured_where_it_is_rendered_does_not_go_along() {
    let words = ["--k3s-version", "1.33", "--role", "server"];
    let configured = "secrets-encryption: false
disable: [traefik, servicelb]
kube-apiserver-arg:
  - oidc-client-secret=hunter2
  - enable-admission-plugins=AlwaysPullImages
  - admission-control-config-file=/etc/mine/psa.yaml
  - audit-log-maxage=60
";
    // Also not what an earlier run has left there, for a run about something else.
    for more in [&[][..], &["--only", "audit-policy"]] {
        let words = [words.as_slice(), more].concat();
        // A directory is no output.
        let formats = RenderFormat::value_variants().iter().filter(|format| !format.is_directory());
        for format in formats.map(|format| format.to_possible_value().unwrap()) {
            let format = format.get_name();
            let node = Node::new().file("etc/rancher/k3s/config.yaml", configured);
            let harden = ["apply", "-q", "--no-history", "--no-preflight", "--k3s-version", "1.33"];
            assert_eq!(node.run(&harden).code, 0);
            let here = node.run(&[["render", "-q", "--as", format].as_slice(), &words].concat());
            let anywhere = Node::new().run(&[["render", "-q", "--as", format].as_slice(), &words].concat());
            assert_eq!((here.code, here.stdout), (0, anywhere.stdout), "{format} {more:?}");
        }
    }
}

#[test]
fn the_unit_asks_for_what_was_asked_for() {
    let site = Node::new().file("a site/50%.yaml", "name: site\nextends: strict\n");
    let file = site.path().join("a site/50%.yaml").to_str().unwrap().to_owned();
    let render = |more: &[&str]| {
        let words = ["render", "--as", "systemd", "--k3s-version", "1.33", "--role", "server"];
        let words = [words.as_slice(), &["--binary", "/usr/bin/k3s-harden"], more].concat();
        let output = Node::new().run(&words);
        assert_eq!(output.code, 0, "{}", output.stderr);
        output
    };
    let plain = render(&[]);
    assert!(plain.stdout.contains("\nEnvironment=K3S_HARDEN_PROFILE=cis\nExecStart="), "{}", plain.stdout);
    assert!(plain.stdout.contains("/var/lib/rancher/k3s\n") && plain.stderr.is_empty(), "{}", plain.stderr);
    // A benchmark that was named stays; a file is read where it is, in quotes and with systemd's own sign twice.
    let named = render(&["--profile", "cis-1.11", "--profile", &file, "--skip", "5.2,3.2.1"]).stdout;
    let path = file.replace('%', "%%");
    assert!(named.contains(&format!("Environment=\"K3S_HARDEN_PROFILE=cis-1.11,{path}\"\n")), "{named}");
    assert!(named.contains("Environment=K3S_HARDEN_SKIP=5.2,3.2.1\n"), "{named}");
    let placed = render(&["--data-dir", "/srv/a disk"]).stdout;
    assert!(placed.contains("Environment=\"K3S_HARDEN_DATA_DIR=/srv/a disk\"\n"), "{placed}");
    assert!(placed.contains("/var/lib/k3s-harden \"/srv/a disk\"\n"), "{placed}");
    // What it cannot ask for is said.
    for (more, said) in [
        (["--profile", &file], "it has to be there on the node"),
        (["--set", "audit_log_maxage=90"], "write them into the node's /etc/k3s-harden/settings.yaml"),
        (["--only", "audit-policy"], "--only is not in the unit"),
    ] {
        assert!(render(&more).stderr.contains(said), "{more:?}");
    }
}

/// Does what Ignition does with what we write, and refuses what it does not know.
fn ignite(config: &Value, root: &Path) {
    assert_eq!(config["ignition"]["version"], "3.4.0");
    let below = |entry: &Value| root.join(entry["path"].as_str().unwrap().trim_start_matches('/'));
    let keys = |entry: &Value| entry.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let mode = |entry: &Value, or: u32| {
        entry.get("mode").map_or(or, |mode| u32::try_from(mode.as_u64().unwrap()).unwrap())
    };
    for entry in config["storage"]["directories"].as_array().unwrap() {
        assert!(keys(entry).iter().all(|key| ["path", "mode", "user", "group"].contains(&key.as_str())));
        fs::create_dir(below(entry)).unwrap();
        fs::set_permissions(below(entry), fs::Permissions::from_mode(mode(entry, 0o755))).unwrap();
    }
    for entry in config["storage"]["files"].as_array().unwrap() {
        assert_eq!(keys(entry), ["contents", "group", "mode", "overwrite", "path", "user"]);
        let source = entry["contents"]["source"].as_str().unwrap().strip_prefix("data:,").unwrap();
        let mut bytes = Vec::new();
        let mut rest = source.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(if byte == b'%' {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            } else {
                byte
            });
        }
        fs::write(below(entry), bytes).unwrap();
        fs::set_permissions(below(entry), fs::Permissions::from_mode(mode(entry, 0))).unwrap();
    }
}

#[test]
fn ignition_makes_the_same_tree() {
    for words in nodes() {
        let node = system();
        ignite(&serde_json::from_str(&rendered("ignition", &words)).unwrap(), node.path());
        assert_same("ignition", &words, &tree(node.path()));
    }
}

/// Does what cloud-init does with what we write: the stages in their order, each with `sh`.
#[test]
fn cloud_init_makes_the_same_tree_and_looks_at_it() {
    for words in nodes() {
        let text = rendered("cloud-init", &words);
        assert!(text.starts_with("#cloud-config\n"));
        let config: Value = serde_yaml::from_str(&text).unwrap();
        assert!(words.contains(&"agent") || text.len() > 4096);
        let node = system();
        let root = node.path().to_str().unwrap();
        // Its paths begin at the root; here they begin at the node's, and whoever runs this stands for root.
        let ids = owner();
        let here = |line: &str| {
            line.replace("'/", &format!("'{root}/"))
                .replace("chown 0:0", &format!("chown {ids}"))
                .replace("0:0", &ids)
        };
        let script = |section: &str, but: &str| -> String {
            let lines = config[section].as_array().unwrap().iter().map(|line| line.as_str().unwrap());
            lines.filter(|line| !line.starts_with(but)).map(|line| here(line) + "\n").collect()
        };
        let made = shell(&script("bootcmd", "-"), node.path());
        assert!(made.status.success(), "{made:?}");
        for file in config["write_files"].as_array().unwrap() {
            let path = node.path().join(file["path"].as_str().unwrap().trim_start_matches('/'));
            fs::write(&path, file["content"].as_str().unwrap()).unwrap();
            let mode = u32::from_str_radix(file["permissions"].as_str().unwrap(), 8).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        assert_same("cloud-init", &words, &tree(node.path()));
        let look = script("runcmd", "sysctl") + "echo installed\n";
        let output = shell(&look, node.path());
        assert_eq!(String::from_utf8_lossy(&output.stdout), "installed\n", "{output:?}");
        // A directory or a file that is not right, in its bytes or its mode, and K3s is not installed.
        let folder = node.path().join("var/lib/rancher/k3s/server");
        if folder.exists() {
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
            assert!(shell(&look, node.path()).stdout.is_empty());
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        }
        let path = node.path().join("etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml");
        let bytes = fs::read(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(shell(&look, node.path()).stdout.is_empty());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, [&bytes[..bytes.len() - 1], b" "].concat()).unwrap();
        assert!(shell(&look, node.path()).stdout.is_empty());
    }
}

#[test]
fn the_kernel_is_told_unless_somebody_says_no() {
    for format in ["cloud-init", "shell"] {
        let words = ["--k3s-version", "1.33"];
        assert!(rendered(format, &words).contains("sysctl -q -p"), "{format}");
        assert!(
            !rendered(format, &[words.as_slice(), &["--no-live-sysctl"]].concat()).contains("sysctl -q"),
            "{format}"
        );
        assert!(
            !rendered(format, &[words.as_slice(), &["--skip", "protect-kernel-defaults"]].concat())
                .contains("sysctl -q")
        );
    }
}
