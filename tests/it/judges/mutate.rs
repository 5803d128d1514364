// SPDX-License-Identifier: Apache-2.0
//! Mistakes: a file of ours with one thing or two changed, as a hand or a template would.

use std::collections::BTreeSet;

/// What a mutation is called, and the file that it leaves.
#[derive(Debug, Clone)]
pub(crate) struct Mutation {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// Random numbers that are the same everywhere (splitmix64).
#[derive(Debug)]
pub(crate) struct Dice(u64);

/// Values that stand in place of another one.
const VALUES: [(&str, &[&str]); 12] = [
    (
        "apiVersion",
        &[
            "audit.k8s.io/v1",
            "audit.k8s.io/v1beta1",
            "audit.k8s.io/v1alpha1",
            "audit.k8s.io/v2",
            "audit/v1",
            "v1",
            "\"\"",
            "null",
            "1",
            "apiserver.config.k8s.io/v1",
            "apiserver.config.k8s.io/v1alpha1",
            "apiserver.k8s.io/v1alpha1",
            "pod-security.admission.config.k8s.io/v1",
            "pod-security.admission.config.k8s.io/v1beta1",
            "pod-security.admission.config.k8s.io/v1alpha1",
            "pod-security.admission.config.k8s.io/v2",
            "eventratelimit.admission.k8s.io/v1alpha1",
            "eventratelimit.admission.k8s.io/v1",
        ],
    ),
    (
        "kind",
        &[
            "Policy",
            "policy",
            "PolicyList",
            "AuditPolicy",
            "AdmissionConfiguration",
            "PodSecurityConfiguration",
            "Configuration",
            "\"\"",
            "null",
            "3",
        ],
    ),
    (
        "level",
        &[
            "None",
            "Request",
            "RequestResponse",
            "metadata",
            "none",
            "Everything",
            "\"\"",
            "null",
            "~",
            "0",
            "true",
            "\"Metadata \"",
            "'Metadata'",
            "[Metadata]",
            "{}",
            "Metadata # why",
            "*x",
            "{{ level }}",
        ],
    ),
    (
        "name",
        &[
            "PodSecurity",
            "EventRateLimit",
            "podSecurity",
            "PodSecurityPolicy",
            "\"\"",
            "null",
            "7",
            "\"PodSecurity \"",
        ],
    ),
    ("enforce", LEVELS),
    ("audit", LEVELS),
    ("warn", LEVELS),
    ("enforce-version", VERSIONS),
    ("audit-version", VERSIONS),
    ("warn-version", VERSIONS),
    (
        "type",
        &[
            "Server",
            "Namespace",
            "User",
            "SourceAndObject",
            "server",
            "Pod",
            "\"\"",
            "null",
            "1",
            "Server # all",
        ],
    ),
    ("qps", NUMBERS),
];

const LEVELS: &[&str] = &[
    "privileged",
    "baseline",
    "restricted",
    "Restricted",
    "strict",
    "\"\"",
    "null",
    "1",
    "true",
    "\"baseline \"",
    "[restricted]",
    "{{ level }}",
];

const VERSIONS: &[&str] = &[
    "latest", "v1.30", "v1.99", "v0.9", "v1.0", "v2.0", "1.30", "\"1.30\"", "v1.30.1", "Latest", "\"\"",
    "null", "v1", "v1.030",
];

const NUMBERS: &[&str] = &[
    "1",
    "0",
    "-1",
    "\"5\"",
    "1.5",
    "2147483647",
    "2147483648",
    "9999999999999999999999",
    "null",
    "1e3",
    "0x10",
    "010",
    "5_000",
    "true",
    "[]",
];

/// Lines that a rule of an audit policy may have, right and wrong.
const OF_A_RULE: [&str; 25] = [
    "omitStages: [RequestReceived]",
    "omitStages: [RequestReceived, ResponseStarted, ResponseComplete, Panic]",
    "omitStages: [requestReceived]",
    "omitStages: RequestReceived",
    "omitManagedFields: true",
    "omitManagedFields: \"true\"",
    "omitManagedFields: yes",
    "verbs: [get, list]",
    "verbs: [fetch]",
    "verbs: get",
    "verbs: [1]",
    "users: [\"system:kube-proxy\"]",
    "userGroups: [\"system:nodes\"]",
    "groups: [\"system:nodes\"]",
    "namespaces: [kube-system, \"\"]",
    "namespaces: kube-system",
    "nonResourceURLs: [\"/healthz*\"]",
    "nonResourceURLs: [\"*\"]",
    "nonResourceURLs: [healthz]",
    "nonResourceURLs: [\"/a*b\"]",
    "resources: [{group: \"\", resources: [secrets, \"pods/log\"]}]",
    "resources: [{group: \"apps/v1\", resources: [deployments]}]",
    "resources: [{group: \"\", resourceNames: [a]}]",
    "resources: [{resource: [secrets]}]",
    "resources: [secrets]",
];

/// Lines that the top of an audit policy may have.
const OF_A_POLICY: [&str; 8] = [
    "metadata: {name: ours}",
    "metadata: {nmae: ours}",
    "omitStages: [RequestReceived]",
    "omitStages: [RequestReceived, ResponseStarted, ResponseComplete, Panic]",
    "omitStages: [Received]",
    "omitManagedFields: true",
    "rule: []",
    "spec: {}",
];

/// What may be exempt, right and wrong.
const EXEMPT: [&str; 14] = [
    "[]",
    "null",
    "[kube-system, cattle-system]",
    "[kube-system, kube-system]",
    "[\"\"]",
    "[Kube]",
    "[kube_system]",
    "[\"kube-*\"]",
    "[1]",
    "[null]",
    "kube-system",
    "{a: b}",
    "[aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg]",
    "[\"a.b\"]",
];

/// Returns that many different mutations of the files, some of them with two mistakes.
pub(crate) fn mutations(dice: &mut Dice, files: &[String], audit: bool, count: usize) -> Vec<Mutation> {
    let mut seen: BTreeSet<String> = files.iter().cloned().collect();
    let mut found = Vec::new();
    while found.len() < count {
        let file = dice.of(files).clone();
        let (first, mut text) = mutate(dice, &file, audit);
        let mut name = first;
        if dice.below(5) == 0 {
            let (second, twice) = mutate(dice, &text, audit);
            name = format!("{name}; {second}");
            text = twice;
        }
        if seen.insert(text.clone()) {
            found.push(Mutation { name, text });
        }
    }
    found
}

/// Makes one mistake.
fn mutate(dice: &mut Dice, text: &str, audit: bool) -> (String, String) {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let with_keys: Vec<usize> = (0..lines.len()).filter(|&index| key(&lines[index]).is_some()).collect();
    if with_keys.is_empty() {
        return whole(dice, text);
    }
    let at = *dice.of(&with_keys);
    let line = lines[at].clone();
    let (begin, end) = key(&line).unwrap_or_default();
    let named = line[begin..end].to_owned();
    let block = block(&lines, at);
    let name = match dice.below(if audit { 11 } else { 10 }) {
        0..=2 => {
            let values = VALUES.iter().find(|(key, _)| *key == named).map(|(_, values)| *values);
            let values = match named.as_str() {
                "burst" | "cacheSize" => Some(NUMBERS),
                "usernames" | "runtimeClasses" | "namespaces" => Some(&EXEMPT[..]),
                _ => values,
            };
            let value = *dice
                .of(values.unwrap_or(&["[]", "{}", "null", "\"\"", "1", "true", "[{}]", "[null]", "text"]));
            lines.splice(block, [format!("{}: {value}", &line[..end])]);
            format!("{named} becomes {value}")
        }
        3 => {
            let wrong = misspelt(dice, &named);
            lines[at] = format!("{}{wrong}{}", &line[..begin], &line[end..]);
            format!("{named} is called {wrong}")
        }
        4 => {
            lines.drain(block);
            format!("no {named}")
        }
        5 => {
            // Behind the dash of a list's item it would be another item.
            let mut copy: Vec<String> = lines[block.clone()].to_vec();
            if dice.below(2) == 0 {
                copy[0] = copy[0].replacen("- ", "  ", 1);
            }
            lines.splice(block.end..block.end, copy);
            format!("{named} twice")
        }
        6 => {
            let extra = *dice.of(&[
                "extra: 1",
                "enabled: true",
                "name: x",
                "path: other.yaml",
                "comment: \"\"",
                "level: None",
            ]);
            lines.insert(block.end, format!("{}{extra}", " ".repeat(begin)));
            format!("{extra} behind {named}")
        }
        7 => {
            let width = line.len() - line.trim_start().len();
            let (shifted, how) = match dice.below(4) {
                0 => (format!(" {line}"), "one to the right"),
                1 => (format!("\t{}", line.trim_start()), "behind a tab"),
                2 => (line.chars().skip(usize::from(width > 0)).collect(), "one to the left"),
                _ => (line.replacen(": ", ":", 1), "without a space"),
            };
            lines[at] = shifted;
            format!("{named} {how}")
        }
        8 | 9 => return whole(dice, text),
        _ => {
            if dice.below(4) == 0 {
                let extra = *dice.of(&OF_A_POLICY);
                lines.push(extra.to_owned());
                extra.to_owned()
            } else {
                let extra = *dice.of(&OF_A_RULE);
                let level: Vec<usize> =
                    (0..lines.len()).filter(|&index| lines[index].contains("level:")).collect();
                match level.first() {
                    Some(&index) => lines.insert(index + 1, format!("    {extra}")),
                    None => lines.push(format!("  - {extra}")),
                }
                format!("a rule with {extra}")
            }
        }
    };
    (name, join(&lines))
}

/// Changes the file as a whole.
pub(crate) fn whole(dice: &mut Dice, text: &str) -> (String, String) {
    let (name, text) = match dice.below(17) {
        0 => ("a byte order mark", format!("\u{feff}{text}")),
        1 => ("CRLF", text.replace('\n', "\r\n")),
        2 => ("a marker in front", format!("---\n{text}")),
        3 => ("a directive in front", format!("%YAML 1.1\n---\n{text}")),
        4 => ("itself once more", format!("{text}---\n{text}")),
        5 => ("another document", format!("{text}---\napiVersion: v1\nkind: List\n")),
        6 => ("an empty document behind", format!("{text}---\n# nothing\n")),
        7 => ("a broken document behind", format!("{text}---\n[\n")),
        8 => ("an empty document in front", format!("---\n# nothing\n---\n{text}")),
        9 => ("an end", format!("{text}...\n")),
        10 => ("text behind the end", format!("{text}...\nmore: 1\n")),
        11 => ("nothing at all", String::new()),
        12 => ("only comments", "# later\n".to_owned()),
        13 => ("cut off", text.chars().take(text.chars().count() * 2 / 3).collect()),
        14 => (
            "as a list",
            format!(
                "- {}\n",
                text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n  ")
            ),
        ),
        15 => {
            let json = serde_yaml::from_str::<serde_json::Value>(text)
                .map_or_else(|_| text.to_owned(), |value| value.to_string());
            ("as JSON", json)
        }
        _ => ("a template's rest", format!("{text}{{{{ end }}}}\n")),
    };
    (name.to_owned(), text)
}

/// Returns where the key of a line is.
fn key(line: &str) -> Option<(usize, usize)> {
    let begin = line.len() - line.trim_start_matches([' ', '-']).len();
    let end = line.find(':')?;
    let plain = |text: &str| text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-');
    (begin < end && !line.trim_start().starts_with('#') && plain(&line[begin..end])).then_some((begin, end))
}

/// Returns a line and what belongs to it.
fn block(lines: &[String], at: usize) -> std::ops::Range<usize> {
    let width = |line: &str| line.len() - line.trim_start().len();
    let begin = key(&lines[at]).map_or(0, |(begin, _)| begin);
    let inside =
        |line: &&String| width(line) > begin || (width(line) == begin && line.trim_start().starts_with("- "));
    at..at + 1 + lines[at + 1..].iter().take_while(inside).count()
}

fn misspelt(dice: &mut Dice, name: &str) -> String {
    let mut letters: Vec<char> = name.chars().collect();
    let index = dice.below(letters.len());
    match dice.below(6) {
        0 => {
            letters[0] = if letters[0].is_uppercase() {
                letters[0].to_ascii_lowercase()
            } else {
                letters[0].to_ascii_uppercase()
            }
        }
        1 => letters.insert(index, letters[index]),
        2 if letters.len() > 1 => drop(letters.remove(index)),
        3 if name.contains('-') => return name.replace('-', "_"),
        4 => return name.to_uppercase(),
        _ => letters.push('s'),
    }
    letters.into_iter().collect()
}

fn join(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) >> 33).unwrap_or_default() % most
    }

    fn of<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}
