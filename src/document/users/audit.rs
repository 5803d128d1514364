// SPDX-License-Identifier: Apache-2.0
//! audit.yaml, united with an audit policy of the user's.
//!
//! The first rule that matches a request decides, so rules cannot be laid beside one another. A policy that records at least
//! what ours records stays as it is. In one that records less, the rules that do are raised to the level of ours, in their
//! places: each request is then recorded as the one or the other policy records it, whichever says more. That works where ours
//! records all requests alike, as the default does. Where it does not, ours takes the place of the whole policy.

use serde_json::{Value, json};

use super::files::{AUDIT_FILE, UsersFile, UsersFiles};
use super::memory::FileMemory;
use super::part::UsersPart;
use super::yaml_text::block;
use crate::document::OnConflict;
use crate::kubernetes::audit_policy::{self, AuditPolicy, AuditRequest};
use crate::kubernetes::audit_strength::{
    WeakerRule, leaves_requests, level_name, records_body, weaker_rules,
};
use crate::kubernetes::manifest::to_json;
use crate::kubernetes::object::ObjectFile;
use crate::node::RootedPath;
use crate::version::KubernetesMinor;

/// The resources whose bodies are secret (CIS 3.2.2): group, resource, subresource.
const SECRET: [(&str, &str, &str); 4] = [
    ("", "secrets", ""),
    ("", "configmaps", ""),
    ("", "serviceaccounts", "token"),
    ("authentication.k8s.io", "tokenreviews", ""),
];
/// The verbs of requests that have a body, or an answer with one.
const VERBS: [&str; 6] = ["get", "list", "create", "update", "patch", "delete"];
/// The settings that say what the policy is.
pub(in crate::document) const POLICY_FILE: &str = "audit_policy_file";

/// audit.yaml without its header.
#[derive(Debug)]
pub(in crate::document) struct AuditUnion {
    pub(in crate::document) body: String,
    pub(in crate::document) parts: Vec<UsersPart>,
    /// Whether it records less than the profile has.
    pub(in crate::document) is_weaker: bool,
}

/// Why a policy records less than ours, or what it should not.
#[derive(Debug, Default)]
struct Weakness {
    rules: Vec<WeakerRule>,
    /// Whether requests are left that no rule matches.
    leaves: bool,
    /// Whether it records bodies that are secret.
    bodies: bool,
}

impl Weakness {
    fn of(theirs: &AuditPolicy, ours: &AuditPolicy) -> Self {
        let records = |(group, resource, subresource): (&str, &str, &str)| {
            VERBS
                .iter()
                .any(|verb| records_body(theirs, &AuditRequest { verb, group, resource, subresource }))
        };
        Self {
            rules: weaker_rules(theirs, ours),
            leaves: leaves_requests(theirs) && !leaves_requests(ours),
            bodies: SECRET.into_iter().any(records),
        }
    }

    fn is_none(&self) -> bool {
        self.rules.is_empty() && !self.leaves && !self.bodies
    }

    /// Returns it in words, each with the index of its rule.
    fn words(&self) -> Vec<(Option<usize>, String)> {
        let rule = |rule: &WeakerRule| {
            let WeakerRule { index, level, other, omits_end } = rule;
            let words = match omits_end {
                true if level >= other => format!("rule {} does not record the end of requests", index + 1),
                _ => format!(
                    "rule {} has level {}, and k3s-harden's policy records {}",
                    index + 1,
                    level_name(*level),
                    level_name(*other)
                ),
            };
            (Some(*index), words)
        };
        let mut words: Vec<(Option<usize>, String)> = self.rules.iter().map(rule).collect();
        if self.leaves {
            words.push((None, "requests that no rule matches are not recorded".to_owned()));
        }
        if self.bodies {
            words.push((None, "bodies of Secrets, ConfigMaps or tokens go into the log".to_owned()));
        }
        words
    }
}

