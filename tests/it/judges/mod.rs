// SPDX-License-Identifier: Apache-2.0
//! Our verdict against Kubernetes' own code: a Go program (tests/oracle/judges) is linked against the newest minor and
//! says what the API server makes of an audit policy, an admission configuration and a manifest, and the kubelet of
//! kernel parameters. What we render has to be accepted, and for mistakes made in it, `preflight` has to say the same.
//! The values of flags are read as Go and Kubernetes read them, and generated configurations of authentication,
//! authorization and egress are accepted or refused as there; so is the file behind anonymous_health, with who is let in.
//!
//! It is part of the second tier, with 10 mutations: `cargo test --test it judges -- --include-ignored` as root, with Go.
//! The third tier takes 200 (`tests/full`). `SEED` and `COUNT` change the mutations, `SHOW` how many of those that differ are shown, `KEEP` names a file
//! for all of them. `K3S_HARDEN_JUDGE` names a program that was built before.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test of programs that prints its figures"
)]

mod access;
pub(crate) mod mutate;
mod static_files;
mod static_mutate;
mod values;

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use crate::support::counts::pick;
use crate::support::{Node, tools, turns};
use k3s_harden::version::KubernetesMinor;
use mutate::{Dice, Mutation};
use serde_json::{Value, json};

const SEED: u64 = 0x6a75_6467_6573;
const MUTATIONS: usize = pick(10, 200);

const AUDIT: &str = "var/lib/rancher/k3s/server/audit.yaml";
const ADMISSION: &str = "var/lib/rancher/k3s/server/psa.yaml";
const MANIFEST: &str = "var/lib/rancher/k3s/server/manifests/policy.yaml";
const SYSCTLS: &str = "etc/sysctl.d/90-kubelet.conf";

/// The ways in which what we render is asked about.
const VARIANTS: [&[&str]; 9] = [
    &["--profile", "cis"],
    &["--profile", "cis,strict"],
    &["--profile", "cis,strict", "--set", "audit_policy=writes"],
    &["--profile", "cis,strict", "--set", "audit_policy=detailed"],
    &["--set", "pod_security_enforce=baseline", "--set", "pod_security_version=v1.33"],
    &["--set", "pod_security_preset=rancher", "--set", "pod_security_exempt_users=system:admin,alice"],
    &[
        "--set",
        "pod_security_exempt_runtime_classes=kata",
        "--set",
        "pod_security_exempt_namespaces=longhorn-system",
    ],
    &["--set", "ingress_to=default,shop", "--set", "tight_ports=true"],
    &[
        "--profile",
        "cis,strict",
        "--set",
        "kernel_keys=true",
        "--set",
        r#"event_rate_limits=[{"type":"Namespace","qps":50,"burst":100,"cacheSize":2000},{"type":"User","qps":10,"burst":50}]"#,
    ],
];

/// A kind of file that the two judge differently, and why it stays so.
struct Class {
    name: &'static str,
    reason: &'static str,
    /// How many there may be, of the fixed seed.
    most: usize,
    holds: fn(&Mutation, &Verdict, &Verdict, &Value) -> bool,
}

const CLASSES: [Class; 1] = [Class {
    name: "a verb that no request has",
    reason: "the API server never finds the rule, and says nothing; we do",
    most: pick(0, 2),
    holds: |_, ours, theirs, found| {
        (*ours, *theirs) == (Verdict::HardensNothing, Verdict::Fine)
            && found.as_array().is_some_and(|found| found.iter().all(|one| one["code"] == "audit-verb"))
    },
}];

/// What becomes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    DoesNotStart,
    HardensNothing,
    Fine,
    Unknown,
}

