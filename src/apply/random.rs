// SPDX-License-Identifier: Apache-2.0
//! Random histories: applies, edits of somebody, rollbacks, runs that are killed, uninstalls. What somebody wrote and a run
//! took away is always somewhere; an uninstall that ends well gives a state that somebody made; nothing is refused that
//! nobody has changed.
#![allow(clippy::disallowed_methods, reason = "tests look at files by hand")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::run_list::next_number;
use super::run_record::{RunHead, RunRecord};
use super::*;
use crate::Role;
use crate::mode::Owner;
use crate::node::{Metadata, Root, RootedPath, Signals, accounts};
use crate::plan::{
    Action, Change, Content, Directory, DirectoryRule, File, Plan, PlanNotes, PlanSubject, Resource,
};

const SEQUENCES: u64 = 200;
const STEPS: usize = 14;
const PATHS: [&str; 3] = ["etc/a", "etc/b", "etc/d/c"];
const OURS: &str = "# ours";

/// Numbers that are the same in every run (splitmix64).
struct SplitMix(u64);

impl SplitMix {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % limit as u64).unwrap()
    }
}

/// Path, mode and content of everything but the state directory.
type Picture = BTreeMap<PathBuf, (u32, Vec<u8>)>;

/// Mode and content of a path, if anything is there.
type There = Option<(u32, Vec<u8>)>;

struct Sequence {
    dir: tempfile::TempDir,
    root: Root,
    owner: Owner,
    seed: u64,
    numbers: SplitMix,
    said: Vec<String>,
    /// The node before the history began, and at each run.
    first: Picture,
    before_run: BTreeMap<u32, Picture>,
    /// Whether somebody has changed anything since the history began.
    edited: bool,
    /// What somebody made of each path.
    natural: BTreeSet<(String, There)>,
    /// What somebody wrote and a run has taken away.
    taken: BTreeSet<Vec<u8>>,
    edits: u32,
}

fn subject(root: &Root) -> PlanSubject {
    PlanSubject {
        root: root.path().to_owned(),
        role: Role::Server,
        kubernetes: "1.33".parse().unwrap(),
        benchmark: "1.12".to_owned(),
        profiles: vec!["cis-1.12".to_owned()],
    }
}

fn picture(base: &Path) -> Picture {
    fn visit(base: &Path, folder: &Path, found: &mut Picture) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let name = path.strip_prefix(base).unwrap().to_owned();
            if name == Path::new("var") {
                continue;
            }
            let bytes = if metadata.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
            found.insert(name, (metadata.mode(), bytes));
            if metadata.is_dir() {
                visit(base, &path, found);
            }
        }
    }
    let mut found = Picture::new();
    visit(base, base, &mut found);
    found
}

impl Sequence {
    fn new(seed: u64) -> Self {
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        fs::create_dir_all(dir.path().join("etc")).unwrap();
        fs::create_dir_all(dir.path().join("var/lib")).unwrap();
        let root = Root::open(dir.path()).unwrap();
        let mut sequence = Self {
            root,
            owner: accounts::own(),
            seed,
            numbers: SplitMix(seed),
            said: Vec::new(),
            first: Picture::new(),
            before_run: BTreeMap::new(),
            edited: false,
            natural: BTreeSet::new(),
            taken: BTreeSet::new(),
            edits: 0,
            dir,
        };
        for path in PATHS {
            match sequence.numbers.below(4) {
                0 => sequence.write(path),
                1 if !path.contains("/d/") => {
                    fs::write(sequence.dir.path().join(path), format!("{OURS} 1 {path}\n")).unwrap();
                    sequence.chmod(path, 0o600);
                }
                _ => {}
            }
        }
        sequence.start();
        sequence
    }

    /// A history begins with the next run.
    fn start(&mut self) {
        self.first = self.now();
        self.edited = false;
        self.natural = PATHS.iter().map(|path| ((*path).to_owned(), self.at(path))).collect();
        self.before_run.clear();
        self.taken.clear();
    }

