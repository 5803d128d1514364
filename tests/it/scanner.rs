// SPDX-License-Identifier: Apache-2.0
//! What the real scanners printed of fixture nodes, against what `verify::scanner` says that they print; and what it
//! says before K3s has started, when all that there is of the node is its configuration. tests/scanner has the answers.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use clap::ValueEnum as _;
use k3s_harden::Role;
use k3s_harden::k3s::{ConfigQuery, Datastore, EffectiveConfig, RunningComponents, forecast_journal};
use k3s_harden::mode::Owner;
use k3s_harden::node::{Root, RootedPath};
use k3s_harden::scanner::{
    CheckState, Prediction, ScannedNode, Scanner, benchmarks, default_benchmark, predict,
};
use k3s_harden::version::{K3sRelease, KubernetesMinor};

const DATA_DIR: &str = "/var/lib/rancher/k3s";

/// A fixture node: minor, datastore, settings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fixture {
    pub(crate) minor: String,
    pub(crate) datastore: String,
    pub(crate) settings: String,
}

/// What a scanner printed of a fixture: state and whether it was scored, by number.
type Printed = BTreeMap<String, (char, bool)>;

pub(crate) fn data(name: &str) -> String {
    fs::read_to_string(Path::new("tests/scanner").join(name)).unwrap()
}

/// Returns the lines that are no comment.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Reads results.txt: every fixture that each benchmark was put to.
fn results() -> Vec<(Scanner, String, Fixture, Printed)> {
    let text = data("results.txt");
    let mut results = Vec::new();
    let mut benchmark = (Scanner::KubeBench, "");
    let mut columns = 0..0;
    let mut nodes: Vec<Vec<usize>> = Vec::new();
    for line in lines(&text) {
        if let Some(head) = line.strip_prefix('[') {
            let (scanner, name) = head.trim_end_matches(']').split_once(' ').unwrap();
            benchmark = (Scanner::from_str(scanner, false).unwrap(), name);
        } else if let Some(head) = line.strip_prefix("nodes ") {
            columns = results.len()..results.len();
            nodes.clear();
            for column in head.split("  ") {
                let parts: Vec<&str> = column.split('/').collect();
                let minors = parts[0].split(',');
                nodes.push(Vec::new());
                for minor in minors {
                    let fixture = Fixture {
                        minor: minor.to_owned(),
                        datastore: parts[1].to_owned(),
                        settings: parts[2].to_owned(),
                    };
                    nodes.last_mut().unwrap().push(results.len());
                    results.push((benchmark.0, benchmark.1.to_owned(), fixture, Printed::new()));
                }
            }
            columns.end = results.len();
        } else {
            let scored = line.starts_with('s');
            let mut words = line[1..].split_whitespace();
            let id = words.next().unwrap();
            let states: Vec<char> = words.map(|word| word.parse().unwrap()).collect();
            assert_eq!(states.len(), nodes.len(), "{line}");
            for (state, nodes) in states.iter().zip(&nodes) {
                for node in nodes {
                    assert!(columns.contains(node));
                    results[*node].3.insert(id.to_owned(), (*state, scored));
                }
            }
        }
    }
    results
}

impl Fixture {
    /// The nodes of 1.32 were logged on a release that gives the kubelet read-only-port: 1.32.4 or newer.
    fn release(&self) -> K3sRelease {
        match self.minor.as_str() {
            "1.32" => K3sRelease::new(self.minor(), 4),
            _ => self.minor().into(),
        }
    }

    fn minor(&self) -> KubernetesMinor {
        self.minor.parse().unwrap()
    }

    pub(crate) fn etcd(&self) -> bool {
        self.datastore == "etcd"
    }

