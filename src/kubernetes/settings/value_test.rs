// SPDX-License-Identifier: Apache-2.0
//! The conditions that a rule puts on a value.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::Deserialize;

use super::forms::Form;
use super::known_names::NameTable;
use super::map::{ComponentSettings, OF_MINOR};
use super::release;
use super::value::TypedValue;
use crate::kubernetes::flag_values;

/// What a test for emptiness wants, in words.
pub(super) const EMPTY: &str = "empty";
/// The opposite.
pub(super) const NOT_EMPTY: &str = "not empty";

/// A part of a value that is refused.
#[derive(Debug)]
pub(super) struct SettingPart {
    /// Its path below the setting.
    pub(super) path: String,
    /// Its text; the name of an entry whose name is refused.
    pub(super) text: String,
    /// What it has to be, in words.
    pub(super) wanted: String,
}

/// A test of one value: all that it names must hold. A text `$name` stands for the value of another setting, and as an
/// amount, `$name * 1.2` and `$name - 3` for more of it or less, and `3 - $name` for what is left.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct ValueTest {
    /// The least amount: a number, or a duration.
    least: Option<String>,
    /// The greatest amount.
    most: Option<String>,
    /// An amount that it exceeds.
    above: Option<String>,
    /// An amount that exceeds it.
    below: Option<String>,
    /// A whole number of which it is a multiple.
    multiple_of: Option<i128>,
    /// A setting whose value is a range of ports, in which it lies.
    within: Option<String>,
    /// Zero, or nothing, passes whatever the rest of the test says.
    zero: bool,
    /// The text that it is.
    is: Option<String>,
    /// A text that it is not.
    not: Option<String>,
    /// The texts of which it is one.
    one_of: Option<Vec<String>>,
    /// The texts of which it is none.
    none_of: Option<Vec<String>>,
    /// Texts with one of which it begins.
    starts: Option<Vec<String>>,
    /// A text with which it ends.
    ends: Option<String>,
    /// A setting, a list or a map, that has it as an item or a name.
    among: Option<String>,
    /// Whether it is zero: false, 0, nothing.
    empty: Option<bool>,
    /// Whether a flag or a field gives it.
    given: Option<bool>,
    /// An item of a list, or a name of a map, that it has.
    has: Option<String>,
    /// An item of a list, or a name of a map, that it lacks.
    lacks: Option<String>,
    /// An item of a list that it has, in capitals or not.
    has_in_any_case: Option<String>,
    /// The table that knows every item of a list; `-` may stand before a name, and `*` is for all.
    known: Option<NameTable>,
    /// Whether every item of a list is there once.
    unique: Option<bool>,
    /// How many items a list or a map has.
    count: Option<Box<ValueTest>>,
    /// A test of each item of a list.
    items: Option<Box<ValueTest>>,
    /// A test of each name of a map.
    names: Option<Box<ValueTest>>,
    /// A test of each value of a map.
    values: Option<Box<ValueTest>>,
    /// A test of the value that a map gives a name; what the map lacks passes.
    entries: BTreeMap<String, ValueTest>,
    /// A test of the parts of a text between commas, as a list.
    parts: Option<Box<ValueTest>>,
    /// A test of the minor of Kubernetes that a list of versions names; a list that names none passes.
    release: Option<Box<ValueTest>>,
    /// The form of a text.
    form: Option<Form>,
    /// Other tests, one of which suffices.
    any: Vec<ValueTest>,
    /// A test that it does not pass.
    fails: Option<Box<ValueTest>>,
}

impl ValueTest {
    /// Tells whether a setting passes; none if neither its value nor its default is known.
    pub(super) fn passes(&self, settings: &ComponentSettings, name: &str) -> Option<bool> {
        if let Some(given) = self.given
            && given != settings.is_given(name)
        {
            return Some(false);
        }
        if self.looks_at_nothing() {
            return Some(true);
        }
        Some(self.holds(settings, settings.value(name)?))
    }

