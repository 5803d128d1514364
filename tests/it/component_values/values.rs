// SPDX-License-Identifier: Apache-2.0
//! Random arguments of the components: every argument of the table, with values of its type and values that its name
//! asks for, alone and with others of its group.

use k3s_harden::kubernetes::component_flags;
use k3s_harden::version::KubernetesMinor;
use regex::Regex;

use super::documents;
use super::node::Case;
use super::pools;
use crate::support::random::Random;

/// Arguments that are not tried, of all components or of one, and why.
const SKIPPED: [(&str, &str); 11] = [
    ("help", "the component prints its help and ends"),
    ("node-cidr-mask-size", "the controller of nodes' addresses refuses it, which the judge does not start"),
    ("kube-controller-manager:cluster-cidr", "the same refuses two of one family"),
    ("node-cidr-mask-size-ipv4", "the same"),
    ("node-cidr-mask-size-ipv6", "the same"),
    (
        "protect-kernel-defaults",
        "it depends on the machine's kernel parameters; tests/it/judges asks about it",
    ),
    ("request-timeout", "with 0 the API server starts, and answers no request"),
    ("version", "the component prints its version and ends"),
    ("logging-format", "json is what the program is linked with, and K3s is another than the judge"),
    ("show-hidden-metrics-for-version", "it depends on the version with which the program is built"),
    ("write-config-to", "kube-proxy and the scheduler write the file and end"),
];

/// An argument of a component.
struct Argument {
    component: &'static str,
    name: &'static str,
    kind: String,
}

/// Returns the name of a component in K3s's keys.
fn key(component: &'static str) -> &'static str {
    if component == "cloud-controller-manager" { "kube-cloud-controller-manager" } else { component }
}

/// Returns the arguments of a minor.
fn arguments(minor: KubernetesMinor) -> Vec<Argument> {
    let mut found = Vec::new();
    for (component, flags) in component_flags::all() {
        for (name, flag) in flags {
            let whole = format!("{component}:{name}");
            let is_skipped = SKIPPED.iter().any(|(skipped, _)| skipped == name || *skipped == whole);
            if flag.is_of(minor) && !flag.k3s && !is_skipped {
                let kind = format!("{:?}", flag.kind).to_lowercase();
                found.push(Argument { component: key(component), name, kind });
            }
        }
    }
    found
}

/// Returns so many cases of a release.
pub(super) fn cases(random: &mut Random, release: &str, count: usize, only: &Regex) -> Vec<Case> {
    let minor = release.trim_start_matches('v').rsplit_once('.').unwrap().0.parse().unwrap();
    let arguments = arguments(minor);
    assert!(!arguments.is_empty());
    let fitting: Vec<&Argument> =
        arguments.iter().filter(|one| only.is_match(&format!("{}:{}", one.component, one.name))).collect();
    if fitting.is_empty() {
        return Vec::new();
    }
    let mut cases = Vec::new();
    while cases.len() < count {
        let first = fitting[random.below(fitting.len())];
        let mut args = vec![written(random, first)];
        // An argument of the same group: its name begins with the same word.
        let group = |one: &&Argument| one.component == first.component && word(one.name) == word(first.name);
        let mates: Vec<&Argument> = arguments.iter().filter(group).collect();
        for _ in 0..[0, 0, 0, 1, 1, 2][random.below(6)] {
            let mate = mates[random.below(mates.len())];
            args.push(written(random, mate));
        }
        // K3s takes blanks off the ends of the items in its configuration (`convert.ToString`, in
        // pkg/configfilearg/parser.go): no component gets them.
        args.iter_mut().for_each(|text| *text = text.trim().to_owned());
        cases.push(Case {
            component: first.component.to_owned(),
            kubernetes: release.to_owned(),
            files: documents::samples_in(&args.join("\n")),
            args,
            group: format!("{}:{}", first.component, first.name),
            accepted: None,
            error: None,
            stage: None,
            late: None,
        });
    }
    cases
}

fn word(name: &str) -> &str {
    name.split('-').next().unwrap_or(name)
}

/// Returns an argument with a value, as somebody writes it.
fn written(random: &mut Random, argument: &Argument) -> String {
    let name = argument.name;
    let value = value(random, argument);
    match random.below(40) {
        0 => name.to_owned(),
        1 => format!("{}={value}", name.replace('-', "_")),
        2 => format!("{name}s={value}"),
        3 => format!("--{name}={value}"),
        4 => format!("{name}+={value}"),
        5 => format!("{}={value}", name.to_uppercase()),
        _ => format!("{name}={value}"),
    }
}

/// Returns a value: of the argument's type, of what its name asks for, or of any pool.
fn value(random: &mut Random, argument: &Argument) -> String {
    let words: Vec<&str> = argument.name.split('-').collect();
    let (named, typed) = (pools::by_name(&words), pools::by_type(&argument.kind));
    let by_type = named.is_empty() || typed.iter().any(|pool| pool.is_plain()) || random.below(5) == 0;
    let fitting = if by_type { typed } else { named };
    let pool = if fitting.is_empty() || random.below(25) == 0 {
        pools::any(random)
    } else {
        fitting[random.below(fitting.len())]
    };
    pool.value(random).to_owned()
}