    /// Takes a line away whose condition, behind a `#`, is not met.
    fn has<'a>(&self, line: &'a str) -> Option<&'a str> {
        let (text, condition) = line.split_once("  # ").unwrap_or((line, ""));
        let own = [&self.minor, &self.datastore, &self.settings];
        let met = |word: &str| word.split(',').any(|one| own.iter().any(|own| *own == one));
        condition.split_whitespace().all(met).then_some(text)
    }

    /// The flags of each component, in the order in which K3s logs them.
    pub(crate) fn flags(&self) -> Vec<(String, Vec<String>)> {
        let text = data("journal.txt");
        let mut components: Vec<(String, Vec<String>)> = Vec::new();
        for line in lines(&text) {
            if let Some(name) = line.strip_prefix('[') {
                components.push((name.trim_end_matches(']').to_owned(), Vec::new()));
            } else if let Some(flag) = self.has(line) {
                components.last_mut().unwrap().1.push(flag.to_owned());
            }
        }
        components
    }

    /// What the journal held.
    fn journal(&self) -> String {
        let mut journal = String::new();
        for (name, flags) in self.flags() {
            let flags = flags.join(" ");
            writeln!(
                journal,
                "Nov 23 22:08:48 server-0 k3s[2226]: time=\"2026-11-23T22:08:48Z\" level=info msg=\"Running {name} {flags}\""
            )
            .unwrap();
        }
        journal
    }

    /// Makes its files.
    pub(crate) fn make(&self, root: &Path) {
        let text = data("files.txt");
        let mut directories = Vec::new();
        for line in lines(&text).filter_map(|line| self.has(line)) {
            let (mode, path) = line.split_once(' ').unwrap();
            let at = root.join(path.trim_matches('/'));
            let mode = fs::Permissions::from_mode(u32::from_str_radix(mode, 8).unwrap());
            if path.ends_with('/') {
                fs::create_dir_all(&at).unwrap();
                directories.push((at, mode));
            } else {
                fs::create_dir_all(at.parent().unwrap()).unwrap();
                fs::write(&at, content(path)).unwrap();
                fs::set_permissions(&at, mode).unwrap();
            }
        }
        // At last, or some could not be filled.
        for (at, mode) in directories {
            fs::set_permissions(at, mode).unwrap();
        }
    }

    /// The configuration that gives it its settings.
    fn configuration(&self) -> String {
        let old = self.minor == "1.24";
        let full = self.settings == "full";
        let mut text = String::new();
        if self.etcd() {
            text += "cluster-init: true\n";
        }
        if self.settings == "default" {
            return text;
        }
        let mut plugins = vec!["NodeRestriction"];
        plugins.extend(old.then_some("PodSecurityPolicy"));
        plugins.push("ServiceAccount");
        if full {
            plugins.extend(["EventRateLimit", "AlwaysPullImages"]);
            plugins.extend((self.minor() >= "1.27".parse().unwrap()).then_some("DenyServiceExternalIPs"));
        }
        text += "secrets-encryption: true\n";
        if old || full {
            text += "protect-kernel-defaults: true\n";
        }
        text += "kube-apiserver-arg:\n";
        writeln!(text, "- enable-admission-plugins={}", plugins.join(",")).unwrap();
        if full || !old {
            text += "- admission-control-config-file=/var/lib/rancher/k3s/server/psa.yaml\n";
        }
        for argument in [
            "audit-log-path=/var/lib/rancher/k3s/server/logs/audit.log",
            "audit-policy-file=/var/lib/rancher/k3s/server/audit.yaml",
            "audit-log-maxage=30",
            "audit-log-maxbackup=10",
            "audit-log-maxsize=100",
            "request-timeout=300s",
            "service-account-lookup=true",
        ] {
            writeln!(text, "- {argument}").unwrap();
        }
        if full {
            text += "- service-account-extend-token-expiration=false\n";
        }
        text += "kube-controller-manager-arg: [terminated-pod-gc-threshold=10]\n";
        text += "kubelet-arg:\n- make-iptables-util-chains=true\n";
        if full {
            writeln!(text, "- event-qps={}", if old { 0 } else { 5 }).unwrap();
            for argument in [
                "pod-max-pids=4096",
                "read-only-port=0",
                "rotate-certificates=true",
                "seccomp-default=true",
                "streaming-connection-idle-timeout=5m",
                "tls-cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305,TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
                "tls-min-version=VersionTLS12",
            ] {
                writeln!(text, "- {argument}").unwrap();
            }
        }
        text
    }
}