#[test]
#[ignore = "needs root, unshare and Go"]
fn kubernetes_takes_what_we_render_and_we_say_what_it_says() {
    let _busy = turns::busy();
    let begin = Instant::now();
    let directory = tempfile::tempdir().unwrap();
    let release = crate::support::kubernetes::RELEASES[0];
    let newest = KubernetesMinor::supported().last().unwrap().to_string();
    assert!(release.starts_with(&format!("v{newest}.")), "{release} is not of {newest}");
    let program = std::env::var_os("K3S_HARDEN_JUDGE").map_or_else(
        || crate::support::kubernetes::build(directory.path(), release, Path::new("tests/oracle/judges")),
        PathBuf::from,
    );
    println!("{release}: built in {:.0} s", begin.elapsed().as_secs_f64());

    let begin = Instant::now();
    let mut judge = Judge::new(Command::new(&program));
    let accepted = what_we_render(&mut judge, &newest);
    println!("{accepted} files of {} variants are accepted", VARIANTS.len());
    let differences = values::differences(&mut judge);
    let shown: Vec<&str> = differences.iter().take(40).map(String::as_str).collect();
    assert!(differences.is_empty(), "{} values differ:\n{}", differences.len(), shown.join("\n"));
    let differences = access::differences(&mut judge, &newest);
    let shown: Vec<&str> = differences.iter().take(20).map(String::as_str).collect();
    assert!(differences.is_empty(), "{} documents differ:\n{}", differences.len(), shown.join("\n"));
    let differences = access::open_paths(&mut judge, &newest);
    let shown: Vec<&str> = differences.iter().take(20).map(String::as_str).collect();
    assert!(differences.is_empty(), "{} files differ:\n{}", differences.len(), shown.join("\n"));
    let (wrongs, wrong) = mistakes(&mut judge, &newest);
    kernel_parameters(&program, directory.path(), &newest);
    println!("asked in {:.0} s", begin.elapsed().as_secs_f64());
    assert!(wrongs == 0, "{wrongs} differ:\n{wrong}");
}

/// Everything that we render is accepted and has an effect, by Kubernetes and by ourselves. Returns how many files.
fn what_we_render(judge: &mut Judge, newest: &str) -> usize {
    let mut accepted = 0;
    for variant in VARIANTS {
        let node = applied(newest, variant);
        for (kind, path) in [("audit", AUDIT), ("admission", ADMISSION), ("policy", MANIFEST)] {
            let text = node.read(path);
            let said = judge.ask(kind, &text, &plugins(&node));
            assert_eq!(verdict(&said), Verdict::Fine, "{variant:?} {path}: {said}");
            if kind == "policy" {
                let objects = said["objects"].as_array().unwrap().len();
                let kinds = text.lines().filter(|line| line.starts_with("kind:")).count();
                assert_eq!(objects, kinds, "{variant:?} {path}: {said}");
            }
            accepted += 1;
        }
        let (ours, said) = preflight(&node, newest);
        assert_eq!(ours, Verdict::Fine, "{variant:?}: {said}");
    }
    accepted
}

