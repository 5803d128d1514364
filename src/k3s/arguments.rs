// SPDX-License-Identifier: Apache-2.0
//! The arguments that a user gives a component: how K3s merges them with its own (`GetArgs` in pkg/util/args.go), and
//! which arguments of the kubelet it does not hand on.

use std::collections::BTreeMap;

use crate::kubernetes::component_flags;
use crate::version::KubernetesMinor;

/// Returns the flags with which K3s starts a component, sorted by name as K3s sorts them.
///
/// `name=value` replaces K3s's own value; if it repeats, all of them stay, in their order. `name+=value` and `name-=value`
/// add a value after or before the others, so that the component gets the flag twice.
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

/// The arguments that a user gives the kubelet, as K3s splits them since it has a folder of drop-ins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KubeletArguments<'a> {
    /// The arguments that the kubelet gets.
    pub kept: Vec<&'a str>,
    /// The file that becomes a drop-in.
    pub config: Option<&'a str>,
    /// The folder whose files become drop-ins.
    pub config_dir: Option<&'a str>,
}

/// Splits the kubelet's arguments (`extractConfigArgs` in pkg/daemons/agent/agent.go of 1.32): an argument without `=`
/// takes the next one as its value.
#[must_use]
pub fn of_kubelet<'a>(extra: impl IntoIterator<Item = &'a str>) -> KubeletArguments<'a> {
    let mut found = KubeletArguments::default();
    let extra: Vec<&str> = extra.into_iter().collect();
    for item in kubelet_items(&extra) {
        match item.name {
            "config" => found.config = item.value,
            "config-dir" => found.config_dir = item.value,
            _ => found.kept.push(extra[item.at]),
        }
    }
    found
}

/// An item of the kubelet's arguments, as K3s splits them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KubeletItem<'a> {
    /// Its position in the list.
    pub at: usize,
    /// Its name.
    pub name: &'a str,
    /// Its value: behind `=`, or the next item.
    pub value: Option<&'a str>,
    /// Whether the value is the next item.
    pub takes_next: bool,
}

impl KubeletItem<'_> {
    /// Tells whether K3s keeps it for itself: it copies the file or the folder, and the kubelet gets neither.
    #[must_use]
    pub fn is_of_k3s(&self) -> bool {
        ["config", "config-dir"].contains(&self.name)
    }
}

/// Returns the items of the kubelet's arguments that K3s looks at; it does not look at an item that the one before has taken
/// for its value.
#[must_use]
pub fn kubelet_items<'a>(extra: &[&'a str]) -> Vec<KubeletItem<'a>> {
    let mut items = Vec::new();
    let mut at = 0;
    while let Some(argument) = extra.get(at) {
        let plain = argument.strip_prefix("--").unwrap_or(argument);
        let item = match plain.split_once('=') {
            Some((name, value)) => KubeletItem { at, name, value: Some(value), takes_next: false },
            None => {
                let value = extra.get(at + 1).copied();
                KubeletItem { at, name: plain, value, takes_next: value.is_some() }
            }
        };
        at += 1 + usize::from(item.takes_next);
        items.push(item);
    }
    items
}

/// Returns the name of an argument as the component gets it: without K3s's own `+` or `-` at its end, and with dashes for
/// underscores.
#[must_use]
pub fn name_of(text: &str) -> String {
    let text = text.strip_prefix("--").unwrap_or(text);
    let name = text.split('=').next().unwrap_or(text);
    name.trim_end_matches(['+', '-']).replace('_', "-")
}

/// Splits an argument into its name as the component gets it, and its value, which is `true` if it has none.
#[must_use]
pub fn name_and_value(text: &str) -> (String, String) {
    let (_, value) = text.split_once('=').unwrap_or((text, "true"));
    (name_of(text), value.to_owned())
}

/// The component whose own flag set makes dashes of underscores (NewKubeletCommand in cmd/kubelet/app/server.go). For the
/// others `cli.Run` of k8s.io/component-base does so, which K3s does not call (pkg/daemons/executor/embed.go).
const TAKES_UNDERSCORES: &str = "kubelet";

/// Splits an argument into the name that its component knows it by, and its value: only the kubelet takes underscores
/// for dashes.
#[must_use]
pub fn as_component_takes(component: &str, text: &str) -> (String, String) {
    let (name, value) = name_and_value(text);
    if component == TAKES_UNDERSCORES { (name, value) } else { (written_name(text).to_owned(), value) }
}

/// Returns the name of an argument as it is written, without K3s's own `+` or `-` at its end.
fn written_name(text: &str) -> &str {
    let plain = text.strip_prefix("--").unwrap_or(text);
    plain.split('=').next().unwrap_or(plain).trim_end_matches(['+', '-'])
}

/// Returns why a component of a minor does not accept an argument that is written as `text`; none if it does. An empty
/// text is reported elsewhere.
#[must_use]
pub fn unknown(component: &str, minor: KubernetesMinor, text: &str) -> Option<String> {
    let (written, name) = (written_name(text), name_of(text));
    if component == TAKES_UNDERSCORES || !written.contains('_') {
        return component_flags::unknown(component, minor, &name).filter(|_| !text.is_empty());
    }
    component_flags::unknown(component, minor, written).map(|message| {
        match component_flags::unknown(component, minor, &name) {
            None => format!("{message}; the flag is named {name}"),
            Some(_) => message,
        }
    })
}

/// Tells whether `name=…`, `name+=…`, `name-=…` or `--name…` sets the argument; `_` in the name counts as `-`.
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

    #[test]
    fn only_the_kubelet_takes_underscores() {
        let unknown = |component, text| unknown(component, KubernetesMinor::new(33), text);
        assert_eq!(unknown("kubelet", "max_pods=1"), None);
        assert!(unknown("kubelet", "no_such=1").is_some());
        for (component, text, name) in [
            ("kube-apiserver", "--audit_log_maxage=1", "audit-log-maxage"),
            ("kube-apiserver", "audit_log-maxage+=1", "audit-log-maxage"),
            ("kube-proxy", "proxy_mode=iptables", "proxy-mode"),
            ("cloud-controller-manager", "leader_elect=false", "leader-elect"),
        ] {
            let message = unknown(component, text).unwrap_or_default();
            assert!(message.ends_with(&format!("the flag is named {name}")), "{message}");
        }
        assert!(unknown("kube-apiserver", "no_such=1").is_some_and(|message| !message.contains("named")));
        assert_eq!(unknown("kube-apiserver", "audit-log-maxage=a_b"), None);
    }
}
