// SPDX-License-Identifier: Apache-2.0
//! Every command line of k3s-harden in a page is one that the program takes, and every block for a shell is one that a shell
//! can read.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use super::pages;
use crate::support::binary;

const PROGRAM: &str = "k3s-harden";

/// Splits a line of a shell into its simple commands, each as its words. What stands between quotes stays one word.
fn simple_commands(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut is_escaped = false;
    for character in line.chars() {
        let ends_word = |word: &mut Option<String>, commands: &mut Vec<Vec<String>>| {
            commands.last_mut().unwrap().extend(word.take());
        };
        if is_escaped {
            word.get_or_insert_default().push(character);
            is_escaped = false;
        } else if let Some(open) = quote {
            if character == open {
                quote = None;
            } else {
                word.get_or_insert_default().push(character);
            }
        } else {
            match character {
                '\\' => is_escaped = true,
                '\'' | '"' => {
                    quote = Some(character);
                    word.get_or_insert_default();
                }
                '#' if word.is_none() => break,
                ' ' | '\t' => ends_word(&mut word, &mut commands),
                '|' | '&' | ';' | '(' | ')' | '<' | '>' => {
                    ends_word(&mut word, &mut commands);
                    commands.push(Vec::new());
                }
                other => word.get_or_insert_default().push(other),
            }
        }
    }
    commands.last_mut().unwrap().extend(word);
    commands
}

/// The arguments of the program in a line, once for each time that the line runs it.
fn invocations(line: &str) -> Vec<Vec<String>> {
    let is_assignment = |word: &String| word.split_once('=').is_some_and(|(name, _)| !name.starts_with('-'));
    let mut found = Vec::new();
    for command in simple_commands(line) {
        let mut words = command.into_iter().skip_while(|word| word == "sudo" || is_assignment(word));
        if words.next().is_some_and(|word| word == PROGRAM) {
            found.push(words.collect());
        }
    }
    found
}

/// The lines of a block, with those that go on joined.
fn joined(lines: &[String]) -> Vec<String> {
    let text = lines.join("\n").replace("\\\n", " ");
    text.lines().map(|line| line.trim().to_owned()).collect()
}

/// Every line that names the program: of blocks for a shell, of console blocks, of lines that are indented, and between
/// backticks.
fn lines_of(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for block in pages::blocks(text) {
        match block.language.as_str() {
            "sh" => found.extend(joined(&block.lines)),
            "console" => {
                found.extend(
                    block.lines.iter().filter_map(|line| Some(line.trim().strip_prefix("$ ")?.to_owned())),
                );
            }
            _ => {}
        }
    }
    for (_, line) in pages::prose(text) {
        if line.starts_with("    ") {
            found.push(line.trim().to_owned());
        }
    }
    for paragraph in pages::paragraphs(text) {
        found.extend(pages::quoted(&paragraph).map(str::to_owned));
    }
    found
}

#[test]
fn every_command_line_is_taken() {
    let mut places: BTreeMap<Vec<String>, String> = BTreeMap::new();
    for page in pages::by_hand() {
        for line in lines_of(&pages::read(&page)) {
            // What is left open, and the flag whose error the page shows.
            if line.contains('…') || line.contains("apply --dry-run") {
                continue;
            }
            for arguments in invocations(&line) {
                places.entry(arguments).or_insert_with(|| format!("{}: {line}", page.display()));
            }
        }
    }
    assert!(places.len() > 100, "{}", places.len());
    let mut refused = Vec::new();
    for (mut arguments, place) in places {
        // What stands behind `--` is of K3s.
        let end = arguments.iter().position(|word| word == "--").unwrap_or(arguments.len());
        arguments.insert(end, "--help".to_owned());
        let output = binary().args(&arguments).output().unwrap();
        if !output.status.success() {
            refused.push(format!("{place}\n{}", String::from_utf8_lossy(&output.stderr)));
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
fn every_block_for_a_shell_can_be_read() {
    let mut count = 0;
    for page in pages::by_hand() {
        for block in pages::blocks(&pages::read(&page)).iter().filter(|block| block.language == "sh") {
            count += 1;
            let mut shell =
                Command::new("bash").arg("-n").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            shell.stdin.take().unwrap().write_all(block.lines.join("\n").as_bytes()).unwrap();
            let output = shell.wait_with_output().unwrap();
            assert!(
                output.status.success() && output.stderr.is_empty(),
                "{}:{}: {}",
                page.display(),
                block.fence + 1,
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
    assert!(count > 50, "{count}");
}

#[test]
fn words_are_those_of_a_shell() {
    let of = |line: &str| invocations(line).concat().join(" ");
    assert_eq!(of("sudo k3s-harden apply --set a=b   # why"), "apply --set a=b");
    assert_eq!(of("A=1 k3s-harden plan && k3s-harden apply > \"$(hostname).json\""), "plan apply");
    assert_eq!(of("source <(k3s-harden generate man) | man -l -"), "generate man");
    assert_eq!(of("k3s-harden apply --owner \"$(id -u):$(id -g)\""), "apply --owner $(id -u):$(id -g)");
    assert_eq!(of("systemctl enable k3s-harden"), "");
}