/// For mistakes in what we render, our verdict is that of Kubernetes. Returns how many differ, and the
/// first of them.
fn mistakes(judge: &mut Judge, newest: &str) -> (u64, String) {
    let number = |name: &str, or: u64| std::env::var(name).ok().map_or(or, |text| text.parse().unwrap());
    let (seed, count) = (number("SEED", SEED), usize::try_from(number("COUNT", MUTATIONS as u64)).unwrap());
    let mut dice = Dice::new(seed);
    let mut wrong = String::new();
    let (mut wrongs, mut agree, mut classes) = (0, [0; 3], vec![0; CLASSES.len()]);
    let mut all = String::new();
    for (kind, path) in [("audit", AUDIT), ("admission", ADMISSION)] {
        let files: Vec<String> =
            VARIANTS[1..4].iter().map(|variant| applied(newest, variant).read(path)).collect();
        let node = applied(newest, VARIANTS[1]);
        let plugins = plugins(&node);
        for mutation in mutate::mutations(&mut dice, &files, kind == "audit", count / 2) {
            fs::write(node.path().join(path), &mutation.text).unwrap();
            let said = judge.ask(kind, &mutation.text, &plugins);
            let theirs = verdict(&said);
            let (ours, found) = preflight(&node, newest);
            let same = ours == theirs;
            writeln!(all, "{}", json!({
                "kind": kind, "name": mutation.name, "text": mutation.text, "same": same,
                "theirs": format!("{theirs:?}"), "said": said, "ours": format!("{ours:?}"), "found": found,
            }))
            .unwrap();
            if same {
                agree[theirs as usize] += 1;
            } else if let Some(class) =
                CLASSES.iter().position(|class| (class.holds)(&mutation, &ours, &theirs, &found))
            {
                classes[class] += 1;
            } else {
                wrongs += 1;
                if wrongs <= number("SHOW", 10) {
                    let Mutation { name, text } = &mutation;
                    writeln!(
                        wrong,
                        "{path}: {name}\n  Kubernetes: {theirs:?} {said}\n  ours: {ours:?} {found}\n{text}"
                    )
                    .unwrap();
                }
            }
        }
    }
    let [stops, nothing, fine] = agree;
    println!(
        "{} of {count} mutations agree, seed {seed:#x}: {stops} do not start, {nothing} harden nothing, {fine} are fine",
        stops + nothing + fine
    );
    if let Some(file) = std::env::var_os("KEEP") {
        fs::write(file, all).unwrap();
    }
    for (class, count) in CLASSES.iter().zip(classes) {
        println!("{count} differ as known: {}: {}", class.name, class.reason);
        assert!(seed != SEED || count <= class.most, "{}: {count} are more than {}", class.name, class.most);
    }
    (wrongs, wrong)
}

/// The kubelet's own check takes what our sysctl file sets, and no other value; we say so too.
///
/// The kernel parameters belong to the whole machine, so the program sees a plain directory in place of /proc/sys,
/// in a mount namespace of its own, and answers nothing where it does not.
fn kernel_parameters(program: &Path, directory: &Path, newest: &str) {
    const LAY: &str = r#"mount --bind "$1" /proc/sys && test -e /proc/sys/not-the-kernel && exec "$2""#;
    // What the kernel has where no file says anything else; a machine at its defaults, all of them wrong but two.
    const DEFAULTS: [(&str, &str); 6] = [
        ("vm.overcommit_memory", "0"),
        ("vm.panic_on_oom", "0"),
        ("kernel.panic", "0"),
        ("kernel.panic_on_oops", "0"),
        ("kernel.keys.root_maxkeys", "1000000"),
        ("kernel.keys.root_maxbytes", "25000000"),
    ];
    tools::need_root();
    let sys = directory.join("sys");
    fs::create_dir_all(sys.join("kernel/keys")).unwrap();
    fs::create_dir_all(sys.join("vm")).unwrap();
    fs::write(sys.join("not-the-kernel"), "").unwrap();
    let mut command = tools::command("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", LAY, "sh"]).arg(&sys).arg(program);
    let mut judge = Judge::new(command);

    let node = applied(newest, VARIANTS[1]);
    let ours = node.read(SYSCTLS);
    let mut files = vec![ours.clone(), String::new()];
    for (index, line) in ours.lines().enumerate().filter(|(_, line)| line.contains('.') && line.contains('='))
    {
        let with = |text: &str| {
            let lines = ours.lines().enumerate().map(|(at, old)| if at == index { text } else { old });
            lines.fold(String::new(), |all, line| all + line + "\n")
        };
        let (name, value) = line.split_once('=').unwrap();
        files.extend([
            with(""),
            with(&format!("#{line}")),
            with(&format!("{name}=3")),
            with(&format!("{} = {value}", name.replace('.', "/"))),
            with(&format!("{line}\n{name}=-1")),
        ]);
    }
    files.push(format!("{ours}kernel.keys.root_maxkeys=200\n"));
    files.push(format!("{ours}kernel.keys.root_maxbytes=20000\n"));
    files.push(format!("{ours}kernel.keys.root_maxkeys=1000000\nkernel.keys.root_maxbytes=25000000\n"));

    let mut starts = 0;
    for text in &files {
        fs::write(node.path().join(SYSCTLS), text).unwrap();
        for (name, value) in DEFAULTS {
            let is_it = |line: &&str| {
                let key = line.split('=').next().unwrap_or_default().trim().replace('/', ".");
                key == name
            };
            let set =
                text.lines().rfind(is_it).and_then(|line| line.split_once('=')).map(|(_, set)| set.trim());
            fs::write(sys.join(name.replace('.', "/")), format!("{}\n", set.unwrap_or(value))).unwrap();
        }
        let said = judge.ask("sysctl", "", &[]);
        let (ours, found) = preflight(&node, newest);
        let theirs = verdict(&said);
        assert_eq!(ours, theirs, "{text}\n  the kubelet: {said}\n  ours: {found}");
        starts += usize::from(theirs == Verdict::Fine);
    }
    println!("{} sets of kernel parameters: the kubelet takes {starts}, and so do we", files.len());
}