    /// Tells whether it only asks whether somebody gives the setting.
    fn looks_at_nothing(&self) -> bool {
        let Self { least, most, above, below, is, not, one_of, none_of, empty, has, lacks, .. } = self;
        let Self { multiple_of, ends, among, fails, starts, .. } = self;
        let Self { has_in_any_case, known, parts, release, .. } = self;
        let texts =
            [least, most, above, below, is, not, has, lacks, has_in_any_case, ends, among, &self.within];
        let Self { unique, count, items, names, values, entries, form, any, .. } = self;
        texts.iter().all(|text| text.is_none())
            && [one_of, none_of, starts].iter().all(|list| list.is_none())
            && multiple_of.is_none()
            && [count, items, names, values, parts, release, fails].iter().all(|test| test.is_none())
            && known.is_none()
            && empty.is_none()
            && unique.is_none()
            && form.is_none()
            && entries.is_empty()
            && any.is_empty()
    }

    /// Tells whether a value passes.
    fn holds(&self, settings: &ComponentSettings, value: &TypedValue) -> bool {
        if self.zero && value.is_zero() {
            return true;
        }
        // A part of a list or a map is a text.
        let amount = match value {
            TypedValue::Text(text) => TypedValue::amount(text),
            _ => None,
        };
        let amount = amount.as_ref().unwrap_or(value);
        let compares = |bound: &Option<String>, wanted: &[Ordering]| {
            bound.as_deref().is_none_or(|bound| {
                let other = match bound.strip_prefix('$') {
                    Some(term) => amount_of(settings, term),
                    None => difference(settings, bound).or_else(|| TypedValue::amount(bound)),
                };
                // What is no number lies within no bounds.
                other.is_some_and(|other| amount.compare(&other).is_some_and(|order| wanted.contains(&order)))
            })
        };
        let text = value.text();
        let is_text = |wanted: &String| match wanted.strip_prefix('$') {
            Some(name) => settings.text(name).is_some_and(|other| other == text),
            None => *wanted == text,
        };
        let list = parts_of(value);
        let is_multiple = |of: i128| matches!(value, TypedValue::Whole(number) if number % of == 0);
        let is_in = |name: &String| settings.value(name).is_some_and(|other| parts_of(other).contains(&text));
        let pairs: &[(String, String)] = match value {
            TypedValue::Map(pairs) => pairs,
            _ => &[],
        };
        let texts: Vec<String> = pairs.iter().map(|(_, text)| text.clone()).collect();
        let each = |test: &Option<Box<Self>>, parts: &[String]| {
            test.as_ref().is_none_or(|test| {
                parts.iter().all(|part| test.holds(settings, &TypedValue::Text(part.clone())))
            })
        };
        let is_counted = |test: &Self| {
            test.holds(settings, &TypedValue::Whole(i128::try_from(list.len()).unwrap_or(i128::MAX)))
        };
        let fits = |(name, test): (&String, &Self)| {
            let found = pairs.iter().rev().find(|(known, _)| known == name);
            found.is_none_or(|(_, text)| test.holds(settings, &TypedValue::Text(text.clone())))
        };
        compares(&self.least, &[Ordering::Greater, Ordering::Equal])
            && compares(&self.most, &[Ordering::Less, Ordering::Equal])
            && compares(&self.above, &[Ordering::Greater])
            && compares(&self.below, &[Ordering::Less])
            && self.multiple_of.is_none_or(is_multiple)
            && self.ends.as_ref().is_none_or(|end| text.ends_with(end))
            && self.among.as_ref().is_none_or(is_in)
            && self.within.as_ref().is_none_or(|ports| is_port_of(settings.text(ports), value))
            && self.is.as_ref().is_none_or(is_text)
            && self.not.as_ref().is_none_or(|text| !is_text(text))
            && self.one_of.as_ref().is_none_or(|known| known.contains(&text))
            && self.none_of.as_ref().is_none_or(|known| !known.contains(&text))
            && self.starts.as_ref().is_none_or(|known| known.iter().any(|start| text.starts_with(start)))
            && self.empty.is_none_or(|empty| empty == value.is_zero())
            && self.has.as_ref().is_none_or(|item| match item.strip_prefix('$') {
                Some(name) => settings.text(name).is_some_and(|item| list.contains(&item)),
                None => list.contains(item),
            })
            && self.lacks.as_ref().is_none_or(|item| !list.contains(item))
            && self
                .has_in_any_case
                .as_ref()
                .is_none_or(|item| list.iter().any(|known| known.eq_ignore_ascii_case(item)))
            && self.known.is_none_or(|table| list.iter().all(|name| table.knows(settings, name)))
            && self
                .unique
                .is_none_or(|unique| unique == (1..list.len()).all(|at| !list[..at].contains(&list[at])))
            && self.count.as_ref().is_none_or(|test| is_counted(test))
            && each(&self.items, &list)
            && each(&self.names, &list)
            && each(&self.values, &texts)
            && self.entries.iter().all(fits)
            && self.parts.as_ref().is_none_or(|test| {
                let parts = text.split(',').map(str::to_owned).collect();
                test.holds(settings, &TypedValue::List(parts))
            })
            && self.release.as_ref().is_none_or(|test| {
                release::named(&list).is_none_or(|minor| test.holds(settings, &TypedValue::Whole(minor)))
            })
            && self.form.is_none_or(|form| form.fits(&text))
            && (self.any.is_empty() || self.any.iter().any(|test| test.holds(settings, value)))
            && self.fails.as_ref().is_none_or(|test| !test.holds(settings, value))
    }