/// Returns why the policy that the user's own configuration names is weaker than `ours`; none if it is not, or cannot be read,
/// which preflight says.
pub(in crate::document) fn weakness_of_named(
    users: &UsersFiles,
    ours: &str,
    minor: KubernetesMinor,
) -> Option<String> {
    let file = users.named.get(AUDIT_FILE)?;
    let theirs = audit_policy::read(&file.bytes, minor).ok()?;
    let ours = audit_policy::read(ours.as_bytes(), minor).ok()?;
    let words = Weakness::of(&theirs, &ours).words();
    (!words.is_empty()).then(|| words.into_iter().map(|(_, words)| words).collect::<Vec<_>>().join("; "))
}

impl AuditUnion {
    /// Unites `ours` with what the user has; `is_told` if he has told k3s-harden which policy it is, `is_chosen` if he has chosen one of
    /// its own.
    pub(in crate::document) fn new(
        users: &UsersFiles,
        path: &RootedPath,
        ours: String,
        minor: KubernetesMinor,
        is_told: bool,
        is_chosen: bool,
    ) -> Self {
        let mut union = Self { body: ours, parts: Vec::new(), is_weaker: false };
        let own = users.ours.get("audit").and_then(|text| match FileMemory::read(text) {
            Ok(memory) => own_body(text, path, &memory),
            Err(why) => {
                union.parts.push(UsersPart::damaged(path, why));
                None
            }
        });
        let named = users.named.get(AUDIT_FILE).filter(|_| {
            weakness_of_named(users, &union.body, minor).is_some()
                && users.decision_of_named(AUDIT_FILE) != OnConflict::Keep
        });
        // What is in force is the file that the user's configuration names, or else the one at our path.
        let decision = users.decision();
        let (file, decision) = match (named, users.foreign.get("audit"), &own) {
            (Some(named), _, _) => (named, users.decision_of_named(AUDIT_FILE)),
            (None, Some(foreign), _) => (foreign, decision),
            // His choice is the newer word.
            (None, None, Some(own)) if is_chosen => (own, decision),
            (None, None, Some(own)) => (own, users.decision_of_remembered()),
            (None, None, None) => return union,
        };
        let is_remembered = own.as_ref().is_some_and(|own| std::ptr::eq(own, file));
        union.unite(file, path, minor, decision, is_told);
        if is_remembered {
            union.parts.retain(UsersPart::is_lost);
        }
        union
    }

    fn unite(
        &mut self,
        file: &UsersFile,
        path: &RootedPath,
        minor: KubernetesMinor,
        decision: OnConflict,
        is_told: bool,
    ) {
        let left_out = |place, what: &str, why: String| UsersPart::left_out(path, place, what, why);
        let theirs = match audit_policy::read(&file.bytes, minor) {
            Ok(theirs) => theirs,
            Err(refusal) => {
                let place = file.place(refusal.fault.position);
                let part = UsersPart::unreadable(path, place, "the audit policy", refusal.fault.message);
                return self.parts.push(part);
            }
        };
        // Ours is checked before it is rendered.
        let (Ok(ours), Ok(document)) =
            (audit_policy::read(self.body.as_bytes(), minor), ObjectFile::read(&file.bytes))
        else {
            return;
        };
        let (Some(value), Ok(own)) = (to_json(&document.root), ObjectFile::read(self.body.as_bytes())) else {
            return;
        };
        if Some(&value) == to_json(&own.root).as_ref() {
            return;
        }
        let place = file.place(theirs.rules_position);
        if is_told {
            let part = UsersPart::stays(path, place, "the audit policy").replaced();
            return self.parts.push(part.because(format!("the setting {POLICY_FILE} overrides it")));
        }
        for fault in &theirs.dropped {
            self.parts.push(left_out(
                file.place(fault.position),
                &fault.message,
                "the API server drops it".to_owned(),
            ));
        }
        if let Some(position) = theirs.second_document {
            let why = "the API server reads only the first one".to_owned();
            self.parts.push(left_out(file.place(position), "a second document", why));
        }
        let weakness = Weakness::of(&theirs, &ours);
        for (index, words) in weakness.words() {
            let rule = index.and_then(|index| theirs.rules.get(index));
            let place = rule.map_or_else(|| place.clone(), |rule| file.place(rule.position));
            self.parts.push(UsersPart::conflict(path, place, words, decision));
        }
        let is_uniform = ours.rules.len() == 1 && ours.omit_stages.is_empty();
        let keeps = decision == OnConflict::Keep;
        if !weakness.is_none() && !keeps && !is_uniform {
            let why =
                "the two policies cannot be merged: k3s-harden's does not record all requests at one level";
            return self.parts.push(left_out(place, "the audit policy", why.to_owned()));
        }
        self.is_weaker = keeps && !weakness.is_none();
        let text = match weakness.is_none() || keeps {
            true => plain_text(&file.bytes).unwrap_or_else(|| block(&value, 0)),
            false => block(&raised(value, &weakness, level_name(ours.rules[0].level)), 0),
        };
        let what = format!("the audit policy with its {} rules", theirs.rules.len());
        self.parts.push(UsersPart::stays(path, place, what));
        let memory = FileMemory { whole: true, ..FileMemory::default() };
        self.body = memory.line() + &text;
    }
}

