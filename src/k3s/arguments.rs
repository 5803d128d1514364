//! How K3s merges the arguments that a user gives a component with its own (`GetArgs` in pkg/util/args.go), and which
//! of the kubelet's it keeps for itself.

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

/// The arguments that a user gives the kubelet, as K3s takes them apart since it has a folder of drop-ins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KubeletArguments<'a> {
    /// Those that the kubelet gets.
    pub kept: Vec<&'a str>,
    /// The file that becomes a drop-in.
    pub config: Option<&'a str>,
    /// The folder that becomes one.
    pub config_dir: Option<&'a str>,
}

/// Takes the kubelet's arguments apart (`extractConfigArgs` in pkg/daemons/agent/agent.go of 1.32): one without `=`
/// swallows the one behind it, whatever that is.
#[must_use]
pub fn of_kubelet<'a>(extra: impl IntoIterator<Item = &'a str>) -> KubeletArguments<'a> {
    let mut found = KubeletArguments::default();
    let mut extra = extra.into_iter();
    while let Some(argument) = extra.next() {
        let plain = argument.strip_prefix("--").unwrap_or(argument);
        let (name, value) = match plain.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (plain, extra.next()),
        };
        match name {
            "config" => found.config = value,
            "config-dir" => found.config_dir = value,
            _ => found.kept.push(argument),
        }
    }
    found
}

/// Tells whether `name=…`, `name+=…`, `name-=…` or `--name…` sets the argument; `_` in it is as good as `-`.
#[must_use]
pub fn sets(value: &str, argument: &str) -> bool {
    let name = value.split('=').next().unwrap_or(value).trim_start_matches('-');
    name.trim_end_matches(['+', '-']).replace('_', "-") == argument
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_name_an_argument() {
        for value in [
            "audit-log-path=x",
            "--audit-log-path=x",
            "audit-log-path+=x",
            "audit-log-path-=x",
            "audit_log_path=x",
        ] {
            assert!(sets(value, "audit-log-path"), "{value}");
        }
        assert!(!sets("audit-log-path-x=1", "audit-log-path"));
    }
}