/// The text of the files that anybody reads.
fn content(path: &str) -> String {
    match path.rsplit('/').next().unwrap() {
        "00-k3s-defaults.conf" => data("00-k3s-defaults.conf"),
        "config" => data("etcd-config.yaml"),
        "kubelet.kubeconfig" => "apiVersion: v1\nkind: Config\n".to_owned(),
        // As K3s writes it.
        "encryption-config.json" => r#"{"kind":"EncryptionConfiguration","apiVersion":"apiserver.config.k8s.io/v1","resources":[{"resources":["secrets"],"providers":[{"aescbc":{"keys":[{"name":"aescbckey","secret":"MDEyMzQ1Njc4OWFiY2RlZg=="}]}},{"identity":{}}]}]}"#.to_owned(),
        _ => String::new(),
    }
}

/// A node on the disk.
struct Node {
    dir: tempfile::TempDir,
    root: Root,
    data_dir: RootedPath,
    owner: Owner,
    with_sqlite: RunningComponents,
    with_etcd: RunningComponents,
}

impl Node {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        let metadata = fs::metadata(dir.path()).unwrap();
        let owner = Owner { uid: metadata.uid(), gid: metadata.gid() };
        let [with_sqlite, with_etcd] = [Datastore::Sqlite, Datastore::Etcd]
            .map(|datastore| RunningComponents::of_role(Role::Server, datastore));
        Self { dir, root, data_dir: DATA_DIR.parse().unwrap(), owner, with_sqlite, with_etcd }
    }

    fn file(&self, path: &str, text: &str) -> &Self {
        let at = self.dir.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::write(at, text).unwrap();
        self
    }

    fn seen<'a>(&'a self, fixture: &Fixture, journal: &'a str) -> ScannedNode<'a> {
        ScannedNode {
            root: &self.root,
            data_dir: &self.data_dir,
            role: Role::Server,
            minor: fixture.minor(),
            owner: self.owner,
            journal,
            started: true,
            running: if fixture.etcd() { &self.with_etcd } else { &self.with_sqlite },
            provider: "aescbc",
        }
    }

    fn effective(&self, role: Role, release: K3sRelease) -> EffectiveConfig {
        let question =
            ConfigQuery { role, release, data_dir: &self.data_dir, words: &[], show_secrets: true };
        EffectiveConfig::read(&self.root, question).unwrap()
    }
}

pub(crate) fn letter(state: CheckState) -> char {
    state.to_string().chars().next().unwrap()
}

/// Adds up what agrees, and names what does not.
#[derive(Default)]
struct Agreement {
    agreed: usize,
    asked: usize,
    wrong: Vec<(String, String, String)>,
}

impl Agreement {
    fn compare(&mut self, node: &str, printed: &Printed, predicted: &[Prediction]) {
        self.asked += printed.len();
        let ids: Vec<String> = predicted.iter().map(|one| one.id.to_string()).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>(), printed.keys().collect(), "{node}");
        assert_eq!(ids.len(), printed.len(), "{node}: a number is there twice");
        for one in predicted {
            let id = one.id.to_string();
            let says = (letter(one.state), one.scored);
            if says == printed[&id] {
                self.agreed += 1;
            } else {
                let line =
                    format!("{node} {id}: printed {:?}, predicted {says:?}: {}", printed[&id], one.why);
                self.wrong.push((node.to_owned(), id, line));
            }
        }
    }

    fn listed(&self) -> String {
        self.wrong.iter().map(|(_, _, line)| format!("{line}\n")).collect()
    }
}

fn name(scanner: Scanner, benchmark: &str, fixture: &Fixture) -> String {
    format!("{scanner} {benchmark} of {}/{}/{}", fixture.minor, fixture.datastore, fixture.settings)
}

