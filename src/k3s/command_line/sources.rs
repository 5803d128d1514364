// SPDX-License-Identifier: Apache-2.0
//! K3s's command line: what the configuration files add to the words of the service, which flags it sets, and what it
//! refuses (pkg/configfilearg, cmd/server/main.go and pkg/cli/cmds of K3s; data/command-line.yaml).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::likely_key;
use super::refusal::{K3sRefusal, RefusalKind};
use super::urfave::{Generation, Grammar, Parsed, VariableOf, Word};
use crate::Role;
use crate::embedded;
use crate::error::Place;
use crate::k3s::config_values::EffectiveValue;
use crate::k3s::flags::{self, K3sFlag, K3sFlagType};
use crate::k3s::merge::ConfigKey;
use crate::k3s::origin::ValueOrigin;
use crate::version::{Availability, FirstReleases, K3sRelease};

/// The facts about the command line.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct CommandLineFacts {
    generation_2: FirstReleases,
    commands: Vec<String>,
    help: Vec<String>,
    configured: Vec<String>,
}

impl CommandLineFacts {
    fn get() -> &'static Self {
        static FACTS: LazyLock<CommandLineFacts> = LazyLock::new(|| embedded::table("command-line"));
        &FACTS
    }
}

/// What K3s's command line is made of.
#[derive(Clone, Copy)]
pub(in crate::k3s) struct CommandLineSources<'a> {
    /// The role that K3s is started in.
    pub(in crate::k3s) role: Role,
    /// The release.
    pub(in crate::k3s) release: K3sRelease,
    /// The words behind the program, each with its origin.
    pub(in crate::k3s) words: &'a [(String, ValueOrigin)],
    /// The keys of the configuration files.
    pub(in crate::k3s) keys: &'a [ConfigKey],
    /// The environment.
    pub(in crate::k3s) variable: VariableOf<'a>,
}

/// The command line of K3s as K3s reads it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::k3s) struct CommandLine {
    /// Its words behind the program.
    pub(in crate::k3s) argv: Vec<String>,
    /// Every flag that is set, by its long name.
    pub(in crate::k3s) values: BTreeMap<String, EffectiveValue>,
    /// The words behind the command that are no flags, and all that K3s does not read because of them.
    pub(in crate::k3s) rest: Vec<String>,
    /// What it refuses. K3s names the first.
    pub(in crate::k3s) refusals: Vec<K3sRefusal>,
    /// The keys that K3s skips.
    pub(in crate::k3s) skipped: Vec<SkippedKey>,
}

/// A key of the configuration files that a server does not have, and skips.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedKey {
    /// The key.
    pub name: String,
    /// What K3s logs.
    pub message: String,
    /// The place of the value.
    pub place: Place,
    /// The releases that have the key, and what was probably meant, if that is known.
    pub hint: Option<String>,
}

impl<'a> CommandLineSources<'a> {
    /// Reads the command line. Where the releases of the minor read it with different libraries, the newer library
    /// counts, and what only one of them refuses is in doubt.
    pub(in crate::k3s) fn read(self) -> CommandLine {
        match CommandLineFacts::get().generation_2.availability(self.release) {
            Availability::Present => self.read_with(Generation::Second),
            Availability::Absent => self.read_with(Generation::First),
            Availability::Differs { since } => {
                let (newer, older) = (self.read_with(Generation::Second), self.read_with(Generation::First));
                newer.or_older(older, &since, self.release)
            }
        }
    }

    fn read_with(self, generation: Generation) -> CommandLine {
        let mut line = CommandLine::default();
        let words = self.with_keys(&mut line);
        line.argv = words.iter().map(|word| word.text.clone()).collect();
        let variable = |flag: &K3sFlag| {
            (self.variable)(flag)
                .filter(|_| flag.availability_of_variables(self.release) != Availability::Absent)
        };
        let all: Vec<&'static K3sFlag> = flags::global().iter().collect();
        let global = Grammar { flags: &all, generation, of_command: false, release: self.release };
        let mut before = global.parse(words, &variable);
        before.refusals.extend(help(&before, ["help", "version"]));
        let words = self.behind_command(&mut before).unwrap_or_default();
        let all: Vec<&'static K3sFlag> =
            flags::of_release(self.role, self.release).chain(flags::of_each_command()).collect();
        let command = Grammar { flags: &all, generation, of_command: true, release: self.release };
        let mut parsed = command.parse(words, &variable);
        parsed.refusals.extend(help(&parsed, ["help", "help"]));
        let is_help = |word: &&Word| CommandLineFacts::get().help.contains(&word.text);
        if let (Generation::Second, Some(word)) = (generation, parsed.rest.first().filter(is_help)) {
            parsed.refusals.push(ends_with_help(&word.origin));
        }
        line.refusals = before.refusals;
        for refusal in parsed.refusals {
            // A variable of both is read twice.
            if !line
                .refusals
                .iter()
                .any(|known| known.message == refusal.message && known.origin == refusal.origin)
            {
                line.refusals.push(refusal);
            }
        }
        line.rest = parsed.rest.into_iter().map(|word| word.text).collect();
        for setting in parsed.settings.into_iter().filter(|setting| !is_of_library(setting.flag)) {
            set(&mut line.values, setting.flag, setting.text, setting.origin);
        }
        for setting in parsed.variables {
            if !line.values.contains_key(setting.flag.destination()) {
                set(&mut line.values, setting.flag, setting.text, setting.origin);
            }
        }
        line
    }

