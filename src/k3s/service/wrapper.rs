// SPDX-License-Identifier: Apache-2.0
//! Programs between a service and K3s: a shell with one plain command, and `env`.
//!
//! Any other program may do anything with K3s's command line. It is not understood if it names K3s.

use super::shell::lex::{self, ShellPiece, ShellWord};
use super::shell::syntax::{ShellCursor, plain};
use crate::Role;

/// How many wrappers stand around one another at most.
const MAX_WRAPPERS: usize = 8;

/// What a command line comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WrappedCommand {
    /// K3s.
    K3s(K3sCommand),
    /// Something else, which does not name K3s.
    Other,
    /// Something that names K3s and is not understood, with the reason.
    NotUnderstood(String),
}

/// The command line of K3s, and what wrappers do to its environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct K3sCommand {
    /// The program.
    pub(super) program: String,
    /// The words behind the program.
    pub(in crate::k3s) words: Vec<String>,
    /// Variables that are set, or taken away, in this order.
    pub(super) environment: Vec<(String, Option<String>)>,
    /// Whether the environment is empty at first.
    pub(super) is_cleared: bool,
    /// The directory that it runs in.
    pub(super) directory: Option<String>,
}

impl K3sCommand {
    /// Returns the role of its command: `server` or `agent` as the first word that is no flag.
    pub(in crate::k3s) fn role(&self) -> Option<Role> {
        let mut words = self.words.iter().map(String::as_str);
        while let Some(word) = words.next() {
            match word {
                // Flags in front of the command that take the next word.
                "--data-dir" | "-data-dir" | "-d" | "--config" | "-c" => drop(words.next()),
                "server" => return Some(Role::Server),
                "agent" => return Some(Role::Agent),
                flag if flag.starts_with('-') => {}
                _ => return None,
            }
        }
        None
    }
}

/// Returns what a program with these words comes to. `environment` holds for what wrappers add.
pub(super) fn understand(program: &str, words: &[String]) -> WrappedCommand {
    let mut command = K3sCommand::default();
    let mut program = program.to_owned();
    let mut words = words.to_vec();
    for _ in 0..MAX_WRAPPERS {
        let name = program.rsplit('/').next().unwrap_or_default();
        if is_k3s(name) {
            command.program = program;
            command.words = words;
            return WrappedCommand::K3s(command);
        }
        let inner = match name {
            "env" => command.unwrap_env(&words),
            "sh" | "bash" | "dash" | "ash" | "ksh" => command.unwrap_shell(&words),
            "busybox" => Ok(words.clone()),
            _ => Err(format!("the service starts K3s through {program}, which may change its command line")),
        };
        let mut inner = match inner {
            Ok(inner) => inner.into_iter(),
            Err(_) if !names_k3s(&words) => return WrappedCommand::Other,
            Err(why) => return WrappedCommand::NotUnderstood(why),
        };
        let Some(next) = inner.next() else { return WrappedCommand::Other };
        program = next;
        words = inner.collect();
    }
    WrappedCommand::NotUnderstood("too many programs are between the service and K3s".to_owned())
}

/// Tells whether a program's name is one that K3s's binary has: its own, with an architecture as the releases have it,
/// with a version, or as the binary unpacks itself.
pub(super) fn is_k3s(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("k3s") else { return false };
    let Some(kind) = rest.strip_prefix(['-', '_']) else { return rest.is_empty() };
    let is_version = kind.trim_start_matches('v').starts_with(|first: char| first.is_ascii_digit());
    is_version || ["server", "agent", "amd64", "arm64", "armhf", "s390x", "riscv64"].contains(&kind)
}

/// Tells whether a script that stands for K3s does nothing but start it with the words that it gets, as the wrappers of
/// NixOS do.
pub(super) fn passes_words(script: &str) -> bool {
    let mut lines = script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let Some(last) = lines.next_back().and_then(|line| line.strip_prefix("exec ")) else { return false };
    let mut words: Vec<&str> = last.split_whitespace().collect();
    if words.first() == Some(&"-a") {
        words.drain(..words.len().min(2));
    }
    // A variable of K3s's may be set there.
    matches!(words.as_slice(), [_, "\"$@\""]) && !script.contains("K3S_") && !script.contains("set --")
}

/// Commands of K3s that start neither a server nor an agent.
const OTHER_COMMANDS: [&str; 11] = [
    "kubectl",
    "crictl",
    "ctr",
    "check-config",
    "etcd-snapshot",
    "secrets-encrypt",
    "certificate",
    "token",
    "completion",
    "help",
    "--version",
];

/// Tells whether one of the words may start K3s, or holds a command that may.
fn names_k3s(words: &[String]) -> bool {
    words.iter().any(|word| text_names_k3s(word)) || text_names_k3s(&words.join(" "))
}

