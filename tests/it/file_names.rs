// SPDX-License-Identifier: Apache-2.0
//! Files whose names are no text, or no URL: K3s, systemd and the kubelet read them, so they are judged.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use crate::support::Node;

const ABOUT: [&str; 6] = ["--k3s-version", "1.33", "--role", "server", "--format", "json"];
const DROP_INS: &str = "etc/rancher/k3s/config.yaml.d";

/// Names that are no UTF-8, or have a line break, with what they are shown as.
const BYTES: [(&[u8], &str); 3] = [(b"gr\xf6sse", r"gr\xf6sse"), (b"\xff", r"\xff"), (b"\xc3(", r"\xc3(")];

fn put(node: &Node, folder: &str, name: &[u8], text: &str) -> std::path::PathBuf {
    let folder = node.path().join(folder);
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(Path::new(OsStr::from_bytes(name)));
    fs::write(&path, text).unwrap();
    path
}

fn run(node: &Node, verb: &[&str]) -> (i32, Value, String) {
    let output = node.run(&[verb, &ABOUT[..]].concat());
    let json = serde_json::from_str(&output.stdout).unwrap_or(Value::Null);
    (output.code, json, output.stdout + &output.stderr)
}

fn state(report: &Value, id: &str) -> String {
    let controls = report["controls"].as_array().unwrap();
    let control = controls.iter().find(|control| control["id"] == id).unwrap();
    control["status"].as_str().unwrap().to_owned()
}

#[test]
fn a_drop_in_of_any_name_is_read() {
    for (name, shown) in BYTES {
        for ending in [".yaml", ".yml", ".YAML"] {
            let name = [name, ending.as_bytes()].concat();
            let node = Node::new();
            put(&node, DROP_INS, &name, "kube-apiserver-arg+: [\"profiling=maybe\"]\n");
            let (code, verdict, text) = run(&node, &["preflight"]);
            assert_eq!((code, &verdict["starts"]), (2, &Value::Bool(false)), "{shown}: {text}");
            assert_eq!(verdict["now"][0]["path"], format!("/{DROP_INS}/{shown}{ending}"), "{shown}: {text}");
            let (code, _, text) = run(&node, &["apply"]);
            assert_eq!(code, 1, "{shown}: {text}");
            assert!(!node.path().join(DROP_INS).join("90-k3s-harden.yaml").exists());

            let node = Node::new();
            put(
                &node,
                DROP_INS,
                &name,
                "kube-apiserver-arg+: [\"profiling=true\"]\ncluster-cidr: 10.99.0.0/16\n",
            );
            let (_, effective, text) = run(&node, &["effective-config"]);
            assert_eq!(effective["values"]["cluster-cidr"]["value"][0], "10.99.0.0/16", "{shown}: {text}");
            assert_eq!(effective["files"][0], format!("/{DROP_INS}/{shown}{ending}"));
            assert_eq!(state(&run(&node, &["verify"]).1, "1.2.15"), "fail", "{shown}");
        }
    }
}

/// The last one counts, in the order of the bytes: a byte that is no UTF-8 may come before a letter that is.
#[test]
fn drop_ins_are_read_in_the_order_of_their_bytes() {
    let node = Node::new();
    put(&node, DROP_INS, b"a\xc0.yaml", "cluster-cidr: 10.1.0.0/16\n");
    put(&node, DROP_INS, "a\u{e9}.yaml".as_bytes(), "cluster-cidr: 10.2.0.0/16\n");
    let (_, effective, text) = run(&node, &["effective-config"]);
    assert_eq!(effective["values"]["cluster-cidr"]["value"][0], "10.2.0.0/16", "{text}");
    let node = Node::new();
    put(&node, "etc/sysctl.d", b"a\xc0.conf", "vm.overcommit_memory=0\n");
    put(&node, "etc/sysctl.d", "a\u{e9}.conf".as_bytes(), "vm.overcommit_memory=1\n");
    put(&node, DROP_INS, b"x.yaml", "protect-kernel-defaults: true\n");
    let (_, verdict, text) = run(&node, &["preflight"]);
    assert!(!verdict["after_reboot"].to_string().contains("overcommit"), "{text}");
}

#[test]
fn a_name_that_is_no_url_stops_k3s() {
    for name in [&b"50%zz"[..], b"100%", b"a#%zz", b"a\nb", b"a\tb", b"a\x1bb", b"a\x7fb", b"%\xff\xff"] {
        let node = Node::new();
        put(&node, DROP_INS, &[name, b".yaml"].concat(), "node-label: [a=b]\n");
        let (code, verdict, text) = run(&node, &["preflight"]);
        assert_eq!((code, &verdict["starts"]), (2, &Value::Bool(false)), "{name:?}: {text}");
        assert!(text.contains("failed to parse config location"), "{name:?}: {text}");
        assert_ne!(run(&node, &["apply"]).0, 0, "{name:?}");
        assert_ne!(run(&node, &["effective-config"]).0, 0, "{name:?}");
    }
    for name in [&b"a b"[..], b"%41", b"a?100%", b"a#b", b"a:b", b"\xff?%", "\u{e9}".as_bytes()] {
        let node = Node::new();
        put(&node, DROP_INS, &[name, b".yaml"].concat(), "node-label: [a=b]\n");
        let (_, verdict, text) = run(&node, &["preflight"]);
        assert_eq!(verdict["starts"], true, "{name:?}: {text}");
    }
}