    /// Returns the words with the keys behind the first word that is a command (`findStart`).
    fn with_keys(self, line: &mut CommandLine) -> Vec<Word> {
        let of_service = |(text, origin): &(String, ValueOrigin)| Word {
            text: text.clone(),
            origin: origin.clone(),
            skippable: false,
        };
        let mut words: Vec<Word> = self.words.iter().map(of_service).collect();
        let configured = &CommandLineFacts::get().configured;
        let Some(at) = words.iter().position(|word| configured.contains(&word.text)) else { return words };
        // K3s skips unknown keys only if `server` is its first word (`stripInvalidFlags`).
        let strips = words.first().is_some_and(|word| word.text == "server");
        let known = flags::names(Role::Server, self.release);
        let mut flags = Vec::new();
        for key in self.keys {
            for item in &key.items {
                let dashes = if key.name.len() == 1 { "-" } else { "--" };
                let text = format!("{dashes}{}={}", key.name, item.text);
                let name = text.trim_start_matches('-').split('=').next().unwrap_or_default();
                if !strips || known.contains(name) {
                    let origin = ValueOrigin::File(item.place.clone());
                    flags.push(Word { text, origin, skippable: strips });
                } else {
                    let written = text.split('=').next().unwrap_or_default();
                    line.skipped.push(SkippedKey {
                        name: key.name.clone(),
                        message: format!("Unknown flag {written} found in config.yaml, skipping"),
                        place: item.place.clone(),
                        hint: likely_key::hint(self.role, self.release, &key.name),
                    });
                }
            }
        }
        words.splice(at + 1..at + 1, flags);
        words
    }

    /// Returns the words behind the command; none if K3s runs another command than the role, and refuses that.
    fn behind_command(self, before: &mut Parsed) -> Option<Vec<Word>> {
        let facts = CommandLineFacts::get();
        let role = self.role.to_string();
        // Behind a flag that is refused, it is not known which word is the command.
        let at = if before.is_refused() {
            before.rest.iter().position(|word| word.text == role)?
        } else {
            let Some(command) = before.rest.first() else {
                let origin =
                    self.words.first().map_or(ValueOrigin::CommandLine, |(_, origin)| origin.clone());
                before.refusals.push(ends_with_help(&origin));
                return None;
            };
            if command.text != role {
                let name = &command.text;
                let message = if facts.help.contains(name) {
                    HELP.to_owned()
                } else if facts.commands.contains(name) {
                    format!("K3s runs its command {name} instead of {role}")
                } else {
                    format!("No help topic for '{name}'")
                };
                let refusal = K3sRefusal::new(RefusalKind::Command, name, message, &command.origin);
                before.refusals.push(refusal);
                return None;
            }
            0
        };
        Some(before.rest.split_off(at + 1))
    }
}

impl CommandLine {
    /// Adds what the older library reads otherwise.
    fn or_older(mut self, older: Self, since: &str, release: K3sRelease) -> Self {
        let is_refused = |line: &Self| line.refusals.iter().any(K3sRefusal::is_certain);
        let minor = release.minor();
        match (is_refused(&self), is_refused(&older)) {
            (false, true) => {
                let doubt = format!("{minor} before {since} refuses it");
                let refused = older.refusals.into_iter();
                self.refusals.extend(refused.map(|refusal| refusal.only_if(Some(doubt.clone()))));
            }
            (true, false) => {
                let doubt = format!("{since} and newer refuse it");
                let refused = std::mem::take(&mut self.refusals).into_iter();
                self.refusals = refused.map(|refusal| refusal.only_if(Some(doubt.clone()))).collect();
            }
            (true, true) | (false, false) => {}
        }
        self
    }
}

const HELP: &str = "K3s prints its help, and ends";

fn ends_with_help(origin: &ValueOrigin) -> K3sRefusal {
    K3sRefusal::new(RefusalKind::Help, "", HELP.to_owned(), origin)
}

/// Returns the refusal of a command line on which K3s prints its help or version.
fn help(parsed: &Parsed, names: [&str; 2]) -> Option<K3sRefusal> {
    let asked =
        names.into_iter().find_map(|name| parsed.last(name).filter(|asked| flags::is_true(&asked.text)));
    asked.map(|asked| ends_with_help(&asked.origin))
}

/// Tells whether a flag is of the library, and none of K3s.
fn is_of_library(flag: &K3sFlag) -> bool {
    flags::of_each_command().iter().any(|known| known.names == flag.names)
}

/// Sets a flag: of a flag with one value the last counts, of a flag that repeats all do.
fn set(values: &mut BTreeMap<String, EffectiveValue>, flag: &K3sFlag, text: String, origin: ValueOrigin) {
    let value = values.entry(flag.destination().to_owned()).or_default();
    value.list = flag.kind == K3sFlagType::List;
    if !value.list {
        (value.items, value.origins) = (Vec::new(), Vec::new());
    }
    value.items.push(text);
    value.origins.push(origin);
}
