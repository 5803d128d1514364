// SPDX-License-Identifier: Apache-2.0
//! A state directory that is damaged at random. Whatever is broken in it: no verb ends with 0 and other bytes, modes or
//! owners than without the damage; a refusal changes nothing; and `--skip-damaged` restores what is sound, names the rest and
//! removes nothing that is damaged.

use std::fs;

use super::bed::{APPLY, Bed, FILES, OLDER, Run, for_each, lax};
use super::tree::{Entry, STATE, Tree, What};
use crate::support::counts::pick;
use crate::support::random::Random;
use crate::support::tools;

const SEED: u64 = 0x6461_6d61_6765;

/// A node with a history, and what its verbs make of it when nothing is damaged.
struct Sound {
    whole: Tree,
    node: Tree,
    verbs: Vec<(Vec<String>, i32, Tree)>,
}

/// What a round does.
#[derive(Debug)]
struct Round {
    /// What was done to the state directory.
    damage: String,
    /// Its paths that are damaged and still there.
    kept: Vec<String>,
    /// The path of the node whose backup is damaged, where nothing else is.
    is_backup: bool,
}

fn node_of(whole: &Tree) -> Tree {
    let mut node = whole.clone();
    node.0.retain(|path, _| path != STATE && !path.starts_with(&format!("{STATE}/")));
    node
}

/// Makes a node with several runs: `runs` are kept one by one.
fn sound(runs: &str) -> Sound {
    let bed = Bed::of(&lax());
    let runs = format!("history_runs={runs}");
    let set = |verb: &[&'static str], age: &str| {
        bed.run(&[verb, &["--set", &runs, "--set", age]].concat()).expect_when(0, age);
    };
    set(&OLDER, "audit_log_maxage=40");
    set(&APPLY, "audit_log_maxage=41");
    fs::write(bed.root().join(FILES[2]), "kind: Edited\n").unwrap();
    set(&APPLY, "audit_log_maxage=42");
    bed.run(&["rollback"]).expect_when(0, "rollback");
    set(&APPLY, "audit_log_maxage=43");
    set(&OLDER, "audit_log_maxage=44");
    let whole = Tree::of(&bed.root());
    let newest = *runs_of(&whole).last().unwrap();
    let mut verbs = vec![vec!["rollback".to_owned()], vec!["uninstall".to_owned(), "--force".to_owned()]];
    verbs.extend(runs_of(&whole).into_iter().map(|id| vec!["rollback".to_owned(), id.to_string()]));
    verbs.push(vec!["rollback".to_owned(), newest.to_string(), "--force".to_owned()]);
    let verbs = verbs.into_iter().map(|words| {
        bed.reset(&whole);
        let run = run(&bed, &words);
        let code = run.code.unwrap();
        (words, code, bed.tree())
    });
    let verbs = verbs.collect();
    Sound { node: node_of(&whole), whole, verbs }
}

