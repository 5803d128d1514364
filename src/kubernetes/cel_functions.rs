// SPDX-License-Identifier: Apache-2.0
//! The functions that expressions may call (data/cel-functions.yaml).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::cel_types::CelType;
use crate::embedded;
use crate::version::KubernetesMinor;

/// The table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FunctionTable {
    macros: Vec<String>,
    until: BTreeMap<KubernetesMinor, BTreeMap<String, Vec<String>>>,
    functions: BTreeMap<String, Vec<String>>,
}

/// What a function takes and makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CelOverload {
    /// Whether it is a method of its first argument.
    pub(super) is_method: bool,
    pub(super) arguments: Vec<CelType>,
    pub(super) result: CelType,
}

/// The overloads of each function, and the last minor that has them, if not all do.
type Overloads = BTreeMap<String, Vec<(Option<KubernetesMinor>, CelOverload)>>;

static TABLE: LazyLock<FunctionTable> = LazyLock::new(|| embedded::table("cel-functions"));
static OVERLOADS: LazyLock<Overloads> = LazyLock::new(|| {
    let mut found = Overloads::new();
    let always = TABLE.functions.iter().map(|(name, all)| (None, name, all));
    let sometimes =
        TABLE.until.iter().flat_map(|(minor, of)| of.iter().map(|(name, all)| (Some(*minor), name, all)));
    for (until, name, all) in always.chain(sometimes) {
        let overloads = all.iter().map(|text| (until, overload(text)));
        found.entry(name.clone()).or_default().extend(overloads);
    }
    found
});

/// Tells whether a call is one of a macro.
pub(super) fn is_macro(name: &str, has_target: bool, count: usize) -> bool {
    let dot = if has_target { "." } else { "" };
    let wanted = format!("{dot}{name}/{count}");
    TABLE.macros.contains(&wanted)
}

/// Returns the overloads of a function in a minor; none if there is no such function.
pub(super) fn overloads(name: &str, minor: KubernetesMinor) -> Option<Vec<&'static CelOverload>> {
    let all = OVERLOADS.get(name)?;
    let in_minor = all.iter().filter(|(until, _)| until.is_none_or(|until| minor <= until));
    let found: Vec<&CelOverload> = in_minor.map(|(_, overload)| overload).collect();
    (!found.is_empty()).then_some(found)
}

/// Returns every overload of a minor as the table writes it, with the name of its function.
#[must_use]
pub fn rows(minor: KubernetesMinor) -> Vec<(&'static str, &'static str)> {
    let until = TABLE.until.iter().filter(|(until, _)| minor <= **until).map(|(_, of)| of);
    let all = std::iter::once(&TABLE.functions).chain(until);
    all.flatten().flat_map(|(name, of)| of.iter().map(|text| (name.as_str(), text.as_str()))).collect()
}

/// Returns the macros, as the table writes them.
#[must_use]
pub fn macros() -> &'static [String] {
    &TABLE.macros
}

/// Reads an overload as the table writes it.
fn overload(text: &str) -> CelOverload {
    let (arguments, result) = text.split_once("-> ").unwrap_or((text, ""));
    let (is_method, arguments) = arguments.strip_prefix('.').map_or((false, arguments), |rest| (true, rest));
    CelOverload {
        is_method,
        arguments: parts(arguments).into_iter().map(of_type).collect(),
        result: of_type(result),
    }
}

/// Splits at the commas that are outside of brackets.
fn parts(text: &str) -> Vec<&str> {
    let (mut depth, mut begin) = (0, 0);
    let mut found = Vec::new();
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                found.push(text[begin..at].trim());
                begin = at + 1;
            }
            _ => {}
        }
    }
    found.push(text[begin..].trim());
    found.retain(|part| !part.is_empty());
    found
}

fn of_type(text: &str) -> CelType {
    let (name, inner) = match text.split_once('(') {
        Some((name, rest)) => (name, parts(rest.strip_suffix(')').unwrap_or(rest))),
        None => (text, Vec::new()),
    };
    if let Some(name) = name.strip_prefix('<') {
        return CelType::Parameter(name.trim_end_matches('>').to_owned());
    }
    CelType::named(name, inner.into_iter().map(of_type).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_read() {
        let minor = KubernetesMinor::new(36);
        for (name, text) in rows(minor) {
            let read = overload(text);
            let count = parts(text.split_once("-> ").unwrap().0.trim_start_matches('.')).len();
            assert_eq!(read.arguments.len(), count, "{name}: {text}");
            assert!(!read.is_method || count > 0, "{name}: {text}");
        }
        assert_eq!(
            overload(".optional_type(map(<K>, <V>)), <K> -> optional_type(<V>)"),
            CelOverload {
                is_method: true,
                arguments: vec![
                    CelType::named(
                        "optional_type",
                        vec![CelType::named(
                            "map",
                            vec![CelType::Parameter("K".to_owned()), CelType::Parameter("V".to_owned())]
                        )]
                    ),
                    CelType::Parameter("K".to_owned()),
                ],
                result: CelType::named("optional_type", vec![CelType::Parameter("V".to_owned())]),
            }
        );
        let count = |minor| overloads("duration", KubernetesMinor::new(minor)).unwrap().len();
        assert_eq!((count(36), count(37)), (3, 2));
        assert!(is_macro("has", false, 1) && is_macro("all", true, 2) && !is_macro("all", false, 2));
        assert_eq!(overloads("sizes", minor), None);
    }
}
