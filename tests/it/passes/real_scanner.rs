// SPDX-License-Identifier: Apache-2.0
//! The real kube-bench on nodes that have started: it is built from the Go module proxy with the configuration that it is
//! released with, and run on the node's own /etc and /var, with its log instead of the journal.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::node::Node;
use crate::support::tools;

const MODULE: &str = "github.com/aquasecurity/kube-bench@v0.15.6";
/// Its newest benchmark for K3s. Those before look where older minors have things: they only have to be forecast.
pub(super) const NEWEST: &str = "1.9";
/// Its benchmarks for K3s, one after the other.
pub(super) const BENCHMARKS: [&str; 8] = [NEWEST, "1.8", NEWEST, "1.7", NEWEST, "1.24", NEWEST, "1.23"];
/// K3s's container runtime, of which the scanner looks at the process.
const CONTAINERD: &str = "containerd -c /var/lib/rancher/k3s/agent/etc/containerd/config.toml";

pub(super) struct RealScanner {
    program: PathBuf,
    configuration: PathBuf,
}

impl RealScanner {
    /// Builds it, once for all runs of the tests.
    pub(super) fn build(directory: &Path) -> Self {
        tools::need(&["bwrap"]);
        fs::write(directory.join("go.mod"), "module asked\n").unwrap();
        let go = |folder: &Path, words: &[&str]| {
            let output = tools::command("go").args(words).current_dir(folder).output().unwrap();
            assert!(output.status.success(), "go {words:?}: {}", String::from_utf8_lossy(&output.stderr));
            output.stdout
        };
        let found: Value =
            serde_json::from_slice(&go(directory, &["mod", "download", "-json", MODULE])).unwrap();
        let module = PathBuf::from(found["Dir"].as_str().unwrap());
        let version = MODULE.split_once('@').unwrap().1;
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("artefacts");
        fs::create_dir_all(&kept).unwrap();
        let program = kept.join(format!("kube-bench-{version}"));
        if !program.exists() {
            let built = directory.join("kube-bench");
            go(&module, &["build", "-buildvcs=false", "-o", built.to_str().unwrap(), "."]);
            let beside = program.with_extension("new");
            fs::copy(built, &beside).unwrap();
            fs::rename(beside, &program).unwrap();
        }
        Self { program, configuration: module.join("cfg") }
    }

    /// Returns the state of each check, by its number.
    pub(super) fn scan(
        &self,
        root: &Path,
        node: &Node,
        minor: &str,
        benchmark: &str,
    ) -> BTreeMap<String, String> {
        let bed = tempfile::tempdir().unwrap();
        let (stub, out) = (bed.path().join("stub"), bed.path().join("out"));
        [&stub, &out].iter().for_each(|folder| fs::create_dir(folder).unwrap());
        for file in ["passwd", "group"] {
            fs::copy(Path::new("/etc").join(file), root.join("etc").join(file)).unwrap();
        }
        fs::copy("/usr/bin/sleep", stub.join("containerd")).unwrap();
        let only = match node.role {
            "agent" => "case \"$*\" in *k3s-agent*) ;; *) exit 0;; esac",
            _ => "case \"$*\" in *\"-D /var/log/journal\"*) exit 1;; esac",
        };
        let version = format!(
            "{{\"major\":\"1\",\"minor\":\"{}\",\"gitVersion\":\"v{minor}.1+k3s1\"}}",
            minor.split_once('.').unwrap().1
        );
        let versions = format!("{{\"clientVersion\":{version},\"serverVersion\":{version}}}");
        let targets = if node.role == "agent" { "node" } else { "master,etcd,controlplane,node" };
        for (name, text) in [
            ("journalctl", format!("#!/bin/sh\n{only}\ncat /node/journal\n")),
            (
                "kubectl",
                format!("#!/bin/sh\ncase \"$*\" in *version*) echo '{versions}';; *) exit 1;; esac\n"),
            ),
            (
                "inner",
                format!(
                    "#!/bin/bash\n( exec -a '{CONTAINERD}' /stub/containerd 600 ) &\nsleep 0.1\n/scanner run --targets {targets} --benchmark k3s-cis-{benchmark} -D /cfg --config /cfg/config.yaml --json --outputfile /out/result.json\n"
                ),
            ),
        ] {
            tools::write_program(&stub.join(name), 0o755, text.as_bytes());
        }
        fs::set_permissions(stub.join("containerd"), fs::Permissions::from_mode(0o755)).unwrap();
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let mut command = tools::command("bwrap");
        command.args(["--unshare-pid", "--unshare-net", "--die-with-parent", "--ro-bind", "/usr", "/usr"]);
        for (to, from) in
            [("usr/bin", "/bin"), ("usr/sbin", "/sbin"), ("usr/lib", "/lib"), ("usr/lib64", "/lib64")]
        {
            command.args(["--symlink", to, from]);
        }
        command.args(["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--chdir", "/"]);
        for (from, to) in [("etc", "/etc"), ("var", "/var")] {
            command.args(["--bind", &text(&root.join(from)), to]);
        }
        for (from, to) in
            [(root, "/node"), (&stub, "/stub"), (&self.program, "/scanner"), (&self.configuration, "/cfg")]
        {
            command.args(["--ro-bind", &text(from), to]);
        }
        command.args(["--bind", &text(&out), "/out"]);
        command.args(["--setenv", "PATH", "/stub:/usr/sbin:/usr/bin:/sbin:/bin", "/stub/inner"]);
        let output = command.output().unwrap();
        let said = fs::read(out.join("result.json")).unwrap_or_else(|_| {
            panic!("the scanner says nothing: {}", String::from_utf8_lossy(&output.stderr))
        });
        let said: Value = serde_json::from_slice(&said).unwrap();
        let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
        let controls = list(&said, "Controls");
        let groups = controls.iter().flat_map(|control| list(control, "tests"));
        let results = groups.flat_map(|group| list(&group, "results"));
        let word = |result: &Value, key: &str| result[key].as_str().unwrap().to_owned();
        results.map(|result| (word(&result, "test_number"), word(&result, "status"))).collect()
    }
}