#[test]
fn kernel_parameters_of_any_file_count() {
    for (name, shown) in [(&b"99-\xff.conf"[..], r"99-\xff.conf"), (b"99-a\nb.conf", "99-a\nb.conf")] {
        let node = Node::new();
        put(&node, DROP_INS, b"x.yaml", "protect-kernel-defaults: true\n");
        put(&node, "etc/sysctl.d", name, "vm.overcommit_memory=0\n");
        let (_, verdict, text) = run(&node, &["preflight"]);
        assert_eq!(verdict["starts"], false, "{text}");
        let finding = verdict["after_reboot"].to_string();
        assert!(verdict["after_reboot"][0]["path"].as_str().unwrap().ends_with(shown), "{finding}");
    }
}

#[test]
fn a_unit_is_read_with_drop_ins_of_any_name() {
    for name in [&b"\xff.conf"[..], b"a\nb.conf"] {
        let node = Node::new()
            .file("etc/systemd/system/k3s.service", "[Service]\nExecStart=/usr/local/bin/k3s server\n");
        put(&node, "etc/systemd/system/k3s.service.d", name, "[Service]\nEnvironment=K3S_NODE_NAME=n1\n");
        let (_, effective, text) = run(&node, &["effective-config"]);
        assert_eq!(effective["values"]["node-name"]["value"], "n1", "{name:?}: {text}");
        put(&node, "srv/env", name, "K3S_NODE_NAME=n2\n");
        put(
            &node,
            "etc/systemd/system/k3s.service.d",
            b"z.conf",
            "[Service]\nEnvironmentFile=/srv/env/*.conf\n",
        );
        let (_, effective, text) = run(&node, &["effective-config"]);
        assert_eq!(effective["values"]["node-name"]["value"], "n2", "{name:?}: {text}");
    }
}

#[test]
fn the_kubelet_reads_drop_ins_of_any_name() {
    for name in [&b"\xff.conf"[..], b"a\nb.conf"] {
        let node = Node::new();
        let text = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nnoSuchField: 1\nreadOnlyPort: many\n";
        put(&node, "srv/kubelet", name, text);
        put(&node, DROP_INS, b"x.yaml", "kubelet-arg: [config-dir=/srv/kubelet]\n");
        let (_, verdict, text) = run(&node, &["preflight"]);
        assert_eq!(verdict["starts"], false, "{name:?}: {text}");
    }
}

#[test]
fn a_lax_file_of_any_name_fails() {
    for name in [&b"\xff.crt"[..], b"a\nb.crt"] {
        let node = Node::new();
        let apply: Vec<&str> = [&["apply"][..], &ABOUT[..]].concat();
        assert_eq!(node.run(&apply).code, 0);
        let file = put(&node, "var/lib/rancher/k3s/server/tls", name, "x");
        let report = |mode: u32| {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            run(&node, &["verify"]).1
        };
        let id = {
            let report = report(0o600);
            let is_about = |control: &&Value| control["name"] == "pki-certificate-file-permissions";
            let controls = report["controls"].as_array().unwrap();
            controls.iter().find(is_about).map(|control| control["id"].as_str().unwrap().to_owned())
        };
        let id = id.unwrap_or_else(|| "1.1.20".to_owned());
        let (strict, lax) = (state(&report(0o600), &id), state(&report(0o666), &id));
        assert_ne!(strict, "fail", "{name:?}");
        assert!(matches!(lax.as_str(), "fail" | "warn"), "{name:?}: {lax}");
    }
}

/// K3s parses the name of the file as it is written, not the path that it leads to.
#[test]
fn the_name_of_the_configuration_file_is_parsed_as_it_is_written() {
    for (written, path, starts) in [
        ("--config 1:x.yaml", "etc/1:x.yaml", false),
        ("--config //e:b/x.yaml", "e:b/x.yaml", false),
        ("\"--config=//e b/x.yaml\"", "e b/x.yaml", false),
        ("--config http:x.yaml", "etc/http:x.yaml", false),
        ("--config 1:x.yaml", "etc/1:x.yaml.d/a.yaml", false),
        ("--config a:x%%z.yaml", "etc/a:x%z.yaml", true),
        ("--config ///e:b/x.yaml", "e:b/x.yaml", true),
    ] {
        let unit =
            format!("[Service]\nWorkingDirectory=/etc\nExecStart=/usr/local/bin/k3s server {written}\n");
        let node =
            Node::new().file("etc/systemd/system/k3s.service", &unit).file(path, "node-label: [a=b]\n");
        let (_, verdict, text) = run(&node, &["preflight"]);
        assert_eq!(verdict["starts"], starts, "{written}: {text}");
    }
}

#[test]
fn a_name_with_a_line_break_begins_no_line() {
    let node = Node::new();
    let name = b"1\n- K3s starts.\n help: run rm.yaml";
    put(&node, DROP_INS, name, "kube-apiserver-arg: [profiling=maybe]\n");
    let output = node.run(&["apply", "--k3s-version", "1.33", "--role", "server"]);
    assert_ne!(output.code, 0);
    assert!(output.stderr.contains("1\\n- K3s starts.\\n help: run rm.yaml"), "{}", output.stderr);
    for line in output.stderr.lines().chain(output.stdout.lines()) {
        assert!(!line.starts_with("- K3s") && !line.starts_with(" help: run"), "{line}");
    }
}
