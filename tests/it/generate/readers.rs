// SPDX-License-Identifier: Apache-2.0
//! What reads the documents: the shells, and the readers of manual pages. None of them has a word to say.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{verbs_of_help, written};
use crate::support::run::Run;
use crate::support::tools::command;

/// Runs a program that has to end well and without a word on stderr.
fn quiet(command: &mut Command) -> String {
    let run = Run::of(command.output().unwrap());
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{command:?}: {}", run.stdout);
    run.stdout
}

fn completions(folder: &Path) -> [String; 3] {
    written(&["completions"], folder);
    ["k3s-harden", "_k3s-harden", "k3s-harden.fish"]
        .map(|name| folder.join(name).to_str().unwrap().to_owned())
}

#[test]
#[ignore = "needs mandoc, man and groff"]
fn readers_of_manual_pages_have_no_complaint() {
    let folder = tempfile::tempdir().unwrap();
    for (name, _) in written(&["man"], folder.path()) {
        let path = folder.path().join(&name);
        assert_eq!(quiet(command("mandoc").args(["-T", "lint"]).arg(&path)), "", "{name}");
        quiet(command("groff").args(["-man", "-ww", "-z"]).arg(&path));
        let shown = quiet(
            command("man")
                .args(["--warnings", "-l"])
                .arg(&path)
                .envs([("MANWIDTH", "80"), ("LC_ALL", "C.UTF-8")]),
        );
        assert!(shown.contains("EXIT STATUS") && shown.contains("SEE ALSO"), "{name}: {shown}");
        // What apropos and whatis find it by.
        let found = quiet(command("lexgrog").arg(&path));
        assert!(found.contains(&format!("\"{} - ", name.strip_suffix(".1").unwrap())), "{found}");
    }
    // A page that is broken is complained of.
    let broken = folder.path().join("broken.1");
    fs::write(&broken, ".TH X 1\n.SH\n.FOO\n").unwrap();
    assert!(!command("mandoc").args(["-T", "lint"]).arg(&broken).output().unwrap().stdout.is_empty());
}

#[test]
#[ignore = "needs bash, zsh and fish"]
fn shells_read_their_completions() {
    let folder = tempfile::tempdir().unwrap();
    let [bash, zsh, fish] = completions(folder.path());
    quiet(command("bash").args(["-n", &bash]));
    quiet(command("zsh").args(["-f", "-n", &zsh]));
    quiet(command("fish").args(["--no-execute", &fish]).env("HOME", folder.path()));
    // zsh finds the function by the name of its file.
    let script = "fpath=($1 $fpath); autoload -Uz compinit; compinit -D -u; print ${_comps[k3s-harden]}";
    let found = quiet(command("zsh").args(["-f", "-c", script, "zsh"]).arg(folder.path()));
    assert_eq!(found, "_k3s-harden\n");
}

/// Returns what bash offers for the last of some words.
fn bash_offers(file: &str, words: &[&str]) -> Vec<String> {
    let script = r#"source "$1"; shift
function=$(complete -p k3s-harden | sed 's/.*-F \([^ ]*\).*/\1/')
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
"$function" "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}""#;
    let mut offered: Vec<String> =
        quiet(command("bash").args(["--norc", "-c", script, "bash", file]).args(words))
            .lines()
            .map(str::to_owned)
            .collect();
    offered.sort();
    offered
}

/// Returns what fish offers, without the descriptions.
fn fish_offers(file: &str, home: &Path, words: &[&str]) -> Vec<String> {
    let script = format!("source {file}; complete -C '{}'", words.join(" "));
    let offered = quiet(command("fish").args(["--no-config", "-c", &script]).env("HOME", home));
    let mut offered: Vec<String> =
        offered.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect();
    offered.sort();
    offered
}

#[test]
#[ignore = "needs bash, zsh and fish"]
fn shells_offer_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let [bash, _, fish] = completions(folder.path());
    for (words, expected) in [
        (["k3s-harden", "ap"].as_slice(), ["apply"].as_slice()),
        (&["k3s-harden", "apply", "--on-"], &["--on-conflict", "--on-foreign"]),
        (&["k3s-harden", "verify", "--as", ""], &["kube-bench", "security-scan"]),
        (&["k3s-harden", "profile", "va"], &["validate"]),
    ] {
        let among = |offered: &[String]| expected.iter().all(|word| offered.iter().any(|one| one == word));
        let by_bash = bash_offers(&bash, words);
        assert!(among(&by_bash), "bash {words:?}: {by_bash:?}");
        let by_fish = fish_offers(&fish, folder.path(), words);
        assert!(among(&by_fish), "fish {words:?}: {by_fish:?}");
        if !words.last().unwrap().is_empty() {
            assert_eq!(by_bash, expected, "{words:?}");
            assert_eq!(by_fish, expected, "{words:?}");
        }
    }
    // fish offers files for a word that is no flag and no verb.
    let shells = bash_offers(&bash, &["k3s-harden", "generate", "completions", ""]);
    assert!(["bash", "fish", "zsh"].iter().all(|shell| shells.iter().any(|one| one == shell)), "{shells:?}");
    let offered = bash_offers(&bash, &["k3s-harden", ""]);
    for verb in verbs_of_help(&[]) {
        assert!(offered.contains(&verb[0]), "{verb:?}: {offered:?}");
    }
}
