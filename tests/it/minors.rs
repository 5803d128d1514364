// SPDX-License-Identifier: Apache-2.0
//! The supported minors. With `K3S_HARDEN_NEXT_MINOR` (see build.rs) the newest is made up: it has a row in
//! src/data/minors.yaml and nothing else, and inherits everything from the one before.

use std::sync::LazyLock;

use crate::support::kubernetes::RELEASES;
use k3s_harden::version::KubernetesMinor;

/// The supported minors that are not made up: those that have fixtures.
pub(crate) fn released() -> Vec<KubernetesMinor> {
    let mut minors = KubernetesMinor::supported();
    if cfg!(next_minor) {
        minors.pop();
    }
    minors
}

/// Returns the newest supported minor, made up or released.
pub(crate) fn newest() -> &'static str {
    static NEWEST: LazyLock<String> =
        LazyLock::new(|| KubernetesMinor::supported().last().expect("there are minors").to_string());
    &NEWEST
}

/// Returns an output of the tool with NEWEST in place of the newest minor, made up or released: what a snapshot holds.
pub(crate) fn with_newest(text: &str) -> String {
    let newest = [released(), KubernetesMinor::supported()].map(|minors| minors.last().copied());
    newest
        .into_iter()
        .flatten()
        .fold(text.to_owned(), |text, minor| text.replace(&minor.to_string(), "NEWEST"))
}

#[test]
fn every_minor_has_the_release_of_kubernetes_that_tests_are_built_against() {
    let of = |release: &&str| release.trim_start_matches('v').rsplit_once('.').unwrap().0.to_owned();
    let minors: Vec<String> = RELEASES.iter().map(of).collect();
    assert_eq!(minors, released().iter().rev().map(ToString::to_string).collect::<Vec<_>>());
}

#[cfg(next_minor)]
#[test]
fn a_made_up_minor_is_hardened_like_the_newest() {
    let (released, supported) = (released(), KubernetesMinor::supported());
    let (newest, made_up) = (released.last().unwrap(), supported.last().unwrap());
    assert_eq!(newest.next(), *made_up);
    let node = crate::support::Node::new();
    for role in ["server", "agent"] {
        for profile in ["cis", "cis,strict"] {
            for verb in [["plan"].as_slice(), &["render", "--as", "shell"], &["verify"], &["preflight"]] {
                let on = |minor: &KubernetesMinor| {
                    let minor = minor.to_string();
                    let options = ["--k3s-version", &minor, "--role", role, "--profile", profile];
                    let output = node.run(&[verb, options.as_slice()].concat());
                    assert!([0, 2, 3].contains(&output.code), "{verb:?} {role} {profile}: {}", output.stderr);
                    output.stdout.replace(&minor, "MINOR")
                };
                assert_eq!(on(newest), on(made_up), "{verb:?} {role} {profile}");
            }
        }
    }
}
