// SPDX-License-Identifier: Apache-2.0
//! A command line as urfave/cli reads it, the library of K3s's command line, on Go's package `flag`.
//!
//! The two generations differ: the first sorts the flags of a command before its other words, the second stops at the
//! first word that is no flag, and trims the values of flags that repeat (command.go and flag_string_slice.go of
//! urfave/cli v1.22 and v2.27).
//!
//! The library ends at the first thing that it refuses. This reader goes on, so that all of them are named at once; the
//! first in the list is the one that K3s names.

use std::collections::VecDeque;

use super::refusal::{K3sRefusal, RefusalKind};
use crate::k3s::flags::{K3sFlag, K3sFlagType};
use crate::k3s::origin::ValueOrigin;
use crate::k3s::secrets;
use crate::kubernetes::flag_values;
use crate::version::K3sRelease;

/// The generation of urfave/cli.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Generation {
    First,
    Second,
}

/// A word of a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) origin: ValueOrigin,
    /// Whether it is of a key that K3s skips where it has no such flag.
    pub(super) skippable: bool,
}

/// How a command line is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grammar<'a> {
    pub(super) flags: &'a [&'static K3sFlag],
    pub(super) generation: Generation,
    /// Whether it is a command's, whose flags the first generation sorts before its other words.
    pub(super) of_command: bool,
    /// The release: it can be unknown whether it has a flag.
    pub(in crate::k3s) release: K3sRelease,
}

/// A value that a flag is given.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Setting {
    pub(super) flag: &'static K3sFlag,
    /// The name by which it is given.
    name: String,
    pub(super) text: String,
    pub(super) origin: ValueOrigin,
    skippable: bool,
}

/// What a command line says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Parsed {
    /// The values, in the order of the command line.
    pub(super) settings: Vec<Setting>,
    /// The values of variables, in the order of the flags. Each counts for a flag that no word sets.
    pub(super) variables: Vec<Setting>,
    /// The words that are no flags.
    pub(in crate::k3s) rest: Vec<Word>,
    /// What is refused.
    pub(in crate::k3s) refusals: Vec<K3sRefusal>,
}

/// Gives the value of a flag's variable: that of the first that is set.
pub(super) type VariableOf<'a> = &'a dyn Fn(&K3sFlag) -> Option<(String, ValueOrigin)>;

