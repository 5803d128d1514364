//! How K3s merges the arguments that a user gives a component with its own (`GetArgs` in pkg/util/args.go).

use std::collections::BTreeMap;

/// Returns the flags with which K3s starts a component, sorted by name as K3s sorts them.
///
/// `name=value` replaces K3s' own value; repeated, all of them stay, in their order. `name+=value` and
/// `name-=value` put one behind or before what is there, so that the component gets the flag twice.
#[must_use]
pub fn merge<'a>(
    defaults: &BTreeMap<String, String>,
    extra: impl IntoIterator<Item = &'a str>,
) -> Vec<String> {
    let mut flags: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for argument in extra {
        let argument = argument.strip_prefix("--").unwrap_or(argument);
        let (name, value) = argument.split_once('=').unwrap_or((argument, "true"));
        let plain = name.trim_end_matches(['+', '-']);
        let own = || defaults.get(plain).map(String::as_str).into_iter().collect::<Vec<_>>();
        match name.as_bytes().last() {
            Some(b'+') => flags.entry(plain).or_insert_with(own).push(value),
            Some(b'-') => flags.entry(plain).or_insert_with(own).insert(0, value),
            _ => flags.entry(name).or_default().push(value),
        }
    }
    for (name, value) in defaults {
        flags.entry(name).or_insert_with(|| vec![value]);
    }
    let flags = flags
        .into_iter()
        .flat_map(|(name, values)| values.into_iter().map(move |value| format!("--{name}={value}")));
    flags.collect()
}
