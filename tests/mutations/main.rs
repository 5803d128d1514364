//! Does every automated control fail where it has to, and no other with it? A node that is as it should be, and what
//! can be wrong with it, one thing at a time (mutations.yaml).
//!
//! Each mutation is made on a node of each benchmark that has the control: once where K3s has started, in what it has
//! left and in what it has logged; and once before, in its configuration, where that can bring it about. What changes
//! has to be what the table says, and nothing else.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

mod node;
#[path = "../support/mod.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex};
use std::thread;

use k3s_harden::Role;
use k3s_harden::verify::{Rule, Status, benchmarks, controls};
use serde::Deserialize;

use node::{Datastore, Kind, Node, Statuses};

/// A minor for each benchmark: one that the profile of the same name fits.
const PAIRS: [(&str, &str); 10] = [
    ("1.23", "1.23"),
    ("1.24", "1.24"),
    ("1.25", "1.7"),
    ("1.26", "1.8"),
    ("1.29", "1.9"),
    ("1.30", "1.10"),
    ("1.31", "1.11"),
    ("1.33", "1.12"),
    ("1.36", "2.0"),
    ("1.37", "2.1"),
];

const ETCD: Kind = Kind { role: Role::Server, datastore: Datastore::Etcd };
const SQLITE: Kind = Kind { role: Role::Server, datastore: Datastore::Sqlite };
const AGENT: Kind = Kind { role: Role::Agent, datastore: Datastore::Sqlite };

/// What only a cluster that runs can tell, so that nothing is known where it was not asked; and up to benchmark 1.24
/// the PodSecurityPolicies.
const CLUSTER_TELLS: [&str; 1] = ["default-service-account"];

/// A row of mutations.yaml.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutation {
    /// The controls that turn.
    turns: Vec<String>,
    /// Why it is more than one, or why they do not fail.
    why: Option<String>,
    /// What they become; where nothing is said, `fail` where they are automated and else `warn`.
    becomes: Option<String>,
    /// What is wrong.
    with: Change,
    /// The first benchmark and the last.
    from: Option<String>,
    until: Option<String>,
    /// The first minor and the last.
    from_minor: Option<String>,
    until_minor: Option<String>,
    /// Why it cannot be so before the first start.
    #[serde(default)]
    never_before: Option<String>,
}

/// Something that is wrong with a node.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Change {
    /// A flag of a component has another value: `kubelet --a=b`.
    Set(String),
    /// It is not given: `kubelet --a`.
    Without(String),
    /// A list has one more: `kubelet --a=b`.
    Add(String),
    /// A list has one less.
    Drop(String),
    /// A file has another mode: `0644 server/cred/admin.kubeconfig`, from K3s' data directory on.
    Chmod(String),
    /// Files belong to somebody else, and everything in them.
    Owner(Vec<String>),
    /// A field of etcd's configuration is another; null for none.
    Etcd(BTreeMap<String, serde_json::Value>),
    /// The kubelet has a drop-in.
    DropIn(serde_json::Value),
    /// A file has another text.
    Write { path: String, text: String },
    /// A part of a file's text is another.
    Replace { path: String, from: String, to: String },
    /// A file is gone.
    Remove(String),
    /// A field of an object of the cluster is another: `Kind namespace/name`, a pointer, and the value.
    Patch { object: String, field: String, to: serde_json::Value },
    /// The cluster has more objects.
    Objects(Vec<serde_json::Value>),
}

fn mutations() -> Vec<Mutation> {
    // YAML has tags for what JSON says by a key.
    let rows: serde_json::Value = serde_yaml::from_str(include_str!("mutations.yaml")).unwrap();
    serde_json::from_value(rows).unwrap()
}

fn place_of(benchmark: &str) -> usize {
    benchmarks().iter().position(|known| *known == benchmark).unwrap()
}

impl Mutation {
    fn is_of(&self, minor: &str, benchmark: &str) -> bool {
        let at = place_of(benchmark);
        let minor = number(minor);
        self.from.as_deref().is_none_or(|from| place_of(from) <= at)
            && self.until.as_deref().is_none_or(|until| at <= place_of(until))
            && self.from_minor.as_deref().is_none_or(|from| number(from) <= minor)
            && self.until_minor.as_deref().is_none_or(|until| minor <= number(until))
    }
}