fn run(bed: &Bed, words: &[String]) -> Run {
    bed.run(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

fn runs_of(whole: &Tree) -> Vec<u32> {
    let prefix = format!("{STATE}/runs/");
    whole.0.keys().filter_map(|path| path.strip_prefix(&prefix)?.parse().ok()).collect()
}

/// Breaks one thing in the state directory.
fn damage(whole: &mut Tree, random: &mut Random) -> Round {
    let runs = format!("{STATE}/runs/");
    let is_file = |(path, entry): &(&String, &Entry)| {
        path.starts_with(&runs) && matches!(&entry.what, What::File(bytes) if !bytes.is_empty())
    };
    let files: Vec<String> = whole.0.iter().filter(is_file).map(|(path, _)| path.clone()).collect();
    let named = |ending: &str| -> Vec<String> {
        files.iter().filter(|path| path.ends_with(ending)).cloned().collect()
    };
    let (journals, backups) = (named("/journal.json"), [named(".before"), named(".after")].concat());
    let mut one = |of: &[String]| of[random.below(of.len())].clone();
    let (file, journal, other) = (one(&files), one(&journals), one(&journals));
    let (backup, second) = (one(&backups), one(&backups));
    let directory = one(&journals).strip_suffix("/journal.json").unwrap().to_owned();
    let mut round = Round { damage: String::new(), kept: Vec::new(), is_backup: false };
    let below = |path: &String, folder: &str| path == folder || path.starts_with(&format!("{folder}/"));
    let bytes = |tree: &mut Tree, path: &str, change: &mut dyn FnMut(&mut Vec<u8>)| {
        if let What::File(bytes) = &mut tree.0.get_mut(path).unwrap().what {
            change(bytes);
        }
    };
    match random.below(9) {
        0 | 1 => {
            round.damage = format!("a bit of {file} is flipped");
            bytes(whole, &file, &mut |bytes| {
                let at = random.below(bytes.len());
                bytes[at] ^= 1 << random.below(8);
            });
            round.is_backup = backups.contains(&file);
            round.kept = vec![file];
        }
        2 => {
            round.damage = format!("{file} is cut");
            bytes(whole, &file, &mut |bytes| bytes.truncate(random.below(bytes.len())));
            round.is_backup = backups.contains(&file);
            round.kept = vec![file];
        }
        3 => {
            round.damage = format!("{file} is removed");
            whole.0.remove(&file);
            round.is_backup = backups.contains(&file);
        }
        4 | 5 => {
            let (a, b) = if random.below(2) == 0 { (journal, other) } else { (backup, second) };
            round.damage = format!("{a} and {b} are swapped");
            let (first, last) = (whole.0[&a].clone(), whole.0[&b].clone());
            whole.0.insert(a.clone(), last);
            whole.0.insert(b.clone(), first);
            round.kept = vec![a, b];
        }
        6 => {
            round.damage = format!("{directory} is removed");
            whole.0.retain(|path, _| !below(path, &directory));
        }
        7 => {
            round.damage = format!("{directory} is moved away");
            let moved: Vec<String> = whole.0.keys().filter(|path| below(path, &directory)).cloned().collect();
            for path in moved {
                let entry = whole.0.remove(&path).unwrap();
                let path = path.replacen(&directory, &format!("{directory}.damaged"), 1);
                whole.0.insert(path.clone(), entry);
                round.kept.push(path);
            }
        }
        _ => {
            round.damage = format!("{file} is a symlink");
            let entry = whole.0.remove(&file).unwrap();
            whole.0.insert("etc/elsewhere".to_owned(), entry.clone());
            let link = Entry { what: What::Symlink("/etc/elsewhere".into()), mode: 0o777, ..entry };
            whole.0.insert(file.clone(), link);
            round.kept = vec![file];
        }
    }
    round
}

#[test]
#[ignore = "needs root"]
fn whatever_is_damaged_nothing_wrong_is_restored() {
    let nodes = [sound("50"), sound("2")];
    for (index, sound) in nodes.iter().enumerate() {
        assert!(sound.verbs.iter().filter(|(_, code, _)| *code == 0).count() > 3, "node {index}");
    }
    let rounds: Vec<u64> = (0..pick(50, 1000) as u64).collect();
    tools::report(&format!("{} rounds, seed {SEED:#x}", rounds.len()));
    for_each(&rounds, |bed, number| {
        let mut random = Random::new(SEED + number);
        let sound = &nodes[random.below(nodes.len())];
        let mut whole = sound.whole.clone();
        let round = damage(&mut whole, &mut random);
        let (words, code, wanted) = &sound.verbs[random.below(sound.verbs.len())];
        let mut words = words.clone();
        let skips = random.below(2) == 0;
        words.extend(skips.then(|| "--skip-damaged".to_owned()));
        bed.reset(&whole);
        let run = run(bed, &words);
        let when = format!("round {number}: {round:?}: {words:?}: {}{}", run.stdout, run.stderr);
        check(bed, &round, &run, sound, (*code, wanted), &whole, &when);
    });
}

fn check(
    bed: &Bed,
    round: &Round,
    run: &Run,
    sound: &Sound,
    (code, wanted): (i32, &Tree),
    whole: &Tree,
    when: &str,
) {
    let mut now = bed.tree();
    now.0.remove("etc/elsewhere");
    let same = |expected: &Tree| now.differs_from(expected);
    match run.code {
        Some(0) => {
            assert_eq!(code, 0, "{when}");
            assert!(same(wanted).is_empty(), "{when}:\n{}", same(wanted));
        }
        Some(1 | 64 | 65) => assert!(same(&sound.node).is_empty(), "{when}:\n{}", same(&sound.node)),
        Some(4) => {
            assert!(when.contains("\"--skip-damaged\"]"), "{when}");
            let mut restored = 0;
            for path in now.0.keys().chain(wanted.0.keys()).chain(sound.node.0.keys()) {
                let [is, old, new] = [&now, &sound.node, wanted].map(|tree| tree.0.get(path));
                let is_above = STATE.starts_with(path.as_str());
                restored += usize::from(is == new && is != old);
                let is_named = run.stderr.contains(&format!("  /{path}: "));
                // What a run without a journal has changed alone, nobody knows.
                let may_be_unnamed = is == new || (is == old && !round.is_backup) || is_above || code != 0;
                assert!(may_be_unnamed || is_named, "{path}: {when}");
            }
            assert!(!round.is_backup || code != 0 || restored > 0, "nothing was restored: {when}");
            let there = Tree::of(&bed.root());
            for path in &round.kept {
                assert!(
                    there.0.get(path).map(|entry| &entry.what) == whole.0.get(path).map(|entry| &entry.what),
                    "{path} is gone: {when}"
                );
            }
        }
        _ => panic!("{when}[{:?}]", run.code),
    }
}
