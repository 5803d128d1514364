// SPDX-License-Identifier: Apache-2.0
//! What else a person could run: the guide as a script, a playbook of Ansible, kube-bench.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::nodes::Node;

/// Below them is what the guide has written.
const WRITTEN: [&str; 3] = ["etc/sysctl.d", "etc/rancher", "var/lib/rancher"];

/// A file of the guide: its path, mode and text.
pub(crate) struct GuideFile {
    path: String,
    mode: String,
    text: String,
}

/// Returns what the profile `k3s-guide` writes on an empty node.
pub(crate) fn guide(folder: &Path, binary: &str) -> Vec<GuideFile> {
    let node = Node { root: folder.join("guide"), binary: binary.to_owned() };
    fs::create_dir(&node.root).expect("the disk has room");
    node.run(&["apply", "-q", "--k3s-version", "1.33", "--role", "server", "--profile", "k3s-guide"]);
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> = WRITTEN.iter().map(|path| node.root.join(path)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("the guide writes there") {
            let path = entry.expect("it can be read").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let mode = fs::metadata(&path).expect("it is there").permissions().mode() & 0o7777;
            files.push(GuideFile {
                text: fs::read_to_string(&path).expect("it is text"),
                mode: format!("{mode:04o}"),
                path: path
                    .strip_prefix(&node.root)
                    .expect("it is below")
                    .to_str()
                    .expect("it is text")
                    .to_owned(),
            });
        }
    }
    assert!(files.len() >= 4, "the guide has more than {} files", files.len());
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files
}

/// Writes the guide as a script that may run twice, as an administrator writes it. It is told the root.
pub(crate) fn script(folder: &Path, files: &[GuideFile]) -> String {
    let mut text = "#!/bin/bash
set -euo pipefail
# put MODE PATH: the text on stdin becomes the file, if it is not.
put() {
  local file=$root/$2 new
  mkdir -p \"$(dirname \"$file\")\"
  new=$(mktemp \"$file.XXXXXX\")
  cat > \"$new\"
  chmod \"$1\" \"$new\"
  if cmp -s \"$new\" \"$file\" && [ \"$(stat -c %04a \"$file\")\" = \"$1\" ]; then
    rm \"$new\"
  else
    mv \"$new\" \"$file\"
    changed=1
  fi
}
root=$1 changed=0
install -d -m 700 \"$root/var/lib/rancher/k3s/server\" \"$root/var/lib/rancher/k3s/server/logs\"
"
    .to_owned();
    for GuideFile { path, mode, text: content } in files {
        write!(text, "put {mode} {path} << 'END OF FILE'\n{content}END OF FILE\n")
            .expect("a string takes it");
    }
    // What the guide leaves to the machine's restart: without it the files could be lost.
    text += "[ \"$changed\" = 0 ] || sync -f \"$root\"\n";
    let file = folder.join("guide.sh");
    fs::write(&file, text).expect("the disk has room");
    file.to_str().expect("it is text").to_owned()
}

/// Writes the guide as a playbook; returns it and its inventory of `hosts` roots, which are below `roots`.
pub(crate) fn playbook(folder: &Path, files: &[GuideFile], roots: &Path, hosts: &[String]) -> [String; 2] {
    let below = |path: &str| format!("{}/{{{{ inventory_hostname }}}}/{path}", roots.display());
    let mut tasks = Vec::new();
    for path in [
        "etc/sysctl.d",
        "etc/rancher/k3s/config.yaml.d",
        "var/lib/rancher/k3s/server/manifests",
        "var/lib/rancher/k3s/server/logs",
    ] {
        tasks
            .push(json!({"name": path, "ansible.builtin.file": {"path": below(path), "state": "directory"}}));
    }
    for GuideFile { path, mode, text } in files {
        let content = format!("{{% raw %}}{text}{{% endraw %}}");
        tasks.push(json!({"name": path, "ansible.builtin.copy": {"dest": below(path), "mode": mode, "content": content}}));
    }
    let play = json!([{"hosts": "all", "gather_facts": false, "tasks": tasks}]);
    let hosts: serde_json::Map<String, serde_json::Value> =
        hosts.iter().map(|host| (host.clone(), json!({"ansible_connection": "local"}))).collect();
    let inventory =
        json!({"all": {"hosts": hosts, "vars": {"ansible_python_interpreter": "/usr/bin/python3"}}});
    [("playbook.yml", play), ("inventory.yml", inventory)].map(|(name, document)| {
        let file = folder.join(name);
        fs::write(&file, document.to_string()).expect("the disk has room");
        file.to_str().expect("it is text").to_owned()
    })
}

/// Writes a script that has kube-bench look at a node that has started, in namespaces of its own, with a file in the place of
/// the journal.
pub(crate) fn kube_bench(
    folder: &Path,
    program: &str,
    configuration: &str,
    node: &Node,
    log: &str,
) -> String {
    let stub = folder.join("stub");
    fs::create_dir(&stub).expect("the disk has room");
    let versions = json!({"clientVersion": version(), "serverVersion": version()});
    let script = |name: &str, text: String| {
        let file = stub.join(name);
        fs::write(&file, format!("#!/bin/bash\n{text}")).expect("the disk has room");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("it is ours");
    };
    script("journalctl", "cat /node.log\n".to_owned());
    script("kubectl", format!("case \"$*\" in *version*) echo '{versions}' ;; *) exit 1 ;; esac\n"));
    // It wants to see the process of the container runtime.
    let containerd = "containerd -c /var/lib/rancher/k3s/agent/etc/containerd/config.toml";
    let all = "--targets master,etcd,controlplane,node --benchmark k3s-cis-1.9 -D /cfg --config /cfg/config.yaml --json";
    script("inner", format!("(exec -a '{containerd}' sleep 600) &\n/scanner run {all} > /dev/null\n"));
    for file in ["passwd", "group"] {
        fs::copy(Path::new("/etc").join(file), node.root.join("etc").join(file))
            .expect("each machine has it");
    }
    let root = node.root.display();
    let text = format!(
        "exec bwrap --unshare-pid --unshare-net --die-with-parent --ro-bind /usr /usr \
         --symlink usr/bin /bin --symlink usr/sbin /sbin --symlink usr/lib /lib --symlink usr/lib64 /lib64 \
         --proc /proc --dev /dev --tmpfs /tmp --chdir / --ro-bind {root}/etc /etc --ro-bind {root}/var /var \
         --ro-bind {log} /node.log --ro-bind {} /stub --ro-bind {program} /scanner --ro-bind {configuration} /cfg \
         --setenv PATH /stub:/usr/sbin:/usr/bin:/sbin:/bin /stub/inner\n",
        stub.display(),
    );
    let file = folder.join("kube-bench.sh");
    fs::write(&file, text).expect("the disk has room");
    file.to_str().expect("it is text").to_owned()
}

fn version() -> serde_json::Value {
    json!({"major": "1", "minor": "37", "gitVersion": "v1.37.2+k3s1"})
}
