// SPDX-License-Identifier: Apache-2.0
//! What the tests of the collection need: Ansible in an environment of its own, the collection installed as its README
//! says, and nodes that are reached through SSH.

use std::collections::BTreeMap;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::node::Node;
use crate::support::tools;

const EXAMPLE: &str = "examples/ansible";

/// Ansible, and the directories that it is used with. All tests share it.
#[derive(Debug)]
pub(crate) struct Bed {
    base: PathBuf,
    /// The Python that modules run on, on this machine and on its overlays.
    python: String,
}

/// A run of a playbook.
#[derive(Debug)]
pub(crate) struct Play {
    pub(crate) text: String,
    /// Of each host: how many tasks were ok, changed, failed, …
    pub(crate) recap: BTreeMap<String, BTreeMap<String, u32>>,
}

impl Bed {
    /// Returns the one that all tests share.
    pub(crate) fn make() -> &'static Self {
        static BED: OnceLock<Bed> = OnceLock::new();
        BED.get_or_init(Self::made)
    }

    fn made() -> Self {
        tools::need_root();
        let base = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ansible");
        let venv = base.join("venv");
        let whose = "import os, sys; print(os.path.realpath(sys.executable))";
        let python = String::from_utf8(run(tools::command("python3").args(["-c", whose])).stdout).unwrap();
        let wanted =
            format!("# {python}{}", fs::read_to_string("tests/it/ansible/requirements.txt").unwrap());
        let made_of = venv.join("made-of.txt");
        if fs::read_to_string(&made_of).ok().as_ref() != Some(&wanted) {
            let begin = Instant::now();
            run(tools::command("python3").args(["-m", "venv", "--clear"]).arg(&venv));
            run(Command::new(venv.join("bin/pip")).args([
                "install",
                "--quiet",
                "--requirement",
                "tests/it/ansible/requirements.txt",
            ]));
            fs::write(&made_of, &wanted).unwrap();
            println!("Ansible installed in {:.0} s", begin.elapsed().as_secs_f64());
        }
        let bed = Self { base, python: python.trim().to_owned() };

        let collections = bed.path("collections");
        if collections.exists() {
            fs::remove_dir_all(&collections).unwrap();
        }
        let mut install = bed.command("ansible-galaxy");
        install
            .args(["collection", "install", "--offline", "-r", "requirements.yml", "-p"])
            .arg(&collections);
        run(install.current_dir(EXAMPLE));
        // Without what only a debugger reads: it is copied to many nodes.
        run(tools::command("strip")
            .args([env!("CARGO_BIN_EXE_k3s-harden"), "-o"])
            .arg(bed.path("k3s-harden")));
        bed
    }

    /// Returns a path of the bed.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.base.join(path)
    }

    /// Returns the collection as it is installed.
    pub(crate) fn collection(&self) -> PathBuf {
        self.path("collections/ansible_collections/k3sharden/k3s")
    }

    /// Returns a program of Ansible in an environment of its own.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.path("venv/bin").join(program));
        let search = format!("{}:/usr/local/bin:/usr/bin:/bin", self.path("venv/bin").display());
        command.env_clear().env("PATH", search).env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
        let variables = [
            ("HOME", self.path("home")),
            ("ANSIBLE_HOME", self.path("home/.ansible")),
            ("ANSIBLE_COLLECTIONS_PATH", self.path("collections")),
        ];
        command.envs(variables);
        command.envs([
            ("ANSIBLE_PIPELINING", "1"),
            ("ANSIBLE_FORKS", "10"),
            ("ANSIBLE_NOCOLOR", "1"),
            ("ANSIBLE_RETRY_FILES_ENABLED", "0"),
            ("ANSIBLE_DEPRECATION_WARNINGS", "0"),
        ]);
        command
    }

    /// Runs the example's playbook on hosts, which all are servers.
    pub(crate) fn play(&self, inventory: &Inventory, arguments: &[&str]) -> Play {
        self.play_of(&Path::new(EXAMPLE).join("site.yml"), inventory, arguments)
    }

    /// Runs another playbook.
    pub(crate) fn play_of(&self, playbook: &Path, inventory: &Inventory, arguments: &[&str]) -> Play {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("inventory.yml");
        let mut all = inventory.0.clone();
        all["vars"]["ansible_python_interpreter"] = self.python.as_str().into();
        all["vars"]["ansible_become"] = false.into();
        all["vars"]["k3s_harden_binary_src"] = self.path("k3s-harden").to_str().unwrap().into();
        // JSON is YAML.
        fs::write(&file, json!({"servers": all}).to_string()).unwrap();
        let mut command = self.command("ansible-playbook");
        command.arg("--inventory").arg(&file).args(arguments).arg(playbook);
        let output = command.output().unwrap();
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let recap = recap(&text);
        assert!(!recap.is_empty(), "{text}");
        Play { text, recap }
    }

    /// Runs the module alone on this machine; returns what it says.
    pub(crate) fn module(&self, options: &Value, arguments: &[&str]) -> Value {
        let mut options = options.clone();
        if options["binary"].is_null() {
            options["binary"] = self.path("k3s-harden").to_str().unwrap().into();
        }
        let mut command = self.command("ansible");
        command
            .args(["all", "--inventory", "node,", "--connection", "local"])
            .args(["--extra-vars", &format!("ansible_python_interpreter={}", self.python)])
            .args(["--module-name", "k3sharden.k3s.k3s_harden", "--args", &options.to_string()])
            .args(arguments)
            // Whatever it says there, the task says everything.
            .env("K3S_HARDEN_SET", "no_such_setting=1");
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let all = text.clone() + &String::from_utf8_lossy(&output.stderr);
        let begin = text.find("=> {").unwrap_or_else(|| panic!("{all}")) + 3;
        let mut said: Value = serde_json::Deserializer::from_str(&text[begin..])
            .into_iter()
            .next()
            .unwrap()
            .unwrap_or_else(|error| panic!("{error}: {all}"));
        said["everything"] = all.into();
        said
    }
}

