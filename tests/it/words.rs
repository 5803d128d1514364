// SPDX-License-Identifier: Apache-2.0
//! What k3s-harden says, to be read in one go: all help and all messages, each in one snapshot. `-h` stays short, and no
//! message uses a word that must be decoded.
//!
//! ```text
//! INSTA_UPDATE=always cargo test --test it words::      writes both snapshots anew
//! ```
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::str::FromStr;
use std::sync::LazyLock;

use proc_macro2::{TokenStream, TokenTree};
use regex::Regex;

use crate::architecture::sources;
use crate::support::binary;

/// The longest `-h`, in lines.
const MAX_SHORT_HELP: usize = 45;
/// The verbs, and the verbs below them.
const VERBS: [&[&str]; 24] = [
    &[],
    &["plan"],
    &["apply"],
    &["preflight"],
    &["verify"],
    &["explain"],
    &["rollback"],
    &["history"],
    &["uninstall"],
    &["render"],
    &["profile"],
    &["profile", "list"],
    &["profile", "show"],
    &["profile", "diff"],
    &["profile", "validate"],
    &["effective-config"],
    &["settings"],
    &["settings", "show"],
    &["settings", "init"],
    &["report", "merge"],
    &["generate", "man"],
    &["generate", "completions"],
    &["generate", "schema"],
    &["generate", "docs"],
];
/// A text of the files on the node: another one would write each of them anew.
const WRITTEN: &str = "K3s' configuration, for this role only";
/// Words that a reader has to decode, as a pattern, and what to write instead.
const TO_DECODE: [(&str, &str); 9] = [
    (r"\b[Mm]end(ed|s)?\b", "fix"),
    (r"\bcannot be told\b", "unknown"),
    (r"\blaid over\b|\blay .* over\b", "merge"),
    (r"\bunited?\b", "merge"),
    (r"\bput back\b|\btaken? back\b", "roll back, restore, reset"),
    (r"\bsomebody\b", "name who, or use the passive"),
    (r"\bother hands\b", "other tools"),
    (r"\bas asked\b", "set"),
    (r"\bK3s' ", "K3s's, or the K3s …"),
];

/// A line break in a text that the text does not have.
static LINE_END: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\\\n\s*").unwrap());

fn help(words: &[&str], flag: &str) -> String {
    let arguments: Vec<&str> = words.iter().copied().chain([flag]).collect();
    let output = binary().args(&arguments).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn all_help() {
    let mut all = String::new();
    for words in VERBS {
        let (short, long) = (help(words, "-h"), help(words, "--help"));
        let lines = short.lines().count();
        assert!(lines <= MAX_SHORT_HELP, "{words:?} -h has {lines} lines");
        assert!(long.contains("\nExamples:\n"), "{words:?}");
        writeln!(all, "==== {} -h\n{short}\n==== {0} --help\n{long}", words.join(" ")).unwrap();
    }
    insta::assert_snapshot!(all);
}

/// A help that shows the value of a variable may show a secret.
#[test]
fn help_shows_no_value_of_a_variable() {
    for flag in ["-h", "--help"] {
        let output =
            binary().args(["apply", flag]).env("K3S_HARDEN_PROFILE", "secret-place").output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(help.contains("--profile") && !help.contains("secret-place"), "{help}");
    }
}

#[test]
fn all_messages() {
    let messages = messages();
    assert!(messages.len() > 1_000, "the sources have more messages");
    let text: String = messages.iter().map(|(file, text)| format!("{file}: {text}\n")).collect();
    insta::assert_snapshot!(text);
}

#[test]
fn no_message_has_to_be_decoded() {
    let mut wrong = String::new();
    let messages = messages();
    for (pattern, instead) in TO_DECODE {
        let pattern = Regex::new(pattern).unwrap();
        let is_meant = |text: &str| pattern.is_match(text) && !text.starts_with(WRITTEN);
        for (file, text) in messages.iter().filter(|(_, text)| is_meant(text)) {
            writeln!(wrong, "{file}: {text}\n    ({instead})").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Returns the texts of several words in the sources, by file.
fn messages() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    files.sort();
    let mut found = Vec::new();
    for path in files {
        let name = path.strip_prefix(&root).unwrap().display().to_string();
        let code = fs::read_to_string(&path).unwrap();
        texts(TokenStream::from_str(&code).unwrap(), &mut |text| found.push((name.clone(), text)));
    }
    found
}

/// Finds the string literals of code; comments and modules of tests have none.
fn texts(code: TokenStream, found: &mut impl FnMut(String)) {
    let mut is_attribute = false;
    let mut is_test = false;
    for tree in code {
        match tree {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                is_attribute = true;
                continue;
            }
            TokenTree::Punct(punct) if punct.as_char() == '!' && is_attribute => continue,
            TokenTree::Group(group) if is_attribute => is_test |= group.to_string() == "[cfg (test)]",
            TokenTree::Group(group) if !std::mem::take(&mut is_test) => texts(group.stream(), found),
            TokenTree::Literal(literal) => {
                let text = literal.to_string();
                let is_text = text.starts_with('"') && text.split_whitespace().count() > 2;
                if is_text && text.contains(|letter: char| letter.is_ascii_lowercase()) {
                    let text = text.trim_matches('"').to_owned();
                    found(LINE_END.replace_all(&text, "").into_owned());
                }
            }
            _ => {}
        }
        is_attribute = false;
    }
}