    fn now(&self) -> Picture {
        picture(self.dir.path())
    }

    fn at(&self, path: &str) -> There {
        self.now().remove(Path::new(path))
    }

    fn write(&mut self, path: &str) {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        self.edits += 1;
        fs::write(path, format!("somebody's {}\n", self.edits)).unwrap();
    }

    fn chmod(&self, path: &str, mode: u32) {
        fs::set_permissions(self.dir.path().join(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn options(&self) -> ApplyOptions {
        ApplyOptions {
            owner: self.owner,
            lock_timeout: Duration::ZERO,
            signals: Signals::none(),
            skip_damaged: false,
        }
    }

    /// The plan of an apply; number 0 has no file for the second path.
    fn plan(&self, value: usize) -> Plan {
        let private = Metadata::private_file(self.owner);
        let mut resources = vec![Resource::Directory(Directory {
            path: RootedPath::fixed("/etc/d"),
            metadata: Metadata::private_directory(self.owner),
            rule: DirectoryRule::Exact,
            controls: Vec::new(),
        })];
        for path in PATHS {
            let content = match (value, path) {
                (0, "etc/b") => Content::Absent,
                _ => Content::Bytes(format!("{OURS} {value} {path}\n").into_bytes()),
            };
            let path = RootedPath::fixed(&format!("/{path}"));
            resources.push(Resource::File(File {
                path,
                metadata: private.clone(),
                content,
                controls: Vec::new(),
            }));
        }
        let actions = resources.into_iter().map(|resource| Action::between(resource, &self.root).unwrap());
        let mut actions: Vec<Action> = actions.collect();
        for action in actions.iter_mut().filter(|action| action.change == Change::Remove) {
            // A file of somebody's is not removed.
            if !saved_state::content(&action.before).is_some_and(|bytes| bytes.starts_with(OURS.as_bytes())) {
                action.change = Change::None;
            }
        }
        Plan {
            subject: subject(&self.root),
            actions,
            warnings: Vec::new(),
            taken_over: Vec::new(),
            notes: PlanNotes::default(),
        }
    }

    /// Keeps what somebody wrote and what is no longer there.
    fn take(&mut self, before: &Picture) {
        let now = self.now();
        let is_gone = |(path, (_, bytes)): &(&PathBuf, &(u32, Vec<u8>))| {
            bytes.starts_with(b"somebody's") && now.get(*path).is_none_or(|(_, now)| now != bytes)
        };
        let gone = before.iter().filter(is_gone).map(|(_, (_, bytes))| bytes.clone());
        self.taken.extend(gone);
    }

    /// Everything that was taken away is somewhere below the root.
    fn check(&self) {
        fn visit(folder: &Path, found: &mut BTreeSet<Vec<u8>>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => visit(&path, found),
                    false => found.extend([fs::read(&path).unwrap()]),
                }
            }
        }
        let mut found = BTreeSet::new();
        visit(self.dir.path(), &mut found);
        for bytes in &self.taken {
            assert!(found.contains(bytes), "lost: {}", String::from_utf8_lossy(bytes));
        }
        let history = History::read_with_backups(&self.root).unwrap();
        assert_eq!(history.damage(), [], "nothing is damaged");
    }

    fn begin(&self) -> Transaction<'_> {
        let transaction = Transaction::begin(&self.root, self.options()).unwrap();
        if let Some(recovered) = transaction.recovered() {
            assert!(self.edited || recovered.left.is_empty(), "left without an edit: {}", recovered.message);
        }
        transaction
    }

