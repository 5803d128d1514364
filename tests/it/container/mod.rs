// SPDX-License-Identifier: Apache-2.0
//! examples/container: what the image holds, what the pods ask for, and that verify needs no more.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::support::{Node, go_program, kubernetes, tools, turns};

const MANIFESTS: [&str; 2] =
    ["examples/container/verify-job.yaml", "examples/container/verify-daemonset.yaml"];
const CONTAINERFILE: &str = "examples/container/Containerfile";

/// Returns the objects of a manifest.
fn objects(path: &str) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    serde_yaml::Deserializer::from_str(&text)
        .map(|document| serde_json::to_value(serde_yaml::Value::deserialize(document).unwrap()).unwrap())
        .collect()
}

/// Returns the container that verifies, and its pod.
fn verifier(path: &str) -> (Value, Value) {
    let pod = objects(path)[1]["spec"]["template"]["spec"].clone();
    let containers = if path.contains("daemonset") { &pod["initContainers"] } else { &pod["containers"] };
    (containers[0].clone(), pod)
}

/// The words of a list in a line of the Containerfile.
fn line(name: &str) -> Vec<String> {
    let text = fs::read_to_string(CONTAINERFILE).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    serde_json::from_str(line.trim()).unwrap()
}

#[test]
fn the_pods_ask_for_nothing_that_verify_does_not_need() {
    for path in MANIFESTS {
        let (verifier, pod) = verifier(path);
        for forbidden in ["hostPID", "hostNetwork", "hostIPC", "serviceAccountName"] {
            assert_eq!(pod[forbidden], Value::Null, "{path}: {forbidden}");
        }
        assert_eq!(pod["automountServiceAccountToken"], json!(false), "{path}");
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{path}");
        assert_eq!(pod["tolerations"], json!([{"operator": "Exists"}]), "{path}");
        assert_eq!(
            pod["volumes"],
            json!([{"name": "host", "hostPath": {"path": "/", "type": "Directory"}}]),
            "{path}"
        );
        let mounts = json!([{"name": "host", "mountPath": "/host", "readOnly": true}]);
        assert_eq!(verifier["volumeMounts"], mounts, "{path}");
        let containers =
            ["initContainers", "containers"].iter().filter_map(|kind| pod[kind].as_array()).flatten();
        for container in containers {
            let mut security = json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]}});
            // Only the container that verifies reads what belongs to root.
            if container["name"] != "verify" {
                let user = json!({"runAsUser": 65535, "runAsGroup": 65535, "runAsNonRoot": true});
                security.as_object_mut().unwrap().extend(user.as_object().unwrap().clone());
            }
            assert_eq!(container["securityContext"], security, "{path}");
            for kind in ["requests", "limits"] {
                assert!(container["resources"][kind]["memory"].is_string(), "{path}: {container}");
                assert!(container["resources"][kind]["cpu"].is_string(), "{path}: {container}");
            }
        }
        let words: Vec<&str> =
            verifier["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        // kubectl shows stderr and stdout as one log: it has to be the report alone.
        assert!(words.starts_with(&["verify", "-q", "--root", "/host"]), "{path}: {words:?}");
    }
    assert_eq!(verifier(MANIFESTS[0]).0["resources"], verifier(MANIFESTS[1]).0["resources"]);
    assert_eq!(objects(MANIFESTS[0])[0], objects(MANIFESTS[1])[0], "the namespaces differ");
}

/// The pods of one workload are never taken for those of the other, and the README's selector is of the DaemonSet.
#[test]
fn each_workload_has_labels_of_its_own() {
    let mut seen = Vec::new();
    for path in MANIFESTS {
        let workload = &objects(path)[1];
        let labels = &workload["metadata"]["labels"];
        assert_eq!(labels, &workload["spec"]["template"]["metadata"]["labels"], "{path}");
        assert_eq!(labels["app.kubernetes.io/name"], "k3s-harden", "{path}");
        if path.contains("daemonset") {
            assert_eq!(labels, &workload["spec"]["selector"]["matchLabels"], "{path}");
            let component = labels["app.kubernetes.io/component"].as_str().unwrap();
            let selector = format!("--selector app.kubernetes.io/component={component} ");
            assert!(fs::read_to_string("examples/container/README.md").unwrap().contains(&selector));
        }
        seen.push(labels["app.kubernetes.io/component"].to_string());
    }
    assert!(seen[0] != seen[1] && !seen.contains(&"null".to_owned()), "{seen:?}");
}

