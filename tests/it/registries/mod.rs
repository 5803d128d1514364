// SPDX-License-Identifier: Apache-2.0
//! The reader of registries.yaml against the one that K3s has: many files, most of them close to what is valid, go to a
//! small Go program with rancher/wharfie (tests/oracle/registries) and to ours, and both have to take the same, with the
//! same first message about a type.
//!
//! It is part of the second tier, with 250 files: `cargo test --test it registries -- --include-ignored`, with Go. The
//! third tier takes 5 000 (`tests/full`). `SEED` and `COUNT` change the files, `SHOW` how many of those that differ are
//! shown.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test of programs that prints its figures"
)]

mod generate;

use std::fmt::Write as _;

use crate::support::counts::pick;
use crate::support::random::Random;
use crate::support::{go_program, turns};
use k3s_harden::k3s::registries;
use serde_json::json;

const SEED: u64 = 0x7265_6769_7374_7279;
const COUNT: usize = pick(250, 5_000);

#[test]
#[ignore = "needs Go"]
fn ours_takes_what_wharfie_takes() {
    let _busy = turns::busy();
    let number = |name: &str, or: u64| std::env::var(name).ok().map_or(or, |text| text.parse().unwrap());
    let seed = number("SEED", SEED);
    let mut random = Random::new(seed);
    let texts: Vec<String> =
        (0..number("COUNT", COUNT as u64)).map(|_| generate::registries(&mut random)).collect();
    let directory = tempfile::tempdir().unwrap();
    let theirs = go_program::ask(
        &go_program::build("registries", directory.path()),
        texts.iter().map(|text| json!({ "text": text })),
    );
    assert_eq!(theirs.len(), texts.len(), "the Go program answered less than it was asked");

    let (mut refused, mut missed, mut alarms, mut messages, mut wrong) = (0, 0, 0, 0, String::new());
    for (text, theirs) in texts.iter().zip(&theirs) {
        let ours = registries::read(text.as_bytes()).err().map(|faults| faults[0].message.clone());
        let theirs = Some(theirs["error"].as_str().unwrap()).filter(|error| !error.is_empty());
        refused += usize::from(theirs.is_some());
        let counter = match (&ours, theirs) {
            (None, Some(_)) => &mut missed,
            (Some(_), None) => &mut alarms,
            (Some(ours), Some(theirs))
                if first_of_types(theirs).is_some_and(|said| !is_same(ours, &said)) =>
            {
                &mut messages
            }
            _ => continue,
        };
        *counter += 1;
        if missed + alarms + messages <= number("SHOW", 10) {
            writeln!(wrong, "{text}\n  ours {ours:?}\n  wharfie's {theirs:?}\n").unwrap();
        }
    }
    println!(
        "{} files, {refused} refused: {missed} missed, {alarms} false alarms, {messages} with another message, seed {seed:#x}",
        texts.len()
    );
    assert!(refused * 5 > texts.len() && refused * 5 < texts.len() * 4, "the files are of one kind");
    assert!(missed + alarms + messages == 0, "{wrong}");
}

/// Returns the first message about a type, in one line; none if it is about the syntax.
fn first_of_types(error: &str) -> Option<String> {
    let first = error.strip_prefix("yaml: unmarshal errors:\n")?.lines().next()?.trim();
    Some(format!("yaml: unmarshal errors: {first}"))
}

/// Tells whether two messages are the same, but for the quote of a secret, which ours masks.
fn is_same(ours: &str, theirs: &str) -> bool {
    let masked = match theirs.split('`').collect::<Vec<_>>()[..] {
        [before, _, after] => format!("{before}`********`{after}"),
        _ => theirs.to_owned(),
    };
    ours == theirs || ours == masked
}