/// Tells whether a command in a text may start K3s.
pub(super) fn text_names_k3s(text: &str) -> bool {
    let separators = |letter: char| letter.is_whitespace() || ";&|(){}\"'`$=".contains(letter);
    let parts: Vec<&str> = text.split(separators).filter(|part| !part.is_empty()).collect();
    parts.iter().enumerate().any(|(at, part)| {
        is_k3s(part.rsplit('/').next().unwrap_or_default())
            && parts.get(at + 1).is_none_or(|next| !OTHER_COMMANDS.contains(next))
    })
}

impl K3sCommand {
    /// env(1): options, assignments, and the command.
    fn unwrap_env(&mut self, words: &[String]) -> Result<Vec<String>, String> {
        let mut words: Vec<String> = words.to_vec();
        let unread = |option: &str| Err(format!("env {option} is not read"));
        while !words.is_empty() {
            let word = words.remove(0);
            let mut value = |short: &str, long: &str| -> Option<String> {
                if word == short || word == long {
                    return (!words.is_empty()).then(|| words.remove(0));
                }
                let long = word.strip_prefix(long).and_then(|rest| rest.strip_prefix('='));
                let short = word.strip_prefix(short).filter(|_| !word.starts_with("--"));
                long.or(short).map(str::to_owned)
            };
            match word.as_str() {
                "-" | "-i" | "--ignore-environment" => {
                    self.is_cleared = true;
                    self.environment.clear();
                }
                "--" => break,
                _ if word.starts_with("-u") || word.starts_with("--unset") => match value("-u", "--unset") {
                    Some(name) => self.environment.push((name, None)),
                    None => return unread(&word),
                },
                _ if word.starts_with("-C") || word.starts_with("--chdir") => match value("-C", "--chdir") {
                    Some(directory) => self.directory = Some(directory),
                    None => return unread(&word),
                },
                _ if word.starts_with("-S") || word.starts_with("--split-string") => {
                    let text = value("-S", "--split-string").unwrap_or_default();
                    // Its quotes and escapes are those of no other program.
                    if text.contains(['\\', '"', '\'', '$', '#']) {
                        return unread(&word);
                    }
                    let split = text.split_ascii_whitespace().map(str::to_owned);
                    words = split.chain(words).collect();
                }
                _ if word.starts_with('-') => return unread(&word),
                _ => match word.split_once('=') {
                    Some((name, value)) => self.environment.push((name.to_owned(), Some(value.to_owned()))),
                    None => {
                        words.insert(0, word);
                        break;
                    }
                },
            }
        }
        Ok(words)
    }

    /// A shell with `-c` and one command without expansions.
    fn unwrap_shell(&mut self, words: &[String]) -> Result<Vec<String>, String> {
        let (mut is_command, mut left) = (false, words.iter());
        let text = loop {
            let Some(word) = left.next() else { return Err("a shell runs a script".to_owned()) };
            match word.strip_prefix('-') {
                Some(letters)
                    if !letters.is_empty() && letters.chars().all(|letter| "ceufx".contains(letter)) =>
                {
                    is_command |= letters.contains('c');
                }
                Some(_) => return Err(format!("the shell's option {word} is not read")),
                None if is_command => break word,
                None => return Err(format!("a shell runs the script {word}")),
            }
        };
        let tokens = lex::tokens(text).map_err(|(_, what)| format!("the shell reads {what}"))?;
        let mut cursor = ShellCursor::new(&tokens);
        cursor.skip_newlines();
        let command = cursor.command();
        cursor.skip_newlines();
        if !cursor.is_at_end() {
            return Err("the shell runs more than one command".to_owned());
        }
        for (name, value) in &command.assignments {
            self.environment.push((name.clone(), Some(literal(value)?)));
        }
        let mut words = command.words.iter().map(literal).collect::<Result<Vec<String>, String>>()?;
        if words.first().is_some_and(|word| word == "exec") {
            words.remove(0);
        }
        let reserved = ["if", "for", "while", "until", "case", "{", "!", "[[", "function"];
        match command.words.first().and_then(plain) {
            Some(word) if reserved.contains(&word) => Err(format!("the shell reads {word}")),
            _ if words.first().is_some_and(|word| word.starts_with('-')) => {
                Err("exec has options".to_owned())
            }
            _ => Ok(words),
        }
    }
}