#[test]
fn every_answer_is_the_real_scanners() {
    let mut nodes: BTreeMap<Fixture, (Node, String)> = BTreeMap::new();
    let mut agreement = Agreement::default();
    for (scanner, benchmark, fixture, printed) in results() {
        let (node, journal) = nodes.entry(fixture.clone()).or_insert_with(|| {
            let node = Node::new();
            fixture.make(node.dir.path());
            (node, fixture.journal())
        });
        let predicted = predict(scanner, &benchmark, &node.seen(&fixture, journal)).unwrap();
        agreement.compare(&name(scanner, &benchmark, &fixture), &printed, &predicted);
    }
    println!("{} of {}", agreement.agreed, agreement.asked);
    assert!(agreement.wrong.is_empty(), "{}", agreement.listed());
    assert_eq!(agreement.agreed, 9364);
}

#[test]
fn the_forecast_is_what_they_print_later() {
    let mut agreement = Agreement::default();
    for (scanner, benchmark, fixture, printed) in results() {
        let node = Node::new();
        node.file("/etc/rancher/k3s/config.yaml", &fixture.configuration());
        let journal = forecast_journal(&node.effective(Role::Server, fixture.release()));
        let seen = ScannedNode { started: false, ..node.seen(&fixture, &journal) };
        let predicted = predict(scanner, &benchmark, &seen).unwrap();
        agreement.compare(&name(scanner, &benchmark, &fixture), &printed, &predicted);
    }
    println!("{} of {}", agreement.agreed, agreement.asked);
    // The full settings have certificates made private by hand after the first start, which no configuration can.
    let (by_hand, wrong): (Vec<_>, Vec<_>) =
        agreement.wrong.iter().partition(|(node, id, _)| node.ends_with("/full") && id == "1.1.20");
    assert!(wrong.is_empty(), "{}", agreement.listed());
    assert_eq!((by_hand.len(), agreement.agreed), (22, 9364 - 22));
}

#[test]
fn the_forecast_lines_are_those_that_k3s_logs() {
    let fixtures: BTreeSet<Fixture> = results().into_iter().map(|(_, _, fixture, _)| fixture).collect();
    for fixture in fixtures {
        let node = Node::new();
        node.file("/etc/rancher/k3s/config.yaml", &fixture.configuration());
        let journal = forecast_journal(&node.effective(Role::Server, fixture.release()));
        let mut lines = journal.lines();
        if fixture.etcd() {
            assert!(lines.next().unwrap().contains("Managed etcd cluster"));
        }
        for (component, flags) in fixture.flags() {
            let mut line = lines.next().unwrap();
            // K3s logs it too (cloudControllerManager in pkg/daemons/control/server.go), and these journals leave it out.
            if component == "kube-proxy" {
                let own =
                    line.split_once("msg=\"Running cloud-controller-manager --allocate-node-cidrs=true --");
                assert!(own.unwrap().1.contains(" --controllers=*,-route --"), "{line}");
                line = lines.next().unwrap();
            }
            let line = line.split_once(&format!("msg=\"Running {component} --")).unwrap().1;
            let forecast: Vec<&str> = line.strip_suffix('"').unwrap().split(" --").collect();
            let name = |flag: &str| flag.split('=').next().unwrap().to_owned();
            // What only the machine knows.
            let known = |flag: &&str| !["hostname-override", "node-ip"].contains(&name(flag).as_str());
            let logged: Vec<&str> = flags.iter().map(|flag| &flag[2..]).collect();
            let names = |flags: &[&str]| flags.iter().map(|flag| name(flag)).collect::<Vec<_>>();
            assert_eq!(names(&forecast), names(&logged), "{fixture:?} {component}");
            assert_eq!(
                forecast.into_iter().filter(known).collect::<Vec<_>>(),
                logged.into_iter().filter(known).collect::<Vec<_>>(),
                "{fixture:?} {component}"
            );
        }
        assert_eq!(lines.next(), None);
    }
}