fn number(minor: &str) -> u16 {
    minor.strip_prefix("1.").unwrap().parse().unwrap()
}

/// What a benchmark says of a control.
struct Known {
    automated: bool,
    roles: Vec<Role>,
}

fn known(benchmark: &str) -> BTreeMap<String, Known> {
    controls(benchmark)
        .unwrap()
        .into_iter()
        .map(|control| (control.name, Known { automated: control.automated, roles: control.roles }))
        .collect()
}

/// The controls that are automated in some benchmark, and of those the ones that a node of K3s can never be wrong in.
fn automated() -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut all, mut judged) = (BTreeSet::new(), BTreeSet::new());
    for benchmark in benchmarks() {
        for control in controls(benchmark).unwrap().into_iter().filter(|control| control.automated) {
            if !matches!(control.rule, Rule::NotApplicable(_)) {
                judged.insert(control.name.clone());
            }
            all.insert(control.name);
        }
    }
    let never = all.difference(&judged).cloned().collect();
    (all, never)
}

/// What changed between two looks at a node.
fn changed(before: &Statuses, after: &Statuses) -> Statuses {
    assert!(before.keys().eq(after.keys()));
    after
        .iter()
        .filter(|(name, status)| before[*name] != **status)
        .map(|(name, status)| (name.clone(), *status))
        .collect()
}

/// What was found on the nodes of one benchmark.
#[derive(Default)]
struct Found {
    wrong: Vec<String>,
    /// The rows that were made, by their place.
    made: BTreeSet<usize>,
    /// The automated controls that turned.
    turned: BTreeSet<String>,
    /// How often a node was made wrong.
    count: usize,
}

impl Found {
    fn add(&mut self, other: Self) {
        self.wrong.extend(other.wrong);
        self.made.extend(other.made);
        self.turned.extend(other.turned);
        self.count += other.count;
    }
}

/// Before K3s has started, or since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Before,
    Started,
}

/// One kind of node of one benchmark.
struct Trial<'a> {
    minor: &'a str,
    benchmark: &'a str,
    kind: Kind,
    rows: &'a [Mutation],
    /// The rows that were made on another server, which are not made again.
    done: &'a BTreeSet<usize>,
    known: BTreeMap<String, Known>,
}