    /// Returns the part of a value of a setting that does not pass, by its path below the setting: an item of a list, or a
    /// name of a map; with it what the part has to be, in words.
    pub(super) fn failing_part(
        &self,
        settings: &ComponentSettings,
        value: &TypedValue,
    ) -> Option<SettingPart> {
        let text = |text: &String| TypedValue::Text(text.clone());
        match value {
            TypedValue::List(items) => {
                let test = self.items.as_ref()?;
                let at = items.iter().position(|item| !test.holds(settings, &text(item)))?;
                let path = format!("[{at}]");
                Some(SettingPart { path, text: items[at].clone(), wanted: test.wanted(settings) })
            }
            TypedValue::Map(pairs) => {
                let part = |name: &String, shown: &str, test: &Self| SettingPart {
                    path: format!(".{name}"),
                    text: shown.to_owned(),
                    wanted: test.wanted(settings),
                };
                pairs.iter().find_map(|(name, value)| {
                    let of_names = self.names.as_ref().filter(|test| !test.holds(settings, &text(name)));
                    let of_values = self.values.as_ref().filter(|test| !test.holds(settings, &text(value)));
                    let entry = self.entries.get(name);
                    let entry = entry.filter(|test| !test.holds(settings, &text(value)));
                    let named = of_names.map(|test| part(name, name, test));
                    let test = of_values.map(AsRef::as_ref).or(entry);
                    named.or_else(|| Some(part(name, value, test?)))
                })
            }
            _ => None,
        }
    }

    /// Tells whether it holds a value against names that Kubernetes knows: another minor may know more.
    pub(super) fn rests_on_names(&self) -> bool {
        let Self { count, items, names, values, parts, release, fails, entries, any, .. } = self;
        let nested = [count, items, names, values, parts, fails].into_iter().flatten().map(AsRef::as_ref);
        self.one_of.is_some()
            || self.known.is_some()
            || release.is_some()
            || nested.chain(entries.values()).chain(any).any(Self::rests_on_names)
    }

    /// Returns the settings whose values it compares a value with.
    pub(super) fn others(&self) -> Vec<&str> {
        let Self { least, most, above, below, is, not, has, within, any, .. } = self;
        let terms = [least, most, above, below, is, not, has].into_iter().flatten();
        let names = terms.filter_map(|text| {
            let left = || text.split_once(" - $").map(|(_, name)| name);
            text.strip_prefix('$').or_else(left)?.split(' ').next()
        });
        let nested = [&self.count, &self.items, &self.names, &self.values, &self.parts, &self.release];
        let tests = nested.into_iter().flatten().map(AsRef::as_ref).chain(any).chain(self.entries.values());
        names.chain(within.as_deref()).chain(tests.flat_map(Self::others)).collect()
    }