fn fixture(minor: &str, datastore: &str, settings: &str) -> Fixture {
    Fixture { minor: minor.to_owned(), datastore: datastore.to_owned(), settings: settings.to_owned() }
}

/// Predicts for a whole node with another journal.
fn states(
    scanner: Scanner,
    benchmark: &str,
    fixture: &Fixture,
    journal: &str,
) -> BTreeMap<String, Prediction> {
    let node = Node::new();
    fixture.make(node.dir.path());
    let predicted = predict(scanner, benchmark, &node.seen(fixture, journal)).unwrap();
    predicted.into_iter().map(|one| (one.id.to_string(), one)).collect()
}

/// The defects that were seen with the real scanners beside the fixtures.
#[test]
fn known_defects_follow_from_the_rules() {
    let guide = fixture("1.36", "etcd", "guide");
    let with = |scanner, benchmark: &str, fixture: &Fixture, from: &str, to: &str| {
        let journal = fixture.journal();
        assert!(journal.contains(from), "{from}");
        states(scanner, benchmark, fixture, &journal.replace(from, to))
    };
    let (bench, scan) = (Scanner::KubeBench, Scanner::SecurityScan);

    // The quote behind the last flag.
    let last = |flag: &str| format!("--read-only-port=0 {flag}\"");
    let found = with(bench, "1.9", &guide, "--read-only-port=0\"", &last("--rotate-certificates=true"));
    assert_eq!(found["4.2.10"].state, CheckState::Fail);
    assert!(found["4.2.10"].why.contains("the quote that closes the line"), "{}", found["4.2.10"].why);
    let ciphers = "--tls-cipher-suites=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256";
    let found = with(scan, "1.11", &guide, "--read-only-port=0\"", &last(ciphers));
    assert_eq!(found["4.2.12"].state, CheckState::Warn);
    let found = with(scan, "1.11", &guide, "--read-only-port=0\"", &last(&format!("{ciphers} --v=2")));
    assert_eq!(found["4.2.12"].state, CheckState::Pass);
    let timeout = last("--streaming-connection-idle-timeout=0");
    let found = with(scan, "1.11", &guide, "--read-only-port=0\"", &timeout);
    assert_eq!(found["4.2.5"].state, CheckState::Pass);
    let found = with(bench, "1.9", &guide, "--read-only-port=0\"", &last("--seccomp-default=true"));
    assert_eq!(found["4.2.4"].state, CheckState::Pass);

    // A comparison that there is not.
    let found = with(
        bench,
        "1.9",
        &guide,
        "--read-only-port=0",
        "--read-only-port=0 --streaming-connection-idle-timeout=5m --v=1",
    );
    assert_eq!(found["4.2.5"].state, CheckState::Warn);
    assert!(found["4.2.5"].why.contains("no value can pass that comparison"), "{}", found["4.2.5"].why);

    // Of a flag that is there twice the first counts.
    for (values, state) in [(["7", "30"], CheckState::Warn), (["30", "7"], CheckState::Pass)] {
        let twice = values.map(|value| format!("--audit-log-maxage={value}")).join(" ");
        let found = with(scan, "1.12", &guide, "--audit-log-maxage=30", &twice);
        assert_eq!(found["1.2.17"].state, state);
        assert!(found["1.2.17"].why.contains("the first counts"), "{}", found["1.2.17"].why);
    }

    // From 1.9 on nobody asks the kubelet who may call it.
    let old = fixture("1.29", "etcd", "guide");
    let journal = old.journal().replace("--authorization-mode=Webhook", "--authorization-mode=AlwaysAllow");
    let (before, kubelet) = journal.split_once("Running kubelet").unwrap();
    let journal = format!(
        "{before}Running kubelet{}",
        kubelet.replace("--anonymous-auth=false", "--anonymous-auth=true")
    );
    let found = states(bench, "1.9", &old, &journal);
    assert_eq!([found["4.2.1"].state, found["4.2.2"].state], [CheckState::Pass; 2]);
    assert!(found["4.2.1"].why.contains("not the kubelet's"), "{}", found["4.2.1"].why);
    let found = states(bench, "1.8", &fixture("1.26", "etcd", "guide"), &journal);
    assert_eq!([found["4.2.1"].state, found["4.2.2"].state], [CheckState::Fail; 2]);

    // Older benchmarks on what has moved into a file.
    let found = states(bench, "1.8", &guide, &guide.journal());
    for id in ["4.2.1", "4.2.2", "4.2.3", "4.2.4", "4.2.9"] {
        assert_eq!(found[id].state, CheckState::Fail, "{id}: {}", found[id].why);
    }
    // Whatever the flags are, containerd has none of them.
    let journal = guide.journal().replace("--anonymous-auth", "--token-auth-file=/x --anonymous-auth");
    assert_eq!(
        states(bench, "1.23", &fixture("1.24", "etcd", "guide"), &journal)["1.2.2"].state,
        CheckState::Pass
    );

    // A restart: the last start counts.
    let twice = fixture("1.36", "etcd", "default").journal() + &guide.journal();
    assert_eq!(states(scan, "1.11", &guide, &twice)["1.2.16"].state, CheckState::Pass);
    let back = guide.journal() + &fixture("1.36", "etcd", "default").journal();
    assert_eq!(states(scan, "1.11", &guide, &back)["1.2.16"].state, CheckState::Warn);
}