impl Trial<'_> {
    fn named(&self) -> String {
        format!("{} by {} ({})", self.minor, self.benchmark, self.kind)
    }

    fn run(&self) -> Found {
        let mut found = Found::default();
        let mut node = Node::hardened(self.minor, self.benchmark, self.kind);
        let before = node.look();
        self.expect_good(&before, &[Status::Fail], &mut found);
        // An agent's are a server's.
        if self.kind != AGENT {
            self.mutate(When::Before, &node, &before, &mut found);
        }
        node.start();
        let good = node.look();
        self.expect_good(&good, &[Status::Fail, Status::Unknown], &mut found);
        self.compare_with_binary(&node, &good, &mut found);
        self.mutate(When::Started, &node, &good, &mut found);
        self.mutate_owners(&node, &good, &mut found);
        assert_eq!(node.look(), good, "{}: a mutation was not undone", self.named());
        found
    }

    /// A node that is as it should be has none of these.
    fn expect_good(&self, statuses: &Statuses, none: &[Status], found: &mut Found) {
        for (name, status) in statuses.iter().filter(|(name, _)| self.known[*name].automated) {
            if none.contains(status) {
                found.wrong.push(format!("{}: {name} is {}", self.named(), status.name()));
            }
        }
    }

    /// The binary says the same of it, which cannot ask the cluster of a root that is not the machine's. Then it does not
    /// know what is in the cluster, and of nothing else.
    fn compare_with_binary(&self, node: &Node, good: &Statuses, found: &mut Found) {
        let said = node.verify();
        let mut unknown = said.clone();
        unknown.retain(|name, status| *status == Status::Unknown && good[name] != Status::Unknown);
        let may_be = |name: &str| {
            let policies = place_of(self.benchmark) <= place_of("1.24") && name.starts_with("pod-security");
            policies || CLUSTER_TELLS.contains(&name)
        };
        let mut looked_at = said.clone();
        looked_at.retain(|name, _| !may_be(name) || !unknown.contains_key(name));
        self.expect_good(&looked_at, &[Status::Fail, Status::Unknown], found);
        let ours = node.look_unasked();
        if said != ours {
            let differs = words(&changed(&ours, &said));
            found.wrong.push(format!("{}: the binary says {differs}", self.named()));
        }
    }

    /// Makes every row that is of this node, one after the other.
    fn mutate(&self, when: When, node: &Node, good: &Statuses, found: &mut Found) {
        let mut facts = node.facts();
        for (at, row) in self.rows_here() {
            if when == When::Before && row.never_before.is_some() {
                continue;
            }
            let wanted = self.wanted(when, row, good);
            if wanted.is_empty() {
                continue;
            }
            let after = match when {
                When::Before => node.with_forecast(&mut facts, &row.with),
                When::Started => node.with_started(&mut facts, &row.with),
            };
            let Some(after) = after else { continue };
            let mut got = changed(good, &after);
            if when == When::Before {
                // What K3s has not made yet is nothing that could be wrong.
                got.retain(|name, _| good[name] != Status::Unknown);
            }
            self.compare(&format!("{when:?}: {:?}", row.with), got, &wanted, found);
            found.made.insert(at);
            found.turned.extend(wanted.into_keys().filter(|name| self.known[name].automated));
            found.count += 1;
        }
    }

    fn rows_here(&self) -> impl Iterator<Item = (usize, &Mutation)> {
        let here =
            |(at, row): &(usize, &Mutation)| row.is_of(self.minor, self.benchmark) && !self.done.contains(at);
        self.rows.iter().enumerate().filter(here)
    }

    fn compare(&self, what: &str, got: Statuses, wanted: &Statuses, found: &mut Found) {
        if got != *wanted {
            let (got, wanted) = (words(&got), words(wanted));
            found.wrong.push(format!("{}, {what}\n  turns {got}\n  not   {wanted}", self.named()));
        }
    }

    /// What a row has to turn here, and into what.
    fn wanted(&self, when: When, row: &Mutation, good: &Statuses) -> Statuses {
        let here = row.turns.iter().filter(|name| {
            let Some(known) = self.known.get(*name) else { return false };
            let is_its = known.roles.contains(&self.kind.role);
            // On a started server with etcd there is nothing that a row could be about in vain.
            assert!(
                self.kind != ETCD || when == When::Before || good[*name] == Status::Pass,
                "{}: {name} is {:?} before anything is wrong: {row:?}",
                self.named(),
                good[*name]
            );
            is_its && good[*name] == Status::Pass
        });
        here.map(|name| (name.clone(), self.becomes(name, row.becomes.as_deref()))).collect()
    }

    fn becomes(&self, name: &str, said: Option<&str>) -> Status {
        match said {
            Some(said) => Status::ALL.into_iter().find(|status| status.name() == said).unwrap(),
            None if self.known[name].automated => Status::Fail,
            None => Status::Warn,
        }
    }

    /// Only root could give a file away, so everything is somebody else's, and what is taken away no longer is: that
    /// says which files a control looks at, and each of them counts.
    fn mutate_owners(&self, node: &Node, good: &Statuses, found: &mut Found) {
        let mut facts = node.facts();
        let mut wanted = Statuses::new();
        let mut owned = Vec::new();
        for (at, row) in self.rows_here() {
            let Change::Owner(files) = &row.with else { continue };
            let turned = self.wanted(When::Started, row, good);
            if !turned.is_empty() {
                found.made.insert(at);
                owned.push((files, turned.keys().cloned().collect::<BTreeSet<_>>()));
                wanted.extend(turned);
            }
        }
        if owned.is_empty() {
            return;
        }
        let mut foreign = Statuses::new();
        for owner in node.others() {
            facts.owner = owner;
            foreign = node.statuses(&facts);
            self.compare(&format!("all of it is {owner}'s"), changed(good, &foreign), &wanted, found);
        }
        for (files, turned) in owned {
            let mended = |without: &[&str]| {
                let after = node.look_without(&facts, without);
                let names = wanted.keys().filter(|name| after[*name] != foreign[*name]);
                names.cloned().collect::<BTreeSet<_>>()
            };
            let all: Vec<&str> = files.iter().map(String::as_str).collect();
            if mended(&all) != turned {
                found.wrong.push(format!("{}: {all:?} decide {:?}", self.named(), mended(&all)));
            }
            for one in all.iter().filter(|_| all.len() > 1) {
                let others: Vec<&str> = all.iter().filter(|other| *other != one).copied().collect();
                if !mended(&others).is_empty() {
                    found.wrong.push(format!("{}: {one} does not count", self.named()));
                }
            }
            found.turned.extend(turned.into_iter().filter(|name| self.known[name].automated));
            found.count += 1;
        }
    }
}