/// Returns the policy in a file of ours that was the user's.
fn own_body(text: &str, path: &RootedPath, memory: &FileMemory) -> Option<UsersFile> {
    let (_, body) = text.split_once(&memory.line()).filter(|_| memory.whole)?;
    Some(UsersFile { path: path.clone(), bytes: body.as_bytes().to_vec() })
}

/// Returns a text that every reader takes for the same lines, as it is.
fn plain_text(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let is_plain = text.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte));
    let has_one =
        !text.lines().any(|line| line.starts_with("---") || line.starts_with("...") || line.starts_with('%'));
    let mut text = text.to_owned();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    (is_plain && has_one).then_some(text)
}

/// Raises the rules that record too little to `level`, and adds what is missing.
fn raised(mut policy: Value, weakness: &Weakness, level: &str) -> Value {
    const ENDS: [&str; 2] = ["ResponseComplete", "Panic"];
    let without_ends = |stages: &mut Value| {
        if let Some(stages) = stages.as_array_mut() {
            stages.retain(|stage| !ENDS.iter().any(|end| stage == end));
        }
    };
    without_ends(&mut policy["omitStages"]);
    if policy["omitStages"].as_array().is_none_or(Vec::is_empty)
        && let Some(fields) = policy.as_object_mut()
    {
        fields.remove("omitStages");
    }
    let mut rules = policy["rules"].as_array().cloned().unwrap_or_default();
    for weaker in &weakness.rules {
        let Some(rule) = rules.get_mut(weaker.index) else { continue };
        if weaker.level < weaker.other {
            rule["level"] = level.into();
        }
        if rule.get("omitStages").is_some() {
            without_ends(&mut rule["omitStages"]);
        }
    }
    if weakness.bodies {
        let mut groups: Vec<Value> = Vec::new();
        for (group, resource, subresource) in SECRET {
            let name = [resource, subresource].join("/").trim_end_matches('/').to_owned();
            match groups.iter_mut().find(|known| known["group"] == group) {
                Some(known) => known["resources"]
                    .as_array_mut()
                    .into_iter()
                    .for_each(|names| names.push(name.clone().into())),
                None => groups.push(json!({"group": group, "resources": [name]})),
            }
        }
        rules.insert(0, json!({"level": "Metadata", "resources": groups}));
    }
    if weakness.leaves {
        rules.push(json!({"level": level}));
    }
    policy["rules"] = rules.into();
    policy
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n  - level: Metadata\n";

    fn users(rest: &str, on_conflict: Option<OnConflict>) -> UsersFiles {
        let bytes = format!("apiVersion: audit.k8s.io/v1\nkind: Policy\n{rest}").into_bytes();
        let file = UsersFile { path: RootedPath::fixed("/audit.yaml"), bytes };
        UsersFiles { foreign: [("audit", file)].into(), on_conflict, ..UsersFiles::default() }
    }

    fn unite(users: &UsersFiles) -> AuditUnion {
        let (path, minor) = (RootedPath::fixed("/audit.yaml"), KubernetesMinor::new(33));
        AuditUnion::new(users, &path, METADATA.to_owned(), minor, false, false)
    }

    fn policy(text: &str) -> AuditPolicy {
        audit_policy::read(text.as_bytes(), KubernetesMinor::new(33)).unwrap()
    }

    /// What has been written once is read as it is: the second run changes nothing.
    fn settled(first: &AuditUnion) {
        let text = format!("# a\n# Written by k3s-harden 0\n# c\n{}", first.body);
        let again = UsersFiles { ours: [("audit", text)].into(), ..UsersFiles::default() };
        let second = unite(&again);
        assert_eq!((&second.body, second.is_weaker), (&first.body, first.is_weaker));
        assert!(second.parts.is_empty());
    }

    #[test]
    fn a_policy_that_records_more_stays_as_it_is_written() {
        let rest = "# mine\nomitStages: [RequestReceived]\nrules:\n- level: Metadata\n  resources: [{group: '', resources: [secrets, configmaps, serviceaccounts/token]}, {group: authentication.k8s.io}]\n- level: Request # all\n";
        let union = unite(&users(rest, None));
        assert!(union.body.ends_with(rest) && union.body.starts_with("# Taken over: {\"whole\":true}\n"));
        assert!(!union.is_weaker && union.parts.iter().all(|part| !part.is_lost()));
        settled(&union);
    }

    #[test]
    fn rules_that_record_less_are_raised_where_they_stand() {
        let rest = "omitStages: [RequestReceived, Panic]\nrules:\n- {level: None, users: [a]}\n- {level: Request, resources: [{group: apps}]}\n- {level: Request, namespaces: [b]}\n";
        let users = users(rest, None);
        let union = unite(&users);
        let (before, after) =
            (policy(&format!("{}{rest}", &METADATA[..METADATA.find("rules").unwrap()])), policy(&union.body));
        assert!(Weakness::of(&after, &policy(METADATA)).is_none(), "{}", union.body);
        assert_eq!(after.omit_stages, ["RequestReceived"]);
        // Before the rest: what is secret; behind it: what no rule matched.
        assert_eq!(after.rules.len(), before.rules.len() + 2);
        assert_eq!(after.rules[1].users, before.rules[0].users);
        assert_eq!(after.rules[2].level, before.rules[1].level);
        let conflicts = union.parts.iter().filter(|part| part.is_conflict).count();
        assert_eq!(conflicts, 5, "{:?}", union.parts);
        settled(&union);
    }

    #[test]
    fn whoever_keeps_a_weaker_policy_keeps_it_until_he_says_otherwise() {
        let rest = "rules:\n- {level: None, users: [a]}\n- {level: Metadata}\n";
        let union = unite(&users(rest, Some(OnConflict::Keep)));
        assert!(union.is_weaker && union.body.ends_with(rest));
        settled(&union);
        let text = format!("# a\n# Written by k3s-harden 0\n# c\n{}", union.body);
        let again = UsersFiles {
            ours: [("audit", text)].into(),
            on_conflict: Some(OnConflict::Ours),
            ..UsersFiles::default()
        };
        assert!(!unite(&again).is_weaker && !unite(&again).body.contains("None"));
    }

    #[test]
    fn what_nobody_can_read_is_named() {
        let union = unite(&users("rules: [", None));
        assert_eq!(union.body, METADATA);
        assert!(union.parts[0].to_string().contains("nothing is taken over from it"), "{:?}", union.parts);
        assert!(unite(&users("rules: [{level: Metadata}]\n", None)).parts.is_empty());
    }
}