#[test]
fn an_empty_journal_fails_what_is_right_and_passes_what_was_not_looked_at() {
    let guide = fixture("1.36", "etcd", "guide");
    let before = states(Scanner::KubeBench, "1.9", &guide, &guide.journal());
    let after = states(Scanner::KubeBench, "1.9", &guide, "");
    let lost = |state: CheckState| {
        before.iter().filter(|(id, one)| one.state == CheckState::Pass && after[*id].state == state).count()
    };
    assert_eq!((lost(CheckState::Fail), lost(CheckState::Warn)), (21, 9));
    for id in [
        "1.2.2", "1.2.12", "1.2.13", "1.2.21", "1.2.23", "1.3.6", "1.3.7", "4.2.1", "4.2.2", "4.2.3", "4.2.5",
    ] {
        assert_eq!(after[id].state, CheckState::Pass, "{id}: {}", after[id].why);
    }
    assert!(after["1.2.2"].why.contains("passes as not set"), "{}", after["1.2.2"].why);
    assert!(after["4.2.1"].why.contains("tests its own text"), "{}", after["4.2.1"].why);
}

#[test]
fn an_agent_is_asked_for_section_four_only() {
    for (scanner, benchmark, expected) in
        [(Scanner::KubeBench, "1.9", (17, 2, 0)), (Scanner::SecurityScan, "1.11", (17, 3, 0))]
    {
        let node = Node::new();
        let minor = "1.36".parse().unwrap();
        let journal = forecast_journal(&node.effective(Role::Agent, K3sRelease::of_minor(minor)));
        let default = fixture("1.36", "sqlite", "default");
        let running = &RunningComponents::of_role(Role::Agent, Datastore::Sqlite);
        let seen =
            ScannedNode { role: Role::Agent, started: false, running, ..node.seen(&default, &journal) };
        let predicted = predict(scanner, benchmark, &seen).unwrap();
        assert!(predicted.iter().all(|one| one.id.to_string().starts_with("4.")));
        let count = |state: CheckState| predicted.iter().filter(|one| one.state == state).count();
        assert_eq!((count(CheckState::Pass), count(CheckState::Warn), count(CheckState::Fail)), expected);
    }
}