/// Returns a server of the newest minor that was brought to the benchmark.
fn applied(newest: &str, arguments: &[&str]) -> Node {
    let node = Node::new();
    let mut words = vec!["apply", "--k3s-version", newest, "--role", "server"];
    words.extend(arguments);
    let output = node.run(&words);
    assert_eq!(output.code, 0, "{arguments:?}: {}{}", output.stdout, output.stderr);
    node
}

/// Returns the admission plugins that the configuration of a node enables.
fn plugins(node: &Node) -> Vec<String> {
    let said: Value =
        serde_json::from_str(&node.run(&["effective-config", "--format", "json"]).stdout).unwrap();
    let flags = said["components"]["kube-apiserver"].as_array().unwrap();
    let named = |flag: &Value| flag.as_str()?.strip_prefix("--enable-admission-plugins=").map(str::to_owned);
    flags.iter().find_map(named).unwrap_or_default().split(',').map(str::to_owned).collect()
}

/// Returns our verdict on a node, and what was found.
fn preflight(node: &Node, newest: &str) -> (Verdict, Value) {
    let output = node.run(&["preflight", "--format", "json", "--k3s-version", newest, "--role", "server"]);
    let Ok(said) = serde_json::from_str::<Value>(&output.stdout) else {
        panic!("preflight: {} {}{}", output.code, output.stdout, output.stderr);
    };
    let found =
        |list: &str, class: &str| said[list].as_array().unwrap().iter().any(|one| one["class"] == class);
    let verdict = match said["starts"].as_bool() {
        Some(false) => Verdict::DoesNotStart,
        None => Verdict::Unknown,
        Some(true) if found("now", "hardens-nothing") => Verdict::HardensNothing,
        Some(true) => Verdict::Fine,
    };
    assert_eq!(output.code, if verdict == Verdict::DoesNotStart { 2 } else { 0 }, "{said}");
    let lists = ["now", "after_reboot", "notes"];
    let findings = lists.iter().flat_map(|list| said[list].as_array().unwrap().iter().cloned());
    (verdict, findings.filter(|one| one["class"] != "not-judged").collect())
}

/// Returns what becomes of a file by Kubernetes' own words.
fn verdict(said: &Value) -> Verdict {
    if !said["error"].is_null() {
        Verdict::DoesNotStart
    } else if !said["dropped"].is_null() || said["effect"] != true {
        Verdict::HardensNothing
    } else {
        Verdict::Fine
    }
}

/// The Go program, asked one thing after the other.
pub(crate) struct Judge {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Judge {
    pub(crate) fn new(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output }
    }

    fn ask(&mut self, kind: &str, text: &str, plugins: &[String]) -> Value {
        self.put(&json!({ "kind": kind, "text": text, "plugins": plugins }))
    }

    pub(crate) fn put(&mut self, question: &Value) -> Value {
        writeln!(self.input.as_mut().unwrap(), "{question}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "the Go program ended over {question}");
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        drop(self.input.take());
        let ended = self.child.wait();
        if !std::thread::panicking() {
            assert!(ended.unwrap().success(), "the Go program failed");
        }
    }
}
