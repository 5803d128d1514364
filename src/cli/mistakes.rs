// SPDX-License-Identifier: Apache-2.0
//! Mistakes on the command line: what is wrong, and what to write instead.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::other_tools::{instead_of_flag, instead_of_verb};
use super::usage::usage_error;
use crate::error::Error;

/// Returns the error for a mistake; none for one that clap's own text explains well.
pub(super) fn explained(error: &clap::Error, arguments: &[OsString]) -> Option<Error> {
    let mistake = Mistake { error, arguments };
    match error.kind() {
        ErrorKind::UnknownArgument => mistake.unknown_argument(),
        ErrorKind::InvalidSubcommand => mistake.unknown_verb(),
        ErrorKind::InvalidValue => mistake.invalid_value(),
        ErrorKind::ValueValidation => mistake.refused_value(),
        ErrorKind::ArgumentConflict => mistake.conflict(),
        ErrorKind::MissingRequiredArgument => mistake.missing(),
        ErrorKind::MissingSubcommand => mistake.no_verb(),
        _ => None,
    }
}

/// A mistake as clap reports it.
struct Mistake<'a> {
    error: &'a clap::Error,
    arguments: &'a [OsString],
}

impl Mistake<'_> {
    fn unknown_argument(&self) -> Option<Error> {
        let typed = self.text(ContextKind::InvalidArg)?;
        let Some(flag) = typed.split('=').next().filter(|flag| flag.starts_with('-')) else {
            return Some(self.with_usage(usage_error(format!("unexpected argument {typed:?}"))));
        };
        let similar =
            || self.text(ContextKind::SuggestedArg).map(|similar| format!("did you mean {similar}?"));
        let hint = instead_of_flag(flag, |verb| self.is_typed(verb)).map(str::to_owned).or_else(similar);
        let hint = hint.unwrap_or_else(|| "list the flags: `k3s-harden VERB -h`".to_owned());
        Some(usage_error(format!("unknown flag {flag}")).hint(hint))
    }

    fn unknown_verb(&self) -> Option<Error> {
        let typed = self.text(ContextKind::InvalidSubcommand)?;
        let similar = || {
            let similar = self.texts(ContextKind::SuggestedSubcommand).into_iter().next()?;
            Some(format!("did you mean {similar}?"))
        };
        // Behind another verb, such as profile, it is a sub-verb.
        let is_first = ["profile", "settings", "report", "generate"].iter().all(|verb| !self.is_typed(verb));
        let instead = is_first.then(|| instead_of_verb(typed)).flatten().map(str::to_owned);
        let hint = instead.or_else(similar).unwrap_or_else(|| "list the verbs: `k3s-harden -h`".to_owned());
        Some(usage_error(format!("unknown verb {typed:?}")).hint(hint))
    }

    /// A value that is none of those that a flag takes, or no value where one is needed.
    fn invalid_value(&self) -> Option<Error> {
        let argument = self.text(ContextKind::InvalidArg)?;
        let typed = self.text(ContextKind::InvalidValue).unwrap_or_default();
        let possible = self.texts(ContextKind::ValidValue);
        let hint = match (self.text(ContextKind::SuggestedValue), possible.is_empty()) {
            (Some(similar), _) => format!("did you mean {similar}? It takes {}", possible.join(", ")),
            (None, false) => format!("write one of {}", possible.join(", ")),
            (None, true) => format!("write it as {argument}"),
        };
        let message = match typed.is_empty() {
            true => format!("{} needs a value", name(argument)),
            false => format!("{}: invalid value {typed:?}", name(argument)),
        };
        Some(usage_error(message).hint(hint))
    }

    /// A value that the reader of a flag refuses; its error says what to write.
    fn refused_value(&self) -> Option<Error> {
        let argument = self.text(ContextKind::InvalidArg)?;
        let typed = self.text(ContextKind::InvalidValue)?;
        let why = std::error::Error::source(self.error)?;
        Some(usage_error(format!("{}: invalid value {typed:?}", name(argument))).hint(why.to_string()))
    }

    fn conflict(&self) -> Option<Error> {
        let argument = name(self.text(ContextKind::InvalidArg)?);
        let other = name(self.texts(ContextKind::PriorArg).into_iter().next()?);
        Some(match argument == other {
            true => usage_error(format!("{argument} is given twice")).hint("leave one out"),
            false => usage_error(format!("{argument} cannot be used with {other}")).hint("leave one out"),
        })
    }

    fn no_verb(&self) -> Option<Error> {
        let typed = self.text(ContextKind::InvalidSubcommand)?;
        let verbs: Vec<&str> =
            self.texts(ContextKind::ValidSubcommand).into_iter().filter(|verb| *verb != "help").collect();
        Some(usage_error(format!("{typed} needs a verb")).hint(format!("write one of {}", verbs.join(", "))))
    }

    fn missing(&self) -> Option<Error> {
        let missing = self.texts(ContextKind::InvalidArg).join(" ");
        Some(self.with_usage(usage_error(format!("{missing} is missing"))))
    }

    /// Adds how the verb is written.
    fn with_usage(&self, error: Error) -> Error {
        match self.error.get(ContextKind::Usage) {
            Some(ContextValue::StyledStr(usage)) => {
                let usage = usage.to_string();
                error.hint(format!("write it as {}", usage.trim_start_matches("Usage:").trim()))
            }
            _ => error,
        }
    }

    fn is_typed(&self, verb: &str) -> bool {
        self.arguments.iter().any(|word| word.to_str() == Some(verb))
    }

    fn text(&self, kind: ContextKind) -> Option<&str> {
        match self.error.get(kind)? {
            ContextValue::String(text) => Some(text),
            _ => None,
        }
    }

    fn texts(&self, kind: ContextKind) -> Vec<&str> {
        match self.error.get(kind) {
            Some(ContextValue::String(text)) => vec![text],
            Some(ContextValue::Strings(texts)) => texts.iter().map(String::as_str).collect(),
            _ => Vec::new(),
        }
    }
}

/// Returns a flag without its value, as `--role` of `--role <server|agent>`; an argument without dashes as it is.
fn name(argument: &str) -> &str {
    let is_flag = argument.starts_with('-');
    argument.split([' ', '.']).next().filter(|_| is_flag).unwrap_or(argument)
}
