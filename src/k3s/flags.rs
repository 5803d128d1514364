//! K3s' own flags (data/flags.yaml, from pkg/cli/cmds of K3s): which a minor has, and what each takes.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::Role;
use crate::embedded;
use crate::profile::KubernetesMinor;

/// A flag of K3s.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flag {
    /// Its names, the long one first.
    pub names: Vec<String>,
    /// What it takes.
    #[serde(rename = "type")]
    pub kind: Type,
    /// Environment variables that set it.
    #[serde(default)]
    pub env: Vec<String>,
    /// Its default, as Go prints it.
    pub default: Option<String>,
    /// Whether K3s' help leaves it out.
    #[serde(default)]
    pub hidden: bool,
    /// The first minor that can have it; none where all before `until` do.
    pub from: Option<KubernetesMinor>,
    /// The last minor that can have it; none where all after `from` do.
    pub until: Option<KubernetesMinor>,
}

impl Flag {
    /// Tells whether a minor can have it in any of its releases.
    #[must_use]
    pub fn is_of(&self, minor: KubernetesMinor) -> bool {
        minor.is_within(self.from, self.until)
    }
}

/// What a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Type {
    /// `true`, `false`, and Go's other words for them.
    Boolean,
    /// A number.
    Integer,
    /// A duration of Go's.
    Duration,
    /// Any text.
    Text,
    /// Any text, and more than once.
    List,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Flags {
    server: Vec<Flag>,
    agent: Vec<Flag>,
}

/// Returns the flags of a role in a minor.
pub fn of(role: Role, minor: KubernetesMinor) -> impl Iterator<Item = &'static Flag> {
    all(role).iter().filter(move |flag| flag.is_of(minor))
}

fn all(role: Role) -> &'static [Flag] {
    static FLAGS: LazyLock<Flags> = LazyLock::new(|| embedded::table("flags"));
    match role {
        Role::Server => &FLAGS.server,
        Role::Agent => &FLAGS.agent,
    }
}

/// Finds a flag by any of its names.
#[must_use]
pub fn find(role: Role, minor: KubernetesMinor, name: &str) -> Option<&'static Flag> {
    of(role, minor).find(|flag| flag.names.iter().any(|known| known == name))
}

/// Tells whether a flag of any minor is a boolean: on a command line it takes no word behind it.
#[must_use]
pub fn is_boolean(role: Role, name: &str) -> bool {
    let mut booleans = all(role).iter().filter(|flag| flag.kind == Type::Boolean);
    booleans.any(|flag| flag.names.iter().any(|known| known == name))
}

/// Returns every name of every flag of a role in a minor.
#[must_use]
pub fn names(role: Role, minor: KubernetesMinor) -> BTreeSet<&'static str> {
    of(role, minor).flat_map(|flag| flag.names.iter().map(String::as_str)).collect()
}

/// Reads a boolean as Go does (`strconv.ParseBool`); none for any other word.
#[must_use]
pub fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// Tells whether K3s' command line takes a value for true.
#[must_use]
pub fn is_true(text: &str) -> bool {
    boolean(text) == Some(true)
}

/// Tells whether K3s' command line takes `text` for the flag `name`, and says what it answers where not.
///
/// # Errors
/// K3s' own message: it exits with it.
pub fn check(role: Role, minor: KubernetesMinor, name: &str, text: &str) -> Result<(), String> {
    let Some(flag) = find(role, minor, name) else {
        return Err(format!("flag provided but not defined: -{name}"));
    };
    let fits = match flag.kind {
        Type::Text | Type::List => true,
        Type::Boolean => {
            if boolean(text).is_none() {
                return Err(format!("invalid boolean value {text:?} for -{name}: parse error"));
            }
            true
        }
        Type::Integer => is_integer(text),
        Type::Duration => is_duration(text),
    };
    if fits { Ok(()) } else { Err(format!("invalid value {text:?} for flag -{name}: parse error")) }
}

/// Go's `ParseInt(text, 0, 64)`: a prefix says the base, underscores may stand between digits.
fn is_integer(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let lower = unsigned.to_ascii_lowercase();
    let (digits, base, prefixed) = match lower.as_bytes() {
        [b'0', b'x', ..] => (&lower[2..], 16, true),
        [b'0', b'b', ..] => (&lower[2..], 2, true),
        [b'0', b'o', ..] => (&lower[2..], 8, true),
        [b'0', _, ..] => (&lower[1..], 8, true),
        _ => (lower.as_str(), 10, false),
    };
    let separated =
        !digits.ends_with('_') && !digits.contains("__") && (prefixed || !digits.starts_with('_'));
    let digits = digits.replace('_', "");
    separated
        && !digits.is_empty()
        && digits.chars().all(|digit| digit.is_digit(base))
        && i128::from_str_radix(&digits, base).is_ok_and(|value| {
            let value = if text.starts_with('-') { -value } else { value };
            i64::try_from(value).is_ok()
        })
}

/// Go's `ParseDuration`.
fn is_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let number = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let digits = &rest[..number];
        if !digits.bytes().any(|byte| byte.is_ascii_digit()) || digits.matches('.').count() > 1 {
            return false;
        }
        rest = &rest[number..];
        let units = ["ns", "us", "µs", "μs", "ms", "s", "m", "h"];
        let unit = rest.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(rest.len());
        if !units.contains(&&rest[..unit]) {
            return false;
        }
        rest = &rest[unit..];
    }
    true
}