    fn apply(&mut self, value: usize, keep: KeepHistory) {
        let before = self.now();
        let transaction = self.begin();
        let recovered = transaction.recovered().is_some();
        // With the lock held: the recovery may have changed the node.
        let plan = self.plan(value);
        let id = match transaction.apply(plan, RunInputs::default(), false, keep, &|| Ok(())) {
            Ok(outcome) => outcome.id,
            Err(error) => {
                assert!(keep == KeepHistory::Nothing, "{error}");
                return self.said.push(format!("refused: {error}"));
            }
        };
        match (keep, id) {
            // Nothing is kept, and the user knows it.
            (KeepHistory::Nothing, Some(_)) => self.start(),
            (_, Some(id)) => {
                if !recovered {
                    self.before_run.insert(id, before.clone());
                }
                self.take(&before);
            }
            _ => {}
        }
    }

    /// Kills a run after some of its changes.
    fn kill(&mut self, verb: RunVerb, plan: &Plan, kept: bool) {
        let before = self.now();
        let head = RunHead { verb, kept, inputs: None, written: Vec::new() };
        let actions: Vec<&Action> = plan.changes().collect();
        if actions.is_empty() {
            return;
        }
        let number = next_number(&self.root).unwrap();
        let record = RunRecord::new(number, head, plan.subject.clone(), &actions);
        record.begin(&self.root, self.owner, &actions).unwrap();
        // One that has done all is complete, and of one that keeps nothing everything is gone then.
        let done = self.numbers.below(actions.len() + usize::from(kept));
        for action in &actions[..done] {
            action.apply(&self.root).unwrap();
        }
        self.before_run.insert(number.id, before.clone());
        self.take(&before);
    }

    fn kill_apply(&mut self, value: usize, kept: bool) {
        drop(self.begin());
        // The state directory may have gone with the lock.
        fs::create_dir_all(self.dir.path().join("var/lib/k3s-harden/runs")).unwrap();
        let plan = self.plan(value);
        if !kept && History::read(&self.root).unwrap().has_steps() {
            return;
        }
        self.kill(RunVerb::Apply, &plan, kept);
    }

    fn rollback(&mut self, to: Option<u32>, force: bool, killed: bool) {
        let before = self.now();
        let found = {
            let transaction = self.begin();
            let recovered = transaction.recovered().filter(|recovered| recovered.undone);
            let is_undone = recovered.is_some_and(|recovered| {
                to.map_or(recovered.verb == RunVerb::Apply, |id| id == recovered.id)
            });
            if is_undone {
                Ok(None)
            } else {
                let history = History::read_with_backups(&self.root).unwrap();
                RollbackPlan::find(&self.root, &history, to).map(|rollback| {
                    let rollback = rollback?;
                    assert!(self.edited || rollback.modified.is_empty(), "refused: {:?}", rollback.modified);
                    if !rollback.modified.is_empty() && !force {
                        return None;
                    }
                    let RollbackPlan { to, plan, inputs, written, .. } = rollback;
                    if !killed {
                        transaction.roll_back(plan.clone(), to, inputs, written).unwrap();
                    }
                    Some((to, plan))
                })
            }
        };
        match found {
            Ok(Some((to, plan))) if killed => self.kill(RunVerb::Rollback { to }, &plan, true),
            Ok(Some((to, _))) => {
                if let Some(wanted) = self.before_run.get(&to).filter(|_| !self.edited) {
                    assert_eq!(&self.now(), wanted, "a rollback to before run {to}");
                }
                self.take(&before);
            }
            Ok(None) => self.take(&before),
            Err(error) => self.said.push(format!("refused: {error}")),
        }
    }

