// SPDX-License-Identifier: Apache-2.0
//! A shell against our reading of OpenRC's init scripts: random scripts, conf.d files and environment files are read by
//! `sh` as openrc-run and supervise-daemon.sh have it read them, with a program in the place of K3s that writes down its
//! words and environment. Ours have to be the same.
//!
//! 250 scripts, 5 000 in the third tier (`tests/full`). `SEED` changes them.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test of programs that prints its figures"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use k3s_harden::Role;
use k3s_harden::k3s::NodeService;
use k3s_harden::node::Root;

use crate::support::counts::pick;
use crate::support::random::Random;

const SEED: u64 = 0x6f70_656e_7263_2121;
const SCRIPTS: usize = pick(250, 5_000);
/// How many that differ are shown, of each way to differ.
const SHOWN: usize = 3;
/// Stands in the texts for the root's path, which the shell needs and a node does not have.
const ROOT: &str = "@ROOT@";
const VARIABLES: [&str; 5] = ["K3S_ARGS", "A", "B", "K3S_TOKEN", "C"];

/// What openrc-run.sh and supervise-daemon.sh do, as far as it matters here.
const OPENRC: &str = r#"
RC_SVCNAME=k3s
export RC_SVCNAME
for file in "$1/etc/conf.d/k3s" "$1/etc/rc.conf"; do
  if [ -e "$file" ]; then . "$file"; fi
done
. "$1/etc/init.d/k3s"
launch() {
  program=
  while [ "$1" != -- ]; do program=$1; shift; done
  shift
  exec "$program" "$@"
}
eval launch $command -- $command_args $command_args_foreground
"#;