/// Returns the text of a word in which the shell puts nothing in.
fn literal(word: &ShellWord) -> Result<String, String> {
    let mut literal = String::new();
    for (index, piece) in word.iter().enumerate() {
        match piece {
            ShellPiece::Text { text, quoted } => {
                if !quoted && (text.contains(['*', '?', '[', '{']) || index == 0 && text.starts_with('~')) {
                    return Err(format!("the shell expands {text}"));
                }
                literal.push_str(text);
            }
            ShellPiece::Variable { name, .. } => {
                return Err(format!("the shell puts in the value of {name}"));
            }
            ShellPiece::Unread(text) => return Err(format!("the shell puts in the value of {text}")),
        }
    }
    Ok(literal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(program: &str, words: &[&str]) -> WrappedCommand {
        understand(program, &words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    fn k3s(program: &str, words: &[&str]) -> K3sCommand {
        match of(program, words) {
            WrappedCommand::K3s(command) => command,
            other => panic!("{program} {words:?}: {other:?}"),
        }
    }

    #[test]
    fn k3s_has_several_names() {
        for name in ["k3s", "k3s-server", "k3s-agent", "k3s-arm64", "k3s-v1.30.4+k3s1", "k3s-1.30"] {
            assert!(is_k3s(name), "{name}");
        }
        for name in ["k3s-harden", "k3s-killall.sh", "k3sup", "k3d", "k3s-wrapper", "k3s.sh"] {
            assert!(!is_k3s(name), "{name}");
        }
    }

    #[test]
    fn a_script_passes_its_words_or_does_not() {
        for script in [
            "#!/bin/sh\nexec /opt/k3s \"$@\"\n",
            "#! /nix/store/a-bash/bin/bash -e\nPATH=/a:$PATH\nexport PATH\nexec -a \"$0\" \"/nix/store/b/.k3s-wrapped\"  \"$@\" \n",
        ] {
            assert!(passes_words(script), "{script}");
        }
        for script in [
            "#!/bin/sh\nexec /opt/k3s server\n",
            "#!/bin/sh\nexec /opt/k3s \"$@\" --debug\n",
            "#!/bin/sh\n/opt/k3s \"$@\"\n",
            "#!/bin/sh\nset -- server\nexec /opt/k3s \"$@\"\n",
            "#!/bin/sh\nexport K3S_DEBUG=true\nexec /opt/k3s \"$@\"\n",
        ] {
            assert!(!passes_words(script), "{script}");
        }
    }

    #[test]
    fn the_command_is_the_first_word_that_is_no_flag() {
        let role = |words: &[&str]| k3s("/usr/bin/k3s", words).role();
        assert_eq!(role(&["--debug", "server", "agent"]), Some(Role::Server));
        assert_eq!(role(&["-d", "server", "agent"]), Some(Role::Agent));
        assert_eq!(role(&["etcd-snapshot", "save", "server"]), None);
        assert_eq!(role(&[]), None);
    }

    #[test]
    fn a_shell_with_one_plain_command_is_understood() {
        let set = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()));
        let command = k3s("/bin/sh", &["-c", "exec /usr/local/bin/k3s server '--a=b c' >> /x 2>&1"]);
        assert_eq!((command.words, command.environment), (vec!["server".into(), "--a=b c".into()], vec![]));
        let command = k3s("/bin/bash", &["-ec", "A=1 exec env B='2 3' k3s agent"]);
        assert_eq!(command.environment, [set("A", "1"), set("B", "2 3")]);
        let command = k3s("/usr/bin/env", &["-u", "C", "-C/srv", "A=1", "sh", "-c", "k3s server;", "x"]);
        assert_eq!(command.environment, [("C".to_owned(), None), set("A", "1")]);
        assert_eq!(command.directory.as_deref(), Some("/srv"));
        assert!(k3s("/usr/bin/env", &["-S", "-i A=1 k3s server", "--x"]).is_cleared);
    }

    #[test]
    fn other_wrappers_are_not_understood_if_they_name_k3s() {
        for (program, words) in [
            ("/bin/sh", ["-c", "exec k3s server $ARGS"]),
            ("/bin/sh", ["-c", "k3s server `args`"]),
            ("/bin/sh", ["-c", "k3s server | tee log"]),
            ("/bin/sh", ["-c", "sleep 5; k3s server"]),
            ("/bin/sh", ["-c", "x && k3s server"]),
            ("/bin/sh", ["-c", "if x; then k3s server; fi"]),
            ("/bin/sh", ["-c", "k3s server --tls-san=*"]),
            ("/bin/sh", ["-lc", "k3s server"]),
            ("/bin/sh", ["-c", "exec \"/opt/k3s\" server 'a"]),
            ("/usr/bin/nice", ["-n5", "/usr/local/bin/k3s"]),
            ("/usr/bin/env", ["-S", "k3s server '--a b'"]),
        ] {
            assert!(matches!(of(program, &words), WrappedCommand::NotUnderstood(_)), "{program} {words:?}");
        }
        for (program, words) in [
            ("/bin/sh", ["-c", "echo $X"]),
            ("/usr/bin/kubectl", ["--kubeconfig", "/etc/rancher/k3s/k3s.yaml"]),
            ("/bin/sh", ["-c", "/usr/local/bin/k3s etcd-snapshot save --name $(date)"]),
            ("/usr/local/bin/k3s-harden", ["apply", "--role=server"]),
        ] {
            assert_eq!(of(program, &words), WrappedCommand::Other, "{program} {words:?}");
        }
    }
}
