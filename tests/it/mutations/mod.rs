// SPDX-License-Identifier: Apache-2.0
//! Does every automated control fail where it has to, and no other with it? A node that is as it should be, and what
//! can be wrong with it, one thing at a time (mutations.yaml).
//!
//! Each mutation is made on a node of each benchmark that has the control: once where K3s has started, in what it has
//! left and in what it has logged; and once before, in its configuration, where that can bring it about. What changes
//! has to be what the table says, and nothing else. A mistake in an argument goes through every source of arguments
//! (sources.rs).
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

mod node;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex};
use std::thread;

use k3s_harden::Role;
use k3s_harden::verify::{ControlRule, Status, benchmarks, controls};
use serde::Deserialize;

use node::{Datastore, Kind, Node, Statuses};
use sources::{Source, Sources};

/// A minor for each benchmark: one that the profile of the same name fits.
const PAIRS: &[(&str, &str)] = &[
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

/// What only a cluster that runs can tell: the default is unknown where that was not asked.
const CLUSTER_TELLS: [&str; 1] = ["default-service-account"];

/// What is automated in some benchmark, and becomes `manual` where it does not pass: how few are enough, nobody knows
/// but a person.
const NEVER_FAIL: [&str; 4] =
    ["access-to-create-pods", "access-to-secrets", "cluster-admin", "service-account-token-mounts"];

/// A row of mutations.yaml.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutation {
    /// The controls that turn; none where it only looks wrong.
    turns: Vec<String>,
    /// Why it is not one, or why they do not fail.
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
    /// Whether the component does not start with it, so that nothing of the component passes.
    #[serde(default)]
    stops: bool,
}

impl Mutation {
    /// Takes out what is unknown because the component does not start.
    fn forgive(&self, got: &mut Statuses, wanted: &Statuses) {
        got.retain(|name, status| !self.stops || *status != Status::Unknown || wanted.contains_key(name));
    }
}

/// Something that is wrong with a node.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Change {
    /// A flag of a component has another value: `kubelet --a=b`.
    Set(String),
    /// It is not given: `kubelet --a`.
    Without(String),
    /// One flag is not given, and another is.
    Instead { of: String, set: String },
    /// A list has one more: `kubelet --a=b`.
    Add(String),
    /// A list has one less.
    Drop(String),
    /// A file has another mode: `0644 server/cred/admin.kubeconfig`, from K3s's data directory on.
    Chmod(String),
    /// A file belongs to somebody else, each of these alone; `within` is where there are more like them.
    Owner { files: Vec<String>, within: Option<String> },
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

/// The controls of a benchmark, and whether each is automated.
fn known(benchmark: &str) -> BTreeMap<String, bool> {
    let controls = controls(benchmark).unwrap();
    controls.into_iter().map(|control| (control.name, control.automated)).collect()
}