const K3S: &str = r#"#!/bin/sh
folder=${0%/*}/../../../out
cat /proc/$$/environ > "$folder/environment"
for word; do printf '%s\0' "$word"; done > "$folder/words"
"#;

const WORDS: [&str; 22] = [
    "'--a=b'",
    "--c",
    "\\\"d  e\\\"",
    "'--f=\\\"g\\\"'",
    "$K3S_ARGS",
    "${A}",
    "\\\"$B\\\"",
    "'$C'",
    "\\$A",
    "${NONE:-h}",
    "${NONE:-'i j'}",
    "${A:+k}",
    "${A-l}",
    "'m  n'",
    "--o=${B}p",
    "q\\\\ r",
    "#s",
    "''",
    "2",
    "--t='u v'w",
    "x > @ROOT@/var/log/x y",
    "é",
];
const VALUES: [&str; 16] = [
    "1",
    "'b c'",
    "\"--x --y\"",
    "\"'--z=1 2'\"",
    "",
    "$A",
    "\"${B}d\"",
    "e\\ f",
    "'g\"h'",
    "\"i\\\"j\"",
    "k'l m'",
    "\"$NONE\"",
    "${NONE:-n}",
    "\"o\\np\"",
    "\"q\n r\"",
    "s # t",
];

struct Dice<'r>(&'r mut Random);

impl Dice<'_> {
    fn one<'c>(&mut self, choices: &[&'c str]) -> &'c str {
        choices[self.0.below(choices.len())]
    }

    fn assignments(&mut self, most: usize) -> String {
        let mut text = String::new();
        for _ in 0..self.0.below(most + 1) {
            let (name, value) = (self.one(&VARIABLES), self.one(&VALUES));
            let _infallible = match self.0.below(10) {
                0 => writeln!(text, "export {name}={value}"),
                1 => writeln!(text, "export {name}"),
                2 => writeln!(text, "# {name}={value}"),
                3 => writeln!(text, "unset {name}"),
                4 => writeln!(text, "[ -n \"${name}\" ] && {name}={value}"),
                5 => writeln!(text, "if [ -z \"${name}\" ]; then {name}={value}; else A=else; fi"),
                6 => writeln!(text, ": ${{{name}:=x}}; {name}=\"${{{name}}}\" true"),
                _ => writeln!(text, "{name}={value}"),
            };
        }
        text
    }

    fn script(&mut self) -> String {
        let mut text = String::from(
            "#!/sbin/openrc-run\n\ndepend() {\n    after network-online\n}\n\nstart_pre() {\n    rm -f /tmp/k3s.*\n}\n\n",
        );
        text.push_str(&self.assignments(3));
        text.push_str("supervisor=supervise-daemon\nname=k3s\ncommand=\"@ROOT@/usr/local/bin/k3s\"\n");
        let mut arguments = String::from("server");
        for _ in 0..self.0.below(5) {
            arguments.push_str(self.one(&[" ", "  ", " \\\n\t", "\n "]));
            arguments.push_str(self.one(&WORDS));
        }
        arguments.push_str(self.one(&[
            "",
            " \\\n    >>@ROOT@/var/log/k3s.log 2>&1",
            "\n    >>@ROOT@/var/log/k3s.log 2>&1",
        ]));
        let _infallible = writeln!(text, "command_args=\"{arguments}\"");
        if self.0.below(4) == 0 {
            text.push_str("command_args=\"${command_args} --more\"\n");
        }
        if self.0.below(6) == 0 {
            text.push_str("command_args_foreground='--foreground \"$A\"'\n");
        }
        let exports = self.one(&["set -o allexport\n", "set -a\n", ""]);
        text.push_str(exports);
        text.push_str("if [ -f @ROOT@/etc/environment ]; then . @ROOT@/etc/environment; fi\n");
        text.push_str(self.one(&[
            "if [ -f @ROOT@/etc/rancher/k3s/k3s.env ]; then . @ROOT@/etc/rancher/k3s/k3s.env; fi\n",
            "[ -r @ROOT@/etc/rancher/k3s/k3s.env ] && . @ROOT@/etc/rancher/k3s/k3s.env\n",
            ". @ROOT@/etc/rancher/k3s/k3s.env\n",
        ]));
        text.push_str(self.one(&["set +o allexport\n", "set +a\n", ""]));
        text.push_str(&self.assignments(2));
        text
    }

    fn files(&mut self) -> Vec<(&'static str, String)> {
        let mut files = vec![("etc/init.d/k3s", self.script())];
        for path in ["etc/conf.d/k3s", "etc/environment", "etc/rancher/k3s/k3s.env", "etc/rc.conf"] {
            if self.0.below(2) == 0 {
                files.push((path, self.assignments(4)));
            }
        }
        files
    }
}

type Started = (Vec<String>, BTreeMap<String, String>);

fn lay(root: &Path, files: &[(&str, String)], prefix: &str) {
    for (path, text) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text.replace(ROOT, prefix)).unwrap();
    }
}

fn theirs(files: &[(&str, String)]) -> Option<Started> {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    lay(root, files, root.to_str().unwrap());
    for directory in ["usr/local/bin", "out", "var/log"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    let program = root.join("usr/local/bin/k3s");
    crate::support::tools::write_program(&program, 0o755, K3S.as_bytes());
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", OPENRC, "sh"]).arg(root).env_clear().env("PATH", "/usr/bin:/bin");
    shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    let parts = |name: &str| -> Option<Vec<String>> {
        let bytes = fs::read(root.join("out").join(name)).ok()?;
        let mut parts: Vec<String> =
            bytes.split(|byte| *byte == 0).map(|part| String::from_utf8_lossy(part).into_owned()).collect();
        parts.pop();
        // The program's own path holds the root's.
        Some(parts.into_iter().map(|part| part.replace(root.to_str().unwrap(), "")).collect())
    };
    let environment = parts("environment")?;
    let own = environment.iter().filter_map(|pair| pair.split_once('='));
    let own = own.filter(|(name, _)| VARIABLES.contains(name));
    Some((parts("words")?, own.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()))
}

#[test]
fn a_shell_starts_scripts_as_forecast() {
    let seed = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(SEED);
    let mut random = Random::new(seed);
    let (mut same, mut refused, mut not_understood) = (0, 0, 0);
    let (mut missed, mut false_alarms, mut other) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..SCRIPTS {
        let files = Dice(&mut random).files();
        let theirs = theirs(&files);
        let folder = tempfile::tempdir().unwrap();
        lay(folder.path(), &files, "");
        let service = NodeService::find(&Root::open(folder.path()).unwrap(), Role::Server).unwrap();
        let own = service.environment().filter(|(name, _)| VARIABLES.contains(name));
        let environment = own.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let ours: Started = (service.words.clone(), environment);
        let report = || format!("ours {ours:?} {:?}\n  the shell {theirs:?}\n  {files:#?}\n", service.faults);
        match &theirs {
            _ if service.faults.is_empty() && !service.not_understood.is_empty() => not_understood += 1,
            None if service.faults.is_empty() => missed.push(report()),
            None => refused += 1,
            Some(_) if !service.faults.is_empty() => false_alarms.push(report()),
            Some(theirs) if *theirs == ours => same += 1,
            Some(_) => other.push(report()),
        }
    }
    println!(
        "seed {seed:#x}: {same} of {SCRIPTS} scripts started as forecast, {refused} refused, {not_understood} not understood; {} missed, {} false alarms, {} started in another way",
        missed.len(),
        false_alarms.len(),
        other.len()
    );
    let shown: Vec<&String> =
        [&missed, &false_alarms, &other].into_iter().flat_map(|reports| reports.iter().take(SHOWN)).collect();
    assert!(shown.is_empty(), "these differ: {shown:#?}");
    assert!(same * 3 > SCRIPTS * 2 && refused * 50 > SCRIPTS, "the scripts are no test");
}