#[test]
fn k3s_elsewhere_is_not_found_and_another_owner_is_seen() {
    let default = fixture("1.36", "sqlite", "default");
    let node = Node::new();
    let journal = default.journal();
    let elsewhere: RootedPath = "/srv/k3s".parse().unwrap();
    let seen = ScannedNode { data_dir: &elsewhere, started: false, ..node.seen(&default, &journal) };
    let predicted = predict(Scanner::KubeBench, "1.9", &seen).unwrap();
    let one = |id: &str| predicted.iter().find(|one| one.id.to_string() == id).unwrap().clone();
    assert_eq!([one("1.1.14").state, one("4.1.5").state], [CheckState::Fail; 2]);

    let node = Node::new();
    default.make(node.dir.path());
    let owner = Owner { uid: node.owner.uid + 1, gid: node.owner.gid };
    let seen = ScannedNode { owner, ..node.seen(&default, &journal) };
    let predicted = predict(Scanner::KubeBench, "1.9", &seen).unwrap();
    let one = |id: &str| predicted.iter().find(|one| one.id.to_string() == id).unwrap().clone();
    assert_eq!([one("1.1.14").state, one("1.1.19").state, one("4.1.6").state], [CheckState::Fail; 3]);
}

#[test]
fn benchmarks_are_chosen_as_the_scanners_choose_them() {
    let chosen = |scanner| {
        let minors = KubernetesMinor::supported().into_iter();
        let mut chosen: Vec<_> = minors.map(|minor| (default_benchmark(scanner, minor), minor)).collect();
        chosen.dedup_by_key(|(benchmark, _)| *benchmark);
        chosen
            .iter()
            .map(|(benchmark, from)| format!("{benchmark} from {from}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let both = "1.23 from 1.23, 1.24 from 1.24, 1.7 from 1.25, 1.8 from 1.26, 1.9 from 1.27";
    assert_eq!(chosen(Scanner::KubeBench), both);
    assert_eq!(
        chosen(Scanner::SecurityScan),
        format!("{both}, 1.10 from 1.28, 1.11 from 1.29, 1.12 from 1.32")
    );
    assert_eq!(benchmarks(Scanner::KubeBench), ["1.23", "1.24", "1.7", "1.8", "1.9"]);
    let node = Node::new();
    let default = fixture("1.36", "sqlite", "default");
    let error = predict(Scanner::KubeBench, "1.12", &node.seen(&default, "")).unwrap_err();
    assert_eq!(error.kind(), k3s_harden::ErrorKind::BadInput);
    assert_eq!(error.hints(), ["it has 1.23, 1.24, 1.7, 1.8, 1.9"]);
    // Those whose answers nobody recorded come to some, too.
    for benchmark in benchmarks(Scanner::SecurityScan) {
        let journal = default.journal();
        let seen = ScannedNode { started: false, ..node.seen(&default, &journal) };
        let predicted = predict(Scanner::SecurityScan, benchmark, &seen).unwrap();
        assert!(predicted.iter().all(|one| one.why.ends_with('.')), "{predicted:#?}");
    }
}

#[test]
fn the_provider_of_the_first_start_is_the_configured_one() {
    for (version, lines, provider) in [
        ("v1.36.3+k3s1", "secrets-encryption-provider: secretbox\n", "secretbox"),
        ("v1.32.4+k3s1", "secrets-encryption-provider: secretbox\n", "secretbox"),
        // It does not have the key.
        ("v1.32.3+k3s1", "secrets-encryption-provider: secretbox\n", "aescbc"),
        ("v1.36.3+k3s1", "", "aescbc"),
    ] {
        let config = format!("secrets-encryption: true\n{lines}");
        let node = crate::support::Node::new().file("etc/rancher/k3s/config.yaml", config);
        for scanner in ["kube-bench", "security-scan"] {
            let output = node.run(&[
                "verify",
                "--as",
                scanner,
                "--k3s-version",
                version,
                "--role",
                "server",
                "--format",
                "json",
            ]);
            let has = |name: &str| {
                output.stdout.contains(&format!("provider {name}"))
                    || output.stdout.contains(&format!("provider={name}"))
            };
            let other = if provider == "aescbc" { "secretbox" } else { "aescbc" };
            assert!(has(provider) && !has(other), "{version} {scanner}: {}", output.stdout);
        }
    }
}