    /// Returns what a value has to be, in words; empty where words are of no use.
    pub(super) fn wanted(&self, settings: &ComponentSettings) -> String {
        let bound = |text: &str| {
            let Some(term) = text.strip_prefix('$') else { return text.to_owned() };
            match term.split_once(' ').unwrap_or((term, "")) {
                (name, _) if OF_MINOR.contains(&name) => {
                    let known = amount_of(settings, term).or_else(|| settings.value(name).cloned());
                    known.map_or_else(|| format!("what {term} is"), |value| value.text())
                }
                (name, "") => format!("the value of {name}"),
                (name, change) => format!("the value of {name} {change}"),
            }
        };
        let zero = if self.zero { "0, or " } else { "" };
        let bounds = match (&self.least, &self.most, &self.above, &self.below) {
            (Some(least), Some(most), ..) => format!("{} to {}", bound(least), bound(most)),
            (Some(least), ..) => format!("{} or more", bound(least)),
            (_, Some(most), ..) => format!("{} or less", bound(most)),
            (_, _, Some(least), Some(most)) => {
                format!("more than {} and less than {}", bound(least), bound(most))
            }
            (_, _, Some(least), _) => format!("more than {}", bound(least)),
            (_, _, _, Some(most)) => format!("less than {}", bound(most)),
            _ => String::new(),
        };
        if !bounds.is_empty() {
            return format!("{zero}{bounds}");
        }
        let names = |known: &[String]| {
            let known: Vec<&str> = known.iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
            (known.len(), known.join(", "))
        };
        let nested = |test: &Option<Box<Self>>| {
            test.as_ref().map(|test| test.wanted(settings)).filter(|text| !text.is_empty())
        };
        if let Some(known) = &self.one_of {
            let (count, names) = names(known);
            return if count > 1 { format!("one of {names}") } else { names };
        }
        if let Some(text) = &self.is {
            return bound(text);
        }
        if let Some(ports) = &self.within {
            return format!("a port of {ports}");
        }
        if let Some(form) = self.form {
            return form.wanted().to_owned();
        }
        if let Some(known) = &self.none_of {
            return format!("none of {}", names(known).1);
        }
        if let Some(item) = &self.has_in_any_case {
            return format!("a list that has {item}");
        }
        if let Some(table) = self.known {
            return table.wanted().to_owned();
        }
        if let Some(minors) = nested(&self.release) {
            return format!("the version 1.N, where N is {minors}");
        }
        let of_parts = nested(&self.items).or_else(|| nested(&self.names)).or_else(|| nested(&self.values));
        if let Some(text) = of_parts {
            return format!("for each item {text}");
        }
        if let Some(number) = self.multiple_of {
            return format!("a multiple of {number}");
        }
        if self.unique == Some(true) {
            return "each item once".to_owned();
        }
        match self.empty {
            Some(false) => NOT_EMPTY.to_owned(),
            Some(true) => EMPTY.to_owned(),
            None => {
                let each: Vec<String> = self.any.iter().map(|test| test.wanted(settings)).collect();
                each.join(", or ")
            }
        }
    }
}

/// Returns the items of a list, or the names of a map.
fn parts_of(value: &TypedValue) -> Vec<String> {
    match value {
        TypedValue::List(items) => items.clone(),
        TypedValue::Map(pairs) => pairs.iter().map(|(name, _)| name.clone()).collect(),
        _ => Vec::new(),
    }
}

/// Returns the amount that `name`, `name * 1.2` or `name - 3` stands for; none if the setting has no amount.
fn amount_of(settings: &ComponentSettings, term: &str) -> Option<TypedValue> {
    let mut words = term.split(' ');
    let value = settings.value(words.next()?)?;
    match (words.next(), words.next().and_then(flag_values::number)) {
        (None, _) => match value {
            TypedValue::List(versions) => release::named(versions).map(TypedValue::Whole),
            value => Some(value.clone()),
        },
        (Some("*"), Some(factor)) => value.times(factor),
        (Some("-"), Some(less)) => value.less(less),
        _ => None,
    }
}

/// Returns the amount that `3 - $name` stands for.
fn difference(settings: &ComponentSettings, term: &str) -> Option<TypedValue> {
    let (number, name) = term.split_once(" - $")?;
    match (TypedValue::amount(number)?, settings.value(name)?) {
        (TypedValue::Whole(number), TypedValue::Whole(less)) => Some(TypedValue::Whole(number - less)),
        _ => None,
    }
}

/// Tells whether a number lies within a range of ports, which is all of them where it is not known.
fn is_port_of(ports: Option<String>, number: &TypedValue) -> bool {
    let ports = ports.and_then(|ports| flag_values::port_range(&ports));
    ports.is_none_or(|(first, count)| match number {
        TypedValue::Whole(port) => (first.into()..i128::from(first) + i128::from(count)).contains(port),
        _ => false,
    })
}