impl Grammar<'_> {
    /// Reads the words behind the program or the command.
    pub(super) fn parse(self, words: Vec<Word>, variable: VariableOf<'_>) -> Parsed {
        let mut parsed = Parsed::default();
        for flag in self.flags {
            if let Some((text, origin)) = variable(flag) {
                self.take_variable(&mut parsed, flag, text, origin);
            }
        }
        let sorts = self.of_command && self.generation == Generation::First;
        let words = if sorts { self.sorted(words) } else { words };
        let mut words = VecDeque::from(words);
        while let Some(word) = words.pop_front() {
            match self.step(word, &mut words, &mut parsed) {
                Step::Next => {}
                Step::Stop => break,
                Step::StopBefore(word) => {
                    words.push_front(word);
                    break;
                }
            }
        }
        parsed.rest = words.into();
        self.refuse_two_forms(&mut parsed);
        parsed
    }

    fn find(self, name: &str) -> Option<&'static K3sFlag> {
        self.flags.iter().copied().find(|flag| flag.is_called(name))
    }

    /// Reads one word, with the next one if that is its value (`parseOne` of Go's package `flag`).
    fn step(self, word: Word, words: &mut VecDeque<Word>, parsed: &mut Parsed) -> Step {
        let text = word.text.as_str();
        let Some(name) = text.strip_prefix('-').filter(|name| !name.is_empty()) else {
            return Step::StopBefore(word);
        };
        let name = name.strip_prefix('-').unwrap_or(name);
        if name.is_empty() {
            return Step::Stop;
        }
        if name.starts_with(['-', '=']) {
            parsed.refusals.push(K3sRefusal::syntax(text, &word.origin));
            return Step::Next;
        }
        let (name, value) = name.split_once('=').map_or((name, None), |(name, value)| (name, Some(value)));
        let Some(flag) = self.find(name) else {
            let name = secrets::masked_name(text, name);
            let message = format!("flag provided but not defined: -{name}");
            let refusal = K3sRefusal::new(RefusalKind::Unknown, &name, message, &word.origin);
            parsed.refusals.push(refusal.only_if(self.release.minor().may_have()));
            // Whether the next word is its value is not known.
            return if value.is_some() { Step::Next } else { Step::Stop };
        };
        let doubt = flag.doubt(self.release);
        if !word.skippable && doubt.is_some() {
            let message = format!("flag provided but not defined: -{name}");
            let refusal = K3sRefusal::new(RefusalKind::Unknown, name, message, &word.origin);
            parsed.refusals.push(refusal.only_if(doubt.clone()));
        }
        let is_bare = value.is_none();
        let (text, origin) = match value {
            Some(value) => (value.to_owned(), word.origin.clone()),
            None if flag.kind == K3sFlagType::Boolean => ("true".to_owned(), word.origin.clone()),
            None => match words.pop_front() {
                Some(next) => (next.text, next.origin),
                None => {
                    let message = format!("flag needs an argument: -{name}");
                    parsed.refusals.push(K3sRefusal::new(RefusalKind::Missing, name, message, &word.origin));
                    return Step::Stop;
                }
            },
        };
        if let Some(problem) =
            problem(flag.kind, &text).filter(|_| flag.kind != K3sFlagType::Boolean || !is_bare)
        {
            let quoted = go_quoted(&text);
            let message = match flag.kind {
                K3sFlagType::Boolean => format!("invalid boolean value {quoted} for -{name}: {problem}"),
                _ => format!("invalid value {quoted} for flag -{name}: {problem}"),
            };
            let refusal = K3sRefusal::new(RefusalKind::Value, name, message, &origin);
            // Releases without the flag skip the key, and refuse the word.
            parsed.refusals.push(refusal.only_if(doubt.filter(|_| word.skippable)));
        }
        let is_trimmed = flag.kind == K3sFlagType::List && self.generation == Generation::Second;
        let text = if is_trimmed { text.trim().to_owned() } else { text };
        let name = name.to_owned();
        parsed.settings.push(Setting { flag, name, text, origin, skippable: word.skippable });
        Step::Next
    }

    /// Takes the value of a variable, which has to be of the flag's type whether or not the flag is set otherwise.
    fn take_variable(self, parsed: &mut Parsed, flag: &'static K3sFlag, text: String, origin: ValueOrigin) {
        let kind = match flag.kind {
            K3sFlagType::Boolean => "bool",
            K3sFlagType::Integer => "int",
            K3sFlagType::Duration => "duration",
            K3sFlagType::Text | K3sFlagType::List => "string",
        };
        // An empty variable is as one that is not set, but for numbers in the first generation.
        let counts =
            !text.is_empty() || (self.generation == Generation::First && flag.kind == K3sFlagType::Integer);
        if let Some(problem) = problem(flag.kind, &text).filter(|_| counts) {
            let cause = match flag.kind {
                K3sFlagType::Boolean => {
                    format!("strconv.ParseBool: parsing {}: invalid syntax", go_quoted(&text))
                }
                K3sFlagType::Integer => {
                    let problem = if problem == OUT_OF_RANGE { problem } else { "invalid syntax" };
                    format!("strconv.ParseInt: parsing {}: {problem}", go_quoted(&text))
                }
                _ => format!("time: invalid duration {}", go_quoted(&text)),
            };
            let variable = origin.variable().unwrap_or_default();
            let message = match self.generation {
                Generation::First => {
                    format!(
                        "could not parse {text} as {kind} value for flag {}: {cause}",
                        flag.names.join(",")
                    )
                }
                Generation::Second => format!(
                    "could not parse {} as {kind} value from environment variable {} for flag {}: {cause}",
                    go_quoted(&text),
                    go_quoted(variable),
                    flag.names[0]
                ),
            };
            let refusal = K3sRefusal::new(RefusalKind::Value, &flag.names[0], message, &origin);
            parsed.refusals.push(refusal.only_if(flag.doubt(self.release)));
        }
        if !text.is_empty() {
            let name = flag.names[0].clone();
            parsed.variables.push(Setting { flag, name, text, origin, skippable: true });
        }
    }

    /// Puts the flags of a command, each with the word behind it that can be its value, before the other words
    /// (`reorderArgs` of the first generation).
    fn sorted(self, words: Vec<Word>) -> Vec<Word> {
        let (mut flags, mut others) = (Vec::new(), Vec::new());
        let mut wants_value = false;
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let is_flag = self.is_flag(&word.text);
            if wants_value && !is_flag {
                wants_value = false;
                flags.push(word);
            } else if word.text == "--" {
                others.insert(0, word);
                others.extend(words.by_ref());
            } else if is_flag {
                wants_value = !word.text.contains('=');
                flags.push(word);
            } else {
                others.push(word);
            }
        }
        flags.extend(others);
        flags
    }

    /// Tells whether a word is one of the flags (`argIsFlag` of the first generation, which takes away up to three dashes).
    fn is_flag(self, text: &str) -> bool {
        if text == "--" {
            return false;
        }
        let Some(name) = text.strip_prefix("--").or_else(|| text.strip_prefix('-')) else { return false };
        let name = name.strip_prefix('-').filter(|_| text.starts_with("--")).unwrap_or(name);
        self.find(name.split('=').next().unwrap_or(name)).is_some()
    }

    /// Refuses flags that are given by two of their names (`normalizeFlags`).
    fn refuse_two_forms(self, parsed: &mut Parsed) {
        for flag in self.flags.iter().filter(|flag| flag.names.len() > 1) {
            let given = |name: &String| {
                parsed.settings.iter().rposition(|setting| setting.flag == *flag && setting.name == *name)
            };
            let mut forms = flag.names.iter().filter_map(|name| Some((name, given(name)?)));
            let (Some((first, one)), Some((second, two))) = (forms.next(), forms.next()) else { continue };
            let message = format!("Cannot use two forms of the same flag: {second} {first}");
            let is_skippable = [one, two].into_iter().any(|at| parsed.settings[at].skippable);
            let doubt = flag.doubt(self.release).filter(|_| is_skippable);
            let origin = parsed.settings[one.max(two)].origin.clone();
            parsed
                .refusals
                .push(K3sRefusal::new(RefusalKind::Forms, second, message, &origin).only_if(doubt));
        }
    }
}