/// The words of the manifests are words of the program, and end as the README says.
#[test]
fn the_words_of_the_pods_are_understood() {
    let node = Node::new().file("usr/local/bin/k3s", "# version.Version=v1.33.4+k3s1\n");
    for path in MANIFESTS {
        let (verifier, _) = verifier(path);
        let words: Vec<&str> =
            verifier["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        let words: Vec<&str> = words.into_iter().filter(|word| !["--root", "/host"].contains(word)).collect();
        let output = node.run_with(&words, &[("K3S_HARDEN_NODE", "node-7")]);
        let report: Value =
            serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{}", output.stderr));
        assert_eq!(output.code, if path.contains("daemonset") { 0 } else { 2 }, "{}", output.stderr);
        assert!(report.to_string().contains("node-7"), "{report}");
    }
}

/// Root without any capability reads files of root with the mode 0600, on a root that is mounted read-only, from a file system
/// on which there is nothing but what the Containerfile copies.
#[test]
#[ignore = "needs root, bwrap and setpriv"]
fn verify_needs_no_capability_and_no_other_file() {
    let _busy = turns::busy();
    tools::need_root();
    let node = Node::new().file("usr/local/bin/k3s", "# version.Version=v1.33.4+k3s1\n");
    assert_eq!(node.run(&["apply", "-q", "--no-preflight"]).code, 0);
    assert_eq!(node.mode("var/lib/rancher/k3s/server/audit.yaml"), "0600");
    // Debug builds of the tests are not static: their libraries come along.
    let libraries = ["/lib", "/lib64", "/usr/lib"].into_iter().filter(|path| Path::new(path).exists());
    let run = |capabilities: bool, more: &[&str]| {
        let mut command = tools::command("bwrap");
        command.args(["--unshare-all", "--die-with-parent", "--ro-bind"]);
        command.args([env!("CARGO_BIN_EXE_k3s-harden"), "/usr/bin/k3s-harden"]);
        for path in libraries.clone() {
            command.args(["--ro-bind", path, path]);
        }
        command
            .args(["--ro-bind", "/usr/bin/setpriv", "/setpriv", "--ro-bind"])
            .arg(node.path())
            .arg("/host");
        command.args(["--remount-ro", "/", "--cap-add", "ALL", "--"]);
        if !capabilities {
            let none = ["--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all", "--no-new-privs"];
            command.arg("/setpriv").args(none);
        }
        command.args(line("ENTRYPOINT")).args(more).env_clear().output().unwrap()
    };
    let words =
        [line("CMD"), vec!["--format".into(), "json".into(), "--fail-on".into(), "never".into()]].concat();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let report = |capabilities| {
        let output = run(capabilities, &words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        let mut report: Value = serde_json::from_slice(&output.stdout).unwrap();
        report.as_object_mut().unwrap().remove("time");
        (report, said)
    };
    let (with, without) = (report(true), report(false));
    assert!(with.0.to_string().contains("/var/lib/rancher/k3s/server/audit.yaml"), "{}", with.0);
    let times = |report: &Value| report.to_string().replace(|letter: char| letter.is_ascii_digit(), "0");
    assert_eq!(times(&with.0), times(&without.0));
    assert_eq!(with.1, without.1);
    // It can write nowhere, and says so.
    let refused = run(false, &["apply", "--root", "/host", "--set", "audit_log_maxage=77"]);
    assert_eq!(refused.status.code(), Some(73), "{}", String::from_utf8_lossy(&refused.stderr));
    let version = run(false, &["--version"]);
    assert!(version.status.success() && version.stdout.starts_with(b"k3s-harden "));
}

/// Kubernetes decodes the manifests strictly. Its own Pod Security admits the pods under the level that the namespace claims, and
/// says what stands in the way of a lower one.
#[test]
#[ignore = "needs Go"]
fn kubernetes_admits_the_pods_under_the_level_that_they_claim() {
    let _busy = turns::busy();
    let directory = tempfile::tempdir().unwrap();
    let sources = Path::new("tests/oracle/pod_security");
    let program = kubernetes::build(directory.path(), kubernetes::RELEASES[0], sources);
    let questions = MANIFESTS.map(|path| json!({"text": fs::read_to_string(path).unwrap()}));
    let answers = go_program::ask(&program, questions.into_iter());
    for (path, said) in MANIFESTS.iter().zip(answers) {
        assert_eq!(said["error"], Value::Null, "{path}: {said}");
        let [namespace, workload] = said["objects"].as_array().unwrap().as_slice() else {
            panic!("{path}: {said}")
        };
        assert_eq!((&namespace["kind"], &namespace["level"]), (&json!("Namespace"), &json!("privileged")));
        let forbidden = &workload["forbidden"];
        assert_eq!(forbidden["privileged"], Value::Null, "{path}: {said}");
        // Nothing but the volume, and of `restricted` the user.
        assert_eq!(forbidden["baseline"], json!(["hostPath volumes"]), "{path}: {said}");
        let mut most: Vec<&str> = forbidden["restricted"]
            .as_array()
            .unwrap()
            .iter()
            .map(|reason| reason.as_str().unwrap())
            .collect();
        most.sort_unstable();
        most.dedup();
        let expected = ["restricted volume types", "runAsNonRoot != true", "runAsUser=0"];
        assert_eq!(most, expected, "{path}: {said}");
    }
    let misspelt =
        fs::read_to_string(MANIFESTS[0]).unwrap().replace("readOnlyRootFilesystem", "readOnlyRootFileSystem");
    let answers = go_program::ask(&program, std::iter::once(json!({"text": misspelt})));
    assert!(answers[0]["error"].as_str().unwrap().contains("readOnlyRootFileSystem"), "{}", answers[0]);
}

/// The image is built from what a release tarball holds, without a network, and holds that and nothing else.
#[test]
#[ignore = "needs root and buildah"]
fn the_image_is_built_and_holds_what_the_containerfile_copies() {
    let _busy = turns::busy();
    tools::need_root();
    let folder = tempfile::tempdir().unwrap();
    for (from, name) in [
        (env!("CARGO_BIN_EXE_k3s-harden"), "k3s-harden"),
        ("LICENSE", "LICENSE"),
        ("LICENSE", "THIRD-PARTY-LICENSES"),
        ("README.md", "README.md"),
    ] {
        fs::copy(from, folder.path().join(name)).unwrap();
    }
    let store = folder.path().join("store");
    let run = |words: &[&str]| {
        let mut command: Command = tools::command("unshare");
        command.args(["--net", "--mount", "--propagation", "private"]).arg(tools::find(&["buildah"]));
        command.args(["--storage-driver", "vfs", "--root"]).arg(store.join("root"));
        command.arg("--runroot").arg(store.join("run")).args(words);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "buildah {words:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    };
    let context = folder.path().to_str().unwrap();
    let build =
        ["build", "--isolation", "chroot", "--build-arg", "VERSION=1.2.3", "--ignorefile", "/dev/null"];
    run(&[build.as_slice(), &["--file", CONTAINERFILE, "--tag", "k3s-harden", context]].concat());
    let about: Value = serde_json::from_str(&run(&["inspect", "--type", "image", "k3s-harden"])).unwrap();
    let config = &about["OCIv1"]["config"];
    assert_eq!(config["User"], "0:0");
    assert_eq!(config["Entrypoint"], json!(line("ENTRYPOINT")));
    assert_eq!(config["Cmd"], json!(line("CMD")));
    assert_eq!(config["Labels"]["org.opencontainers.image.version"], "1.2.3");
    assert_eq!(config["Labels"]["org.opencontainers.image.licenses"], "Apache-2.0");
    let layout = folder.path().join("layout");
    run(&["push", "k3s-harden", &format!("oci:{}", layout.display())]);
    let script = "cd \"$1\"/blobs/sha256; for blob in *; do tar tzf $blob 2> /dev/null || true; done";
    let listed = Command::new("sh").args(["-euc", script, "sh"]).arg(&layout).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let mut files: Vec<&str> = listed.lines().filter(|line| !line.ends_with('/')).collect();
    files.sort_unstable();
    let expected = [
        "usr/bin/k3s-harden",
        "usr/share/doc/k3s-harden/LICENSE",
        "usr/share/doc/k3s-harden/THIRD-PARTY-LICENSES",
    ];
    assert_eq!(files, expected);
}
