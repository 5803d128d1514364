//! K3s' command line: which words set flags, what the configuration files add to it, and what it refuses
//! (urfave/cli, pkg/configfilearg of K3s).

use super::flags::{self, K3sFlagType};
use super::merge::ConfigKey;
use crate::Role;
use crate::error::Place;
use crate::kubernetes::flag_values;
use crate::version::KubernetesMinor;

/// Returns the flags among the words of a command line: (position, (name, value)).
pub(super) fn typed(role: Role, words: &[String]) -> Vec<(usize, (String, String))> {
    let mut found = Vec::new();
    let mut index = 0;
    while let Some(word) = words.get(index) {
        let at = index;
        index += 1;
        let Some(flag) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else { continue };
        if let Some((name, value)) = flag.split_once('=') {
            found.push((at, (name.to_owned(), value.to_owned())));
        } else if flags::is_boolean(role, flag) {
            found.push((at, (flag.to_owned(), "true".to_owned())));
        } else if let Some(value) = words.get(index) {
            found.push((at, (flag.to_owned(), value.clone())));
            index += 1;
        }
    }
    found
}

/// Returns the command line that K3s makes of `arguments`: the keys follow the first word that is a command.
pub(super) fn argv(arguments: &[String], keys: &[ConfigKey]) -> Vec<String> {
    let at = arguments
        .iter()
        .position(|word| word == "server" || word == "agent")
        .map_or(arguments.len(), |at| at + 1);
    let flags = keys.iter().flat_map(|key| key.items.iter().map(|item| flag(&key.name, &item.text)));
    arguments[..at].iter().cloned().chain(flags).chain(arguments[at..].iter().cloned()).collect()
}

/// Returns a key as a flag; a single letter has one dash.
fn flag(name: &str, text: &str) -> String {
    let dashes = if name.len() == 1 { "-" } else { "--" };
    format!("{dashes}{name}={text}")
}

/// Removes the keys that a server does not know, as K3s does if `server` is its first word; an agent keeps all. Also
/// returns what K3s logs.
pub(super) fn strip_unknown(
    words: &[String],
    keys: &[ConfigKey],
    minor: KubernetesMinor,
) -> (Vec<ConfigKey>, Vec<String>) {
    if words.first().is_none_or(|word| word != "server") {
        return (keys.to_vec(), Vec::new());
    }
    let known = flags::names(Role::Server, minor);
    let (mut kept, mut warnings) = (Vec::new(), Vec::new());
    for key in keys {
        if known.contains(key.name.as_str()) {
            kept.push(key.clone());
        } else {
            let flag = flag(&key.name, "");
            let flag = flag.trim_end_matches('=');
            warnings.extend(
                key.items.iter().map(|_| format!("Unknown flag {flag} found in config.yaml, skipping")),
            );
        }
    }
    (kept, warnings)
}

/// A key of the configuration files that K3s' command line refuses: K3s exits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedKey {
    /// The key.
    pub key: String,
    /// Whether the role of the minor has no such flag; if it has one, the value is refused.
    pub is_unknown: bool,
    /// K3s' own message.
    pub message: String,
    /// The place of the value.
    pub place: Place,
}

/// Returns the keys of the configuration files that K3s' command line refuses.
pub(super) fn refused_keys(keys: &[ConfigKey], role: Role, minor: KubernetesMinor) -> Vec<RefusedKey> {
    let known = flags::names(role, minor);
    let keys = keys.iter().filter(|key| role == Role::Agent || known.contains(key.name.as_str()));
    let items = keys.flat_map(|key| key.items.iter().map(move |item| (key, item)));
    items
        .filter_map(|(key, item)| {
            let message = check(role, minor, &key.name, &item.text).err()?;
            let is_unknown = flags::find(role, minor, &key.name).is_none();
            Some(RefusedKey { key: key.name.clone(), is_unknown, message, place: item.place.clone() })
        })
        .collect()
}

/// Checks whether K3s' command line accepts `text` for the flag `name`.
///
/// # Errors
/// K3s' own message, with which it exits.
fn check(role: Role, minor: KubernetesMinor, name: &str, text: &str) -> std::result::Result<(), String> {
    let Some(flag) = flags::find(role, minor, name) else {
        return Err(format!("flag provided but not defined: -{name}"));
    };
    let fits = match flag.kind {
        K3sFlagType::Text | K3sFlagType::List => true,
        K3sFlagType::Boolean => {
            if flag_values::boolean(text).is_none() {
                return Err(format!("invalid boolean value {text:?} for -{name}: parse error"));
            }
            true
        }
        K3sFlagType::Integer => flag_values::integer(text).is_some(),
        K3sFlagType::Duration => flag_values::duration(text).is_some(),
    };
    if fits { Ok(()) } else { Err(format!("invalid value {text:?} for flag -{name}: parse error")) }
}