impl Play {
    /// Returns how many tasks of a host ended so.
    #[track_caller]
    pub(crate) fn count(&self, host: &str, how: &str) -> u32 {
        self.recap.get(host).unwrap_or_else(|| panic!("{}", self.text))[how]
    }

    /// Checks that nothing failed on any host.
    #[track_caller]
    pub(crate) fn well(self) -> Self {
        for host in self.recap.keys() {
            assert_eq!(
                (self.count(host, "failed"), self.count(host, "unreachable")),
                (0, 0),
                "{}",
                self.text
            );
        }
        self
    }
}

/// Reads the lines at the end that say `host : ok=1 changed=0 …`.
fn recap(text: &str) -> BTreeMap<String, BTreeMap<String, u32>> {
    let mut lines = text.lines().skip_while(|line| !line.starts_with("PLAY RECAP"));
    lines.next();
    let count = |word: &str| {
        let (name, number) = word.split_once('=')?;
        Some((name.to_owned(), number.parse().ok()?))
    };
    lines
        .filter_map(|line| line.split_once(" : "))
        .map(|(host, counts)| (host.trim().to_owned(), counts.split_whitespace().filter_map(count).collect()))
        .collect()
}

/// Hosts and what is said about them all.
#[derive(Debug)]
pub(crate) struct Inventory(Value);

impl Inventory {
    pub(crate) fn new(variables: &Value) -> Self {
        Self(json!({"hosts": {}, "vars": variables}))
    }

    /// Adds a host, or says it anew.
    pub(crate) fn host(mut self, name: &str, variables: Value) -> Self {
        self.0["hosts"][name] = variables;
        self
    }

    /// Says something else of all.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.0["vars"][name] = value.into();
    }
}

/// A node with an SSH server on a port of 127.0.0.1.
#[derive(Debug)]
pub(crate) struct Reached {
    // In this order: the server has to be gone when the node goes.
    _server: Server,
    pub(crate) node: Node,
    port: u16,
    key: tempfile::TempDir,
}

#[derive(Debug)]
struct Server(Child);

impl Reached {
    pub(crate) fn make() -> Self {
        tools::need(&["ssh", "sshd"]);
        let node = Node::make();
        let key = tempfile::tempdir().unwrap();
        let file = key.path().join("key");
        run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&file));
        // The role brings the binary.
        node.prepare(
            "umount /usr/local/bin/k3s-harden; rm /usr/local/bin/k3s-harden
             mkdir -p /run/sshd /etc/bed; ssh-keygen -q -t ed25519 -N '' -f /etc/bed/host",
        );
        fs::copy(key.path().join("key.pub"), node.path("/etc/bed/authorized")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command =
            node.command(["/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-p", &port.to_string()]);
        for option in [
            "ListenAddress=127.0.0.1",
            "HostKey=/etc/bed/host",
            "AuthorizedKeysFile=/etc/bed/authorized",
            "Subsystem=sftp internal-sftp",
            "StrictModes=no",
            "UsePAM=no",
            "PidFile=none",
        ] {
            command.args(["-o", option]);
        }
        let log = fs::File::create(key.path().join("log")).unwrap();
        let server = Server(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
        let reached = Self { _server: server, node, port, key };
        let end = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                Instant::now() < end,
                "sshd: {}",
                fs::read_to_string(reached.key.path().join("log")).unwrap()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        reached
    }

    /// Returns the socket of the connection that all tasks share.
    fn control(&self) -> String {
        self.key.path().join("control").to_str().unwrap().to_owned()
    }

    /// Returns how Ansible reaches it.
    pub(crate) fn variables(&self) -> Value {
        json!({
            "ansible_host": "127.0.0.1",
            "ansible_port": self.port,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": self.key.path().join("key").to_str().unwrap(),
            "ansible_ssh_args": format!("-F /dev/null -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
                -o ControlMaster=auto -o ControlPersist=60 -o ControlPath={}", self.control()),
        })
    }
}

impl Drop for Reached {
    fn drop(&mut self) {
        let path = format!("ControlPath={}", self.control());
        let _ended = Command::new("ssh").args(["-o", &path, "-O", "exit", "node"]).output();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().unwrap_or_default();
        let _ended = self.0.wait();
    }
}

/// Runs a command, which must end well.
pub(crate) fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {stdout}{stderr}");
    output
}