/// The controls that are automated in some benchmark, and of those the ones that a node of K3s can never be wrong in.
fn automated() -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut all, mut judged) = (BTreeSet::new(), BTreeSet::new());
    for benchmark in benchmarks() {
        for control in controls(benchmark).unwrap().into_iter().filter(|control| control.automated) {
            if !matches!(control.rule, ControlRule::NotApplicable(_)) {
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
    /// The automated controls that turned, and into what.
    turned: BTreeSet<(String, Status)>,
    /// The controls that were made to turn through each source.
    sources: BTreeSet<(String, Source)>,
    /// How often a node was made wrong.
    count: usize,
}

impl Found {
    fn add(&mut self, other: Self) {
        self.wrong.extend(other.wrong);
        self.made.extend(other.made);
        self.turned.extend(other.turned);
        self.sources.extend(other.sources);
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
    known: BTreeMap<String, bool>,
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
            self.mutate_by_source(&node, &mut found);
            assert_eq!(node.look(), before, "{}: a source was not undone", self.named());
        }
        node.start();
        let good = node.look();
        self.expect_good(&good, &[Status::Fail, Status::Unknown], &mut found);
        self.compare_with_binary(&node, &mut found);
        self.mutate(When::Started, &node, &good, &mut found);
        self.mutate_owners(&node, &good, &mut found);
        assert_eq!(node.look(), good, "{}: a mutation was not undone", self.named());
        found
    }

    /// A node that is as it should be has none of these.
    fn expect_good(&self, statuses: &Statuses, none: &[Status], found: &mut Found) {
        for (name, status) in statuses.iter().filter(|(name, _)| self.known[*name]) {
            if none.contains(status) {
                found.wrong.push(format!("{}: {name} is {}", self.named(), status.name()));
            }
        }
    }

    /// The binary says the same of it, which cannot ask the cluster of a root that is not the machine's. Then it does not
    /// know what is in the cluster, and of nothing else.
    fn compare_with_binary(&self, node: &Node, found: &mut Found) {
        let said = node.verify();
        let mut looked_at = said.clone();
        looked_at.retain(|name, status| *status != Status::Unknown || !self.only_its_cluster_tells(name));
        self.expect_good(&looked_at, &[Status::Fail, Status::Unknown], found);
        let ours = node.look_unasked();
        if said != ours {
            let differs = words(&changed(&ours, &said));
            found.wrong.push(format!("{}: the binary says {differs}", self.named()));
        }
    }

    /// Up to benchmark 1.24 pods are held to policies, which are objects of the cluster.
    fn only_its_cluster_tells(&self, name: &str) -> bool {
        let policies = place_of(self.benchmark) <= place_of("1.24") && name.starts_with("pod-security-");
        policies || CLUSTER_TELLS.contains(&name)
    }

    /// Makes every row that is of this node, one after the other.
    fn mutate(&self, when: When, node: &Node, good: &Statuses, found: &mut Found) {
        let mut facts = node.facts();
        for (at, row) in self.rows_here() {
            let is_owner = matches!(row.with, Change::Owner { .. });
            if is_owner || (when == When::Before && row.never_before.is_some()) {
                continue;
            }
            if (self.kind, when) == (ETCD, When::Started) {
                self.expect_about_something(row, good, found);
            }
            let wanted = self.wanted(row, good);
            if wanted.is_empty() && !row.turns.is_empty() {
                continue;
            }
            let after = match when {
                When::Before => node.with_forecast(&mut facts, &row.with),
                When::Started => node.with_started(&mut facts, &row.with),
            };
            let Some(after) = after else {
                if when == When::Started && !wanted.is_empty() {
                    found.wrong.push(format!("{}: there is no {:?}", self.named(), row.with));
                }
                continue;
            };
            let mut got = changed(good, &after);
            if when == When::Before {
                // What K3s has not made yet is nothing that could be wrong.
                got.retain(|name, _| good[name] != Status::Unknown);
            }
            row.forgive(&mut got, &wanted);
            self.compare(&format!("{when:?}: {:?}", row.with), &got, &wanted, found);
            found.made.insert(at);
            found.turned.extend(wanted.into_iter().filter(|(name, _)| self.known[name]));
            found.count += 1;
        }
    }

    /// Makes every row about an argument before the start, through one source, in which the benchmarks take turns; in the third tier, through all.
    fn mutate_by_source(&self, node: &Node, found: &mut Found) {
        let (turn, sources) = (place_of(self.benchmark), Sources::of(node));
        for (at, row) in self.rows_here().filter(|(_, row)| row.never_before.is_none()) {
            let here = |(of, _): &(usize, Source)| crate::IS_FULL || (at + turn) % Source::ALL.len() == *of;
            for (_, source) in Source::ALL.into_iter().enumerate().filter(here) {
                let Some((good, after)) = sources.run(source, &row.with) else { continue };
                let mut wanted = self.wanted(row, &good);
                if source == Source::Off {
                    wanted.values_mut().for_each(|status| *status = Status::NotApplicable);
                }
                let mut got = changed(&good, &after);
                got.retain(|name, _| match source {
                    // What else the component answers for does not apply either.
                    Source::Off => wanted.contains_key(name),
                    _ => good[name] != Status::Unknown,
                });
                row.forgive(&mut got, &wanted);
                self.compare(&format!("{source:?}: {:?}", row.with), &got, &wanted, found);
                found.sources.insert((row.turns.first().cloned().unwrap_or_default(), source));
                found.count += 1;
            }
        }
    }

    /// On a started server with etcd there is nothing that a row could be about in vain.
    fn expect_about_something(&self, row: &Mutation, good: &Statuses, found: &mut Found) {
        for name in row.turns.iter().filter(|name| good.get(*name).is_some_and(|its| *its != Status::Pass)) {
            let its = good[name].name();
            found.wrong.push(format!("{}: {name} is {its} without {:?}", self.named(), row.with));
        }
    }

    fn rows_here(&self) -> impl Iterator<Item = (usize, &Mutation)> {
        let here =
            |(at, row): &(usize, &Mutation)| row.is_of(self.minor, self.benchmark) && !self.done.contains(at);
        self.rows.iter().enumerate().filter(here)
    }

    fn compare(&self, what: &str, got: &Statuses, wanted: &Statuses, found: &mut Found) {
        if got != wanted {
            let (got, wanted) = (words(got), words(wanted));
            found.wrong.push(format!("{}, {what}\n  turns {got}\n  not   {wanted}", self.named()));
        }
    }

    /// What a row has to turn here, and into what.
    fn wanted(&self, row: &Mutation, good: &Statuses) -> Statuses {
        let here = row.turns.iter().filter(|name| {
            // On other kinds of nodes it may be about nothing.
            good.get(*name) == Some(&Status::Pass)
        });
        here.map(|name| (name.clone(), self.becomes(name, row.becomes.as_deref()))).collect()
    }

    fn becomes(&self, name: &str, said: Option<&str>) -> Status {
        match said {
            Some(said) => Status::ALL.into_iter().find(|status| status.name() == said).unwrap(),
            None if self.known[name] => Status::Fail,
            None => Status::Warn,
        }
    }

    /// Makes every row about owners. Not everybody could give a file to another user, so everything is somebody else's,
    /// and what is taken away no longer is: that says which files a control looks at. Whoever may give one file to
    /// another group does that too.
    fn mutate_owners(&self, node: &Node, good: &Statuses, found: &mut Found) {
        let mut facts = node.facts();
        let mut wanted = Statuses::new();
        let mut owned = Vec::new();
        for (at, row) in self.rows_here() {
            let Change::Owner { files, within } = &row.with else { continue };
            let turned = self.wanted(row, good);
            if !turned.is_empty() {
                found.made.insert(at);
                found.count += 1;
                wanted.extend(turned.clone());
                owned.push((files, within, turned));
            }
        }
        if owned.is_empty() {
            return;
        }
        for (files, _, turned) in &owned {
            for file in *files {
                if let Some(after) = node.with_another_group(&facts, file) {
                    self.compare(
                        &format!("{file} is another group's"),
                        &changed(good, &after),
                        turned,
                        found,
                    );
                }
            }
        }
        let mut foreign = Statuses::new();
        for owner in node.others() {
            facts.owner = owner;
            foreign = node.statuses(&facts);
            self.compare(&format!("all of it is {owner}'s"), &changed(good, &foreign), &wanted, found);
        }
        for (files, within, turned) in owned {
            let mended = |without: &[&str]| {
                let after = node.look_without(&facts, without);
                let mut mended = wanted.clone();
                mended.retain(|name, _| after[name] != foreign[name]);
                mended
            };
            let files: Vec<&str> = files.iter().map(String::as_str).collect();
            let all = within.as_deref().map_or_else(|| files.clone(), |within| vec![within]);
            self.compare(&format!("without {all:?}"), &mended(&all), &turned, found);
            for one in files.iter().filter(|_| within.is_none() && files.len() > 1) {
                let others: Vec<&str> = files.iter().filter(|other| *other != one).copied().collect();
                self.compare(&format!("without {others:?}"), &mended(&others), &Statuses::new(), found);
            }
            found.turned.extend(turned.into_iter().filter(|(name, _)| self.known[name]));
        }
    }
}

fn words(statuses: &Statuses) -> String {
    let words: Vec<String> =
        statuses.iter().map(|(name, status)| format!("{name}: {}", status.name())).collect();
    words.join(", ")
}

/// Tries the nodes of one benchmark. Every row is made on one server; on which, the benchmarks take turns. What is about
/// agents too is made on every second one's.
fn benchmark(at: usize, rows: &[Mutation]) -> Found {
    let (minor, benchmark) = PAIRS[at];
    let trial = |kind, done: &BTreeSet<usize>| {
        Trial { minor, benchmark, kind, rows, done, known: known(benchmark) }.run()
    };
    let [first, second] = if at % 3 == 1 { [ETCD, SQLITE] } else { [SQLITE, ETCD] };
    let mut found = trial(first, &BTreeSet::new());
    let others = trial(second, &found.made);
    found.add(others);
    let all = (0..rows.len()).collect();
    let none = BTreeSet::new();
    found.add(trial(AGENT, if at.is_multiple_of(2) { &none } else { &all }));
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
    let (all, never_applicable) = automated();
    let rows = mutations();
    let idle: Vec<&Mutation> =
        rows.iter().enumerate().filter(|(at, _)| !FOUND.made.contains(at)).map(|(_, row)| row).collect();
    assert!(idle.is_empty(), "these were never made: {idle:#?}");
    let failed = FOUND.turned.iter().filter(|(_, status)| *status == Status::Fail);
    let failed: BTreeSet<String> = failed.map(|(name, _)| name.clone()).collect();
    let left: Vec<&String> =
        all.iter().filter(|name| !failed.contains(*name) && !never_applicable.contains(*name)).collect();
    assert_eq!(left, NEVER_FAIL, "nothing makes these fail");
    let through = |source| FOUND.sources.iter().filter(|(_, of)| *of == source).count();
    let through: Vec<String> =
        Source::ALL.into_iter().map(|source| format!("{source:?} {}", through(source))).collect();
    if crate::IS_FULL {
        let argued = rows.iter().filter(|row| matches!(row.with, Change::Set(_)) && !row.turns.is_empty());
        for row in argued.filter(|row| row.never_before.is_none()) {
            for source in
                [Source::Main, Source::DropIn, Source::Service, Source::ServiceDropIn, Source::Environment]
            {
                let is_made = FOUND.sources.contains(&(row.turns[0].clone(), source));
                assert!(is_made, "{source:?} did not turn {}", row.turns[0]);
            }
        }
    }
    let turned = FOUND.turned.iter().map(|(name, _)| name).collect::<BTreeSet<_>>().len();
    assert_eq!(turned, failed.len() + NEVER_FAIL.len(), "these are made to turn, too");
    println!(
        "{} mutations, made {} times, {turned} controls, {} benchmarks; {} are never applicable; controls by source: {}",
        rows.len(),
        FOUND.count,
        benchmarks().len(),
        never_applicable.len(),
        through.join(", ")
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
        assert!(row.turns.iter().all(|name| names.contains(name)), "{row:?}");
        let explained = row.turns.len() != 1 || row.becomes.is_some();
        assert_eq!(row.why.is_some(), explained, "{row:?}");
    }
    assert!(PAIRS.iter().map(|(_, benchmark)| *benchmark).eq(benchmarks().iter().copied()));
}
