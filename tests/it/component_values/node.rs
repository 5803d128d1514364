// SPDX-License-Identifier: Apache-2.0
//! A case of a component's arguments and files, laid on a node, and what `preflight` says of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use k3s_harden::Role;
use k3s_harden::k3s::NodeConfig;
use k3s_harden::node::{Root, RootedPath};
use k3s_harden::preflight;
use k3s_harden::version::KubernetesMinor;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A line of `tests/oracle/component-values.jsonl`, and of what the Go program reads and writes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) component: String,
    /// The release that answered.
    pub(super) kubernetes: String,
    /// What K3s's key COMPONENT-arg holds.
    pub(super) args: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) files: BTreeMap<String, CaseFile>,
    /// What it is about.
    pub(super) group: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) accepted: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    /// The step of the component's start that refused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stage: Option<String>,
    /// Why it ends after its options were taken, if they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) late: Option<String>,
}

/// A file of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum CaseFile {
    Text(String),
    Folder { dir: bool },
    Link { link: String },
}

/// What `preflight` says of a case.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) starts: Option<bool>,
    pub(super) says: String,
}

impl Case {
    fn minor(&self) -> KubernetesMinor {
        let number = self.kubernetes.trim_start_matches('v');
        number.rsplit_once('.').unwrap().0.parse().unwrap()
    }

    /// Lays the case on a node, and asks `preflight`.
    pub(super) fn preflight(&self) -> Answer {
        let node = tempfile::tempdir().unwrap();
        let at = |path: &str| node.path().join(path.trim_start_matches('/'));
        for folder in ["etc/rancher/k3s", "etc/sysctl.d", "etc/systemd/system", "run", "var/lib"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        for (path, file) in &self.files {
            file.lay(&at(path));
        }
        if !self.args.is_empty() {
            let key = format!("{}-arg", self.component);
            fs::write(at("etc/rancher/k3s/config.yaml"), json!({ key: self.args }).to_string()).unwrap();
        }
        let root = Root::open(node.path()).unwrap();
        let data_dir: RootedPath = "/var/lib/rancher/k3s".parse().unwrap();
        let config = match NodeConfig::read(&root, Role::Server, self.minor(), &data_dir) {
            Ok(config) => config,
            Err(error) => return Answer { starts: None, says: error.to_string() },
        };
        let verdict = preflight::check(&config);
        let says: Vec<&str> = verdict.stopping().map(|finding| finding.message.as_str()).collect();
        Answer { starts: verdict.starts(), says: says.join("; ") }
    }
}

impl CaseFile {
    fn lay(&self, path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match self {
            Self::Text(text) => fs::write(path, text).unwrap(),
            Self::Folder { .. } => fs::create_dir_all(path).unwrap(),
            Self::Link { link } => std::os::unix::fs::symlink(link, path).unwrap(),
        }
    }
}

/// How many cases the two judge differently, by kind.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) cases: usize,
    pub(super) refused: usize,
    pub(super) missed: usize,
    pub(super) alarms: usize,
    pub(super) unjudged: usize,
    /// Of those that are refused late, how many are missed: that is no fault.
    pub(super) late: (usize, usize),
    /// Each disagreement with its kind and what `preflight` says.
    pub(super) disagreements: Vec<(&'static str, String, Case)>,
}

/// The most that may differ, in thousandths of all cases.
const MOST_MISSED: usize = 2;
const MOST_ALARMS: usize = 0;
const MOST_UNJUDGED: usize = 20;

impl Tally {
    /// Asks `preflight` about cases that Kubernetes has judged.
    pub(super) fn of(cases: &[Case]) -> Self {
        let (next, answers) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let work = || {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(case) = cases.get(at) else { break };
                let answer = case.preflight();
                answers.lock().unwrap().push((at, answer));
            }
        };
        thread::scope(|scope| {
            for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
                scope.spawn(work);
            }
        });
        let mut answers = answers.into_inner().unwrap();
        answers.sort_by_key(|(at, _)| *at);
        let mut tally = Self { cases: cases.len(), ..Self::default() };
        for (at, answer) in answers {
            let case = &cases[at];
            let accepted = case.accepted.unwrap();
            tally.refused += usize::from(!accepted);
            if case.late.is_some() {
                tally.late.0 += 1;
                tally.late.1 += usize::from(answer.starts == Some(true));
                continue;
            }
            let kind = match answer.starts {
                Some(starts) if starts == accepted => continue,
                None => {
                    tally.unjudged += 1;
                    "not judged"
                }
                Some(true) => {
                    tally.missed += 1;
                    "missed"
                }
                Some(false) => {
                    tally.alarms += 1;
                    "false alarm"
                }
            };
            tally.disagreements.push((kind, answer.says, case.clone()));
        }
        tally
    }

    pub(super) fn figures(&self) -> String {
        let Self { cases, refused, missed, alarms, unjudged, late: (late, late_missed), .. } = self;
        format!(
            "{cases} cases, {refused} refused: {missed} refusals missed, {alarms} false alarms, {unjudged} not judged; {late} refused late, {late_missed} of them missed"
        )
    }

    /// Returns why there is too much that the two judge differently; none if there is not.
    pub(super) fn fault(&self) -> Option<String> {
        let within = |count: usize, most: usize| count * 1000 <= self.cases * most;
        let holds = within(self.missed, MOST_MISSED)
            && within(self.alarms, MOST_ALARMS)
            && within(self.unjudged, MOST_UNJUDGED);
        (!holds).then(|| format!("{}\n{}", self.figures(), self.shown()))
    }

    /// Returns the first disagreements of each group, and how many there are of each.
    fn shown(&self) -> String {
        const GROUPS: usize = 60;
        let mut groups: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
        for (kind, says, case) in &self.disagreements {
            let theirs = case.error.as_deref().unwrap_or("accepted").lines().next().unwrap_or_default();
            let files: Vec<String> = case
                .files
                .iter()
                .filter(|(path, _)| !path.contains("/sample/"))
                .map(|it| format!("{it:?}"))
                .collect();
            groups.entry((*kind, &case.group)).or_default().push(format!(
                "{:?} {}\n      Kubernetes: {theirs}\n      preflight: {says}",
                case.args,
                files.join(", ")
            ));
        }
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_by_key(|(_, lines)| std::cmp::Reverse(lines.len()));
        let line = |((kind, group), lines): &((&str, &str), Vec<String>)| {
            format!("  {kind}: {} of {group}: {}\n", lines.len(), lines[0])
        };
        groups.iter().take(GROUPS).map(line).collect()
    }

    /// Returns the disagreements as lines of JSON.
    pub(super) fn lines(&self) -> String {
        let line = |(kind, says, case): &(&str, String, Case)| {
            let mut value = serde_json::to_value(case).unwrap();
            value["kind"] = Value::from(*kind);
            value["says"] = Value::from(says.as_str());
            format!("{value}\n")
        };
        self.disagreements.iter().map(line).collect()
    }
}
