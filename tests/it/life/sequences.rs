// SPDX-License-Identifier: Apache-2.0
//! Runs in random order on one root: settings, controls that are skipped or run alone, values that are taken back, rollbacks,
//! upgrades, and edits of the user's in between. The seed is printed; `K3S_HARDEN_LIFE_SEED=7` tries another one.

use std::fs;
use std::path::{Path, PathBuf};

use super::bed::{State, json, run, same, state};
use crate::support::counts::pick;
use crate::support::random::Random;
use crate::support::{Node, tools};

/// How many sequences the tiers try, and how long each is.
const SEQUENCES: usize = pick(25, 500);
const STEPS: usize = 8;
/// What the user writes: a file of his own, and a list that the drop-in meets.
const CONFIG: &str = "etc/rancher/k3s/config.yaml";
const USERS: [&str; 3] = [
    "kube-apiserver-arg:\n  - audit-log-maxage=90\n",
    "kubelet-arg:\n  - max-pods=50\n",
    "kube-apiserver-arg:\n  - enable-admission-plugins=AlwaysPullImages\nkubelet-arg: [v=2]\n",
];
const SETTINGS: [&str; 6] = [
    "pod_max_pids=77",
    "audit_log_maxage=120",
    "namespaces=shop",
    "audit_policy=writes",
    "intra_namespace_policy=false",
    "kubelet_read_only_port=0",
];
const CONTROLS: [&str; 5] = [
    "network-policies",
    "audit-policy",
    "pod-max-pids",
    "encryption-providers",
    "terminated-pod-gc-threshold",
];
const MINORS: [&str; 7] = ["1.23", "1.24", "1.25", "1.27", "1.29", "1.33", "1.37"];

/// A node with what the user has on it.
struct Life {
    node: Node,
    first: State,
    random: Random,
    minor: usize,
    told: Vec<String>,
    /// The user's own file, as he last wrote it.
    users: Option<&'static str>,
}

impl Life {
    fn new(seed: u64) -> Self {
        let node = Node::new().file("etc/motd", "hello\n");
        let first = state(&node);
        Self { node, first, random: Random::new(seed), minor: 0, told: Vec::new(), users: None }
    }

    fn apply(&mut self, more: &[&str]) {
        let version = MINORS[self.minor];
        let words = [&["apply", "--k3s-version", version, "--role", "server"], more].concat();
        self.told.push(words.join(" "));
        let output = run(&self.node, 0, &words);
        // The user's file is never touched, and a value of it that is not in force is named.
        self.keeps_users();
        if let (Some(text), false) = (self.users, output.stdout.contains("Nothing to change.")) {
            let effective =
                self.node.run(&["effective-config", "--k3s-version", version, "--role", "server"]).stdout;
            for word in ["max-pods=50", "AlwaysPullImages", "audit-log-maxage=90"]
                .iter()
                .filter(|word| text.contains(**word))
            {
                assert!(
                    effective.contains(word) || output.stderr.contains(word.split('=').next().unwrap()),
                    "{word} is lost and not named: {:#?}\n{}",
                    self.told,
                    output.stderr
                );
            }
        }
        let there = self.node.fingerprint();
        // A run about some controls alone is not remembered.
        let selection = if more.first() == Some(&"--only") { &more[..2] } else { &[] };
        let again = run(&self.node, 0, &[&["apply"], selection].concat()).stdout;
        assert!(again.ends_with("Nothing to change.\n"), "{:#?}: {again}", self.told);
        assert_eq!(self.node.fingerprint(), there, "{:#?}: the second apply writes nothing", self.told);
    }

    fn keeps_users(&self) {
        let there = fs::read_to_string(self.node.path().join(CONFIG)).ok();
        assert_eq!(there.as_deref(), self.users, "{:#?}", self.told);
        assert_eq!(self.node.read("etc/motd"), "hello\n");
    }

    fn step(&mut self) {
        let kind = self.random.below(8);
        let setting = SETTINGS[self.random.below(SETTINGS.len())];
        let control = CONTROLS[self.random.below(CONTROLS.len())];
        match kind {
            0 => self.apply(&["--set", setting]),
            1 => self.apply(&["--skip", control, "--set", setting]),
            2 => self.apply(&["--only", control, "--set", setting]),
            3 => {
                let back = format!("{}=null", setting.split('=').next().unwrap());
                self.apply(&["--set", &back]);
            }
            4 => self.apply(&["--skip", "none"]),
            5 => {
                self.minor = (self.minor + 1).min(MINORS.len() - 1);
                self.apply(&[]);
            }
            6 => {
                self.told.push("rollback".to_owned());
                run(&self.node, 0, &["rollback"]);
                self.keeps_users();
            }
            _ => {
                let text = USERS[self.random.below(USERS.len())];
                self.told.push(format!("the user writes {text:?}"));
                self.users = Some(text);
                let path = self.node.path().join(CONFIG);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
        }
    }

    /// Ends it: without the history there is the first state, and what the user wrote.
    fn end(self) {
        let runs = json(&self.node, 0, &["history"])["runs"].as_array().unwrap().len();
        if runs > 0 {
            run(&self.node, 0, &["uninstall"]);
        }
        self.keeps_users();
        let mut now = state(&self.node);
        // What leads to the user's file stays with it.
        let leads_there = |path: &PathBuf| Path::new(CONFIG).starts_with(path);
        now.retain(|path, _| self.first.contains_key(path) || self.users.is_none() || !leads_there(path));
        same(&now, &self.first, &format!("{:#?}: uninstall", self.told));
    }
}

#[test]
#[ignore = "takes minutes"]
fn random_lives_lose_nothing_and_end_where_they_began() {
    let seed = std::env::var("K3S_HARDEN_LIFE_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    tools::report(&format!("{SEQUENCES} sequences of {STEPS} steps, seed {seed}"));
    for sequence in 0..SEQUENCES {
        let mut life = Life::new(seed * 1_000_003 + sequence as u64);
        (0..STEPS).for_each(|_| life.step());
        life.end();
    }
}