fn words(statuses: &Statuses) -> String {
    let words: Vec<String> =
        statuses.iter().map(|(name, status)| format!("{name}: {}", status.name())).collect();
    words.join(", ")
}

/// Tries the nodes of one benchmark. Every row is made on one server; on which, the benchmarks take turns.
fn benchmark(at: usize, rows: &[Mutation]) -> Found {
    let (minor, benchmark) = PAIRS[at];
    let trial = |kind, done: &BTreeSet<usize>| {
        Trial { minor, benchmark, kind, rows, done, known: known(benchmark) }.run()
    };
    let [first, second] = if at % 2 == 0 { [ETCD, SQLITE] } else { [SQLITE, ETCD] };
    let mut found = trial(first, &BTreeSet::new());
    let others = trial(second, &found.made);
    found.add(others);
    found.add(trial(AGENT, &BTreeSet::new()));
    found
}

/// All trials, made once: two tests look at what was found.
static FOUND: LazyLock<Found> = LazyLock::new(|| {
    let rows = mutations();
    let next = AtomicUsize::new(0);
    let all = Mutex::new(Found::default());
    let work = || loop {
        let at = next.fetch_add(1, Ordering::Relaxed);
        if at >= PAIRS.len() {
            break;
        }
        let found = benchmark(at, &rows);
        all.lock().unwrap().add(found);
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let mut found = all.into_inner().unwrap();
    found.wrong.sort();
    found
});

#[test]
fn what_is_wrong_fails_and_nothing_else() {
    assert!(FOUND.wrong.is_empty(), "{} are wrong:\n{}", FOUND.wrong.len(), FOUND.wrong.join("\n"));
}

#[test]
fn every_automated_control_is_made_to_fail() {
    let (all, never) = automated();
    let rows = mutations();
    let idle: Vec<&Mutation> =
        rows.iter().enumerate().filter(|(at, _)| !FOUND.made.contains(at)).map(|(_, row)| row).collect();
    assert!(idle.is_empty(), "these were never made: {idle:#?}");
    let turned: BTreeSet<String> = FOUND.turned.union(&never).cloned().collect();
    assert_eq!(
        all.difference(&turned).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "nothing makes these fail"
    );
    println!(
        "{} mutations, made {} times, {} controls, {} benchmarks; {} are never applicable",
        rows.len(),
        FOUND.count,
        FOUND.turned.len(),
        benchmarks().len(),
        never.len()
    );
}

/// What the table leaves out or explains has a reason.
#[test]
fn every_row_is_whole() {
    let mut names = BTreeSet::new();
    for benchmark in benchmarks() {
        names.extend(known(benchmark).into_keys());
    }
    for row in mutations() {
        assert!(!row.turns.is_empty() && row.turns.iter().all(|name| names.contains(name)), "{row:?}");
        let explained = row.turns.len() > 1 || row.becomes.is_some();
        assert_eq!(row.why.is_some(), explained, "{row:?}");
    }
    assert!(PAIRS.iter().map(|(_, benchmark)| *benchmark).eq(benchmarks().iter().copied()));
}