    fn uninstall(&mut self) {
        let before = self.now();
        let is_done = {
            let transaction = self.begin();
            let history = History::read_with_backups(&self.root).unwrap();
            match RollbackPlan::to_the_first_state(&self.root, &history).unwrap() {
                None => transaction.forget().map(|_| true).unwrap(),
                Some(rollback) => {
                    let refused = !rollback.modified.is_empty() || !rollback.only_copies.is_empty();
                    assert!(
                        self.edited || !refused,
                        "refused: {:?} {:?}",
                        rollback.modified,
                        rollback.only_copies
                    );
                    if !refused {
                        let RollbackPlan { to, plan, inputs, written, .. } = rollback;
                        transaction.roll_back(plan, to, inputs, written).unwrap();
                        transaction.forget().unwrap();
                    }
                    !refused
                }
            }
        };
        self.take(&before);
        self.check();
        if !is_done {
            return self.said.push("refused".to_owned());
        }
        if !self.edited {
            assert_eq!(self.now(), self.first, "the first state");
        }
        for path in PATHS {
            let now = ((*path).to_owned(), self.at(path));
            assert!(self.natural.contains(&now), "{path} is as nobody made it: {now:?}");
        }
        self.start();
    }

    fn edit(&mut self) {
        let path = PATHS[self.numbers.below(PATHS.len())];
        let there = self.at(path);
        match self.numbers.below(3) {
            0 if there.is_some() => fs::remove_file(self.dir.path().join(path)).unwrap(),
            1 if there.is_some() => {
                let mode = [0o640, 0o604][self.numbers.below(2)];
                self.chmod(path, mode);
            }
            _ => self.write(path),
        }
        if let Some((_, bytes)) =
            there.filter(|(_, bytes)| self.at(path).is_none_or(|(_, now)| now != *bytes))
        {
            // Somebody had it in hand, and has taken it away himself.
            self.taken.remove(&bytes);
        }
        self.edited = true;
        self.natural.insert((path.to_owned(), self.at(path)));
    }

    fn step(&mut self) {
        let value = self.numbers.below(4);
        let runs = u32::try_from(1 + self.numbers.below(4)).unwrap();
        let ids: Vec<u32> = self.before_run.keys().copied().collect();
        let to = Some(ids).filter(|ids| !ids.is_empty()).map(|ids| ids[self.numbers.below(ids.len())]);
        let what = self.numbers.below(20);
        self.said.push(format!("step {what}, value {value}, runs {runs}, to {to:?}"));
        match what {
            0..7 => self.apply(value, KeepHistory::History(runs)),
            7 => self.apply(value, KeepHistory::Nothing),
            8..11 => self.edit(),
            11..13 => self.rollback(None, false, false),
            13 => self.rollback(to, false, false),
            14 => self.rollback(None, true, false),
            15 => self.rollback(to, false, true),
            16 => self.kill_apply(value, true),
            17 => self.kill_apply(value, false),
            18 => self.kill_apply(value, true),
            _ => self.uninstall(),
        }
        self.check();
    }
}

/// Prints what led there when an assertion fails.
impl Drop for Sequence {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("K3S_HARDEN_SEED={}:\n{}", self.seed, self.said.join("\n"));
        }
    }
}

#[test]
fn nothing_of_somebody_is_lost_and_nothing_is_refused_that_nobody_changed() {
    let seeds = std::env::var("K3S_HARDEN_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds: Vec<u64> = seeds.map_or_else(|| (0..SEQUENCES).collect(), |seed| vec![seed]);
    let mut uninstalled = 0;
    for seed in seeds {
        let mut sequence = Sequence::new(seed);
        for _ in 0..STEPS {
            sequence.step();
        }
        sequence.uninstall();
        uninstalled += usize::from(!sequence.root.exists(&state_directory()));
    }
    println!("{uninstalled} of the sequences ended with an uninstall");
}

#[test]
fn what_a_killed_rollback_had_to_leave_is_not_forgotten_when_runs_are_united() {
    let mut sequence = Sequence::new(1);
    sequence.write("etc/a");
    sequence.start();
    sequence.apply(1, KeepHistory::History(50));
    sequence.rollback(None, false, true);
    // Whatever the rollback had done by then, this is neither its old state nor its new one.
    sequence.write("etc/a");
    sequence.edited = true;
    sequence.apply(2, KeepHistory::History(1));
    sequence.check();
    sequence.apply(3, KeepHistory::History(1));
    sequence.check();
}