/// What follows from a word.
enum Step {
    Next,
    /// The other words are no flags.
    Stop,
    /// Neither is this one.
    StopBefore(Word),
}

impl Parsed {
    /// Returns the last value of a flag on the command line.
    pub(super) fn last(&self, name: &str) -> Option<&Setting> {
        self.settings.iter().rev().find(|setting| setting.flag.names[0] == name)
    }

    /// Tells whether anything is refused for certain.
    pub(super) fn is_refused(&self) -> bool {
        self.refusals.iter().any(K3sRefusal::is_certain)
    }
}

const OUT_OF_RANGE: &str = "value out of range";

/// Returns what Go's package `flag` says about a value that is not of the type; none if it is.
fn problem(kind: K3sFlagType, text: &str) -> Option<&'static str> {
    let fits = match kind {
        K3sFlagType::Text | K3sFlagType::List => true,
        K3sFlagType::Boolean => flag_values::boolean(text).is_some(),
        K3sFlagType::Integer => flag_values::integer(text).is_some(),
        K3sFlagType::Duration => flag_values::duration(text).is_some(),
    };
    match kind {
        _ if fits => None,
        K3sFlagType::Integer if flag_values::is_whole(text) => Some(OUT_OF_RANGE),
        _ => Some("parse error"),
    }
}

/// Returns a text in quotes, as Go's `%q` prints it.
fn go_quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{b}' => quoted.push_str("\\v"),
            '\'' => quoted.push('\''),
            _ if letter.is_ascii_control() => quoted.push_str(&format!("\\x{:02x}", u32::from(letter))),
            // What Rust escapes is what cannot be printed.
            _ if letter.escape_debug().count() == 1 => quoted.push(letter),
            _ if u32::from(letter) < 0x1_0000 => quoted.push_str(&format!("\\u{:04x}", u32::from(letter))),
            _ => quoted.push_str(&format!("\\U{:08x}", u32::from(letter))),
        }
    }
    quoted.push('"');
    quoted
}
