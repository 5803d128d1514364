//! How the value of each argument of a component is judged: by rules, by its type, by another check, or not at all
//! (data/flag-judgements.yaml).

use std::sync::LazyLock;

use serde::Deserialize;

use super::component_flags::{self, ComponentFlag};
use super::kubelet_fields;
use super::settings;
use crate::embedded;

/// How the values of a setting are judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueJudgement {
    /// By rules, besides its type: what each of them wants.
    Rules(Vec<String>),
    /// By its type alone: what it takes.
    Type(&'static str),
    /// By another check: which.
    Elsewhere(&'static str),
    /// Every value is fine: why.
    AnyValue(&'static str),
    /// Not at all: why.
    NotJudged(&'static str),
}

/// A row.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JudgementRow {
    #[serde(default)]
    of: Vec<String>,
    arguments: Vec<String>,
    #[serde(alias = "by")]
    why: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct JudgementTable {
    elsewhere: Vec<JudgementRow>,
    any: Vec<JudgementRow>,
    not_judged: Vec<JudgementRow>,
}

static TABLE: LazyLock<JudgementTable> = LazyLock::new(|| embedded::table("flag-judgements"));

/// Returns why the value of an argument of a component is not judged; none if it is.
#[must_use]
pub fn not_judged(component: &str, name: &str) -> Option<&'static str> {
    find(&TABLE.not_judged, component, name)
}

/// Returns how the values of an argument of a component are judged; none if the tables do not say it.
#[must_use]
pub fn of_flag(component: &str, name: &str) -> Option<ValueJudgement> {
    let flag = component_flags::all().get(component)?.get(name)?;
    if let Some(why) = not_judged(component, name) {
        return Some(ValueJudgement::NotJudged(why));
    }
    let field = if component == "kubelet" { kubelet_fields::of_flag(name) } else { None };
    let bounds = [Some(name), field].into_iter().flatten().flat_map(|name| settings::bounds(component, name));
    let mut words: Vec<String> = Vec::new();
    let mut is_ruled = false;
    for bound in bounds {
        is_ruled = true;
        if !words.contains(&bound) {
            words.push(bound);
        }
    }
    if is_ruled {
        return Some(ValueJudgement::Rules(words));
    }
    if component_flags::needs_file(component, name) {
        return Some(ValueJudgement::Elsewhere("preflight/arguments.rs: the file that it names"));
    }
    if let Some(by) = find(&TABLE.elsewhere, component, name) {
        return Some(ValueJudgement::Elsewhere(by));
    }
    if let Some(why) = find(&TABLE.any, component, name) {
        return Some(ValueJudgement::AnyValue(why));
    }
    refuses_texts(flag).then(|| ValueJudgement::Type(flag.kind.wanted()))
}

/// Tells whether the type of an argument has more to say than how items are told apart.
fn refuses_texts(flag: &ComponentFlag) -> bool {
    use settings::FlagType as Kind;
    let takes_texts = [Kind::Configuration, Kind::Gates, Kind::List, Kind::Map, Kind::Multimap, Kind::Pairs];
    !takes_texts.contains(&flag.kind) && !matches!(flag.kind, Kind::Text | Kind::Texts)
}

fn find(rows: &'static [JudgementRow], component: &str, name: &str) -> Option<&'static str> {
    let is_of = |row: &&JudgementRow| {
        (row.of.is_empty() || row.of.iter().any(|of| of == component))
            && row.arguments.iter().any(|known| known == name)
    };
    rows.iter().find(is_of).map(|row| row.why.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_argument_of_every_component_is_in_one_class() {
        let mut missing = Vec::new();
        for (component, flags) in component_flags::all() {
            for name in flags.keys().filter(|name| of_flag(component, name).is_none()) {
                missing.push(format!("{component} {name}"));
            }
        }
        assert!(
            missing.is_empty(),
            "no rule, no type and no row of the table judges:\n{}",
            missing.join("\n")
        );
    }

    #[test]
    fn the_table_names_arguments_that_there_are() {
        let rows = [&TABLE.elsewhere, &TABLE.any, &TABLE.not_judged];
        for row in rows.into_iter().flatten() {
            for name in &row.arguments {
                let has =
                    |(component, flags): (&String, &std::collections::BTreeMap<String, ComponentFlag>)| {
                        (row.of.is_empty() || row.of.contains(component)) && flags.contains_key(name)
                    };
                assert!(component_flags::all().iter().any(has), "{name} of {:?}", row.of);
            }
            for component in &row.of {
                let flags = &component_flags::all()[component];
                assert!(
                    row.arguments.iter().any(|name| flags.contains_key(name)),
                    "{component}: {:?}",
                    row.arguments
                );
            }
        }
    }
}
