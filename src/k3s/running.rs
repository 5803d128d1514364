//! The components that run on a node, and the flags that each of them gets.

use std::collections::BTreeMap;

use super::arguments;
use super::components;
use super::datastore::Datastore;
use super::effective::{ConfigQuery, EffectiveValue};
use super::flags;
use super::own_flags::OwnFlags;
use crate::Role;
use crate::node::Root;

type Values = BTreeMap<String, EffectiveValue>;

/// Returns a warning for each argument that its component does not know.
pub(super) fn unknown_arguments(values: &Values, query: ConfigQuery<'_>) -> Vec<String> {
    let given = values.iter().filter_map(|(name, value)| {
        Some((components::of_key(components::present_name(name), query.role)?, value))
    });
    given
        .flat_map(|(component, value)| {
            value.items.iter().zip(&value.origins).filter_map(move |(item, origin)| {
                Some(format!("{origin}: {}", arguments::unknown(component, query.release.minor(), item)?))
            })
        })
        .collect()
}

/// Tells whether a flag that is on or off is on.
fn is_on(values: &Values, name: &str) -> bool {
    values.get(name).and_then(|value| value.items.last()).is_some_and(|text| flags::is_true(text))
}

/// Tells whether K3s will run etcd itself.
fn has_embedded_etcd(root: &Root, values: &Values, query: ConfigQuery<'_>) -> bool {
    let given = |name: &str| {
        values.get(name).and_then(|value| value.items.last()).is_some_and(|text| !text.is_empty())
    };
    let begun = root.exists(&query.data_dir.join(Datastore::ETCD));
    query.role == Role::Server
        && Datastore::chosen(given, |name| is_on(values, name), begun) == Datastore::Etcd
}

/// Returns each component's flags: K3s' own for the minor, with the user's arguments merged in.
pub(super) fn flags_of_components(
    root: &Root,
    values: &Values,
    query: ConfigQuery<'_>,
) -> BTreeMap<String, Vec<String>> {
    let own = OwnFlags {
        minor: query.release.minor(),
        data_dir: query.data_dir,
        etcd: has_embedded_etcd(root, values, query),
        encrypts_secrets: is_on(values, flags::ENCRYPTION_KEY),
        protects_kernel_defaults: is_on(values, flags::KERNEL_DEFAULTS_KEY),
    };
    let flags = components::running_in(query.role).filter_map(|(name, component)| {
        let given = component.keys_in_order().filter_map(|key| values.get(key));
        let extra: Vec<&str> = given.flat_map(|value| &value.items).map(String::as_str).collect();
        Some((name.to_owned(), own.merged(name, component, &extra)?))
    });
    flags.collect()
}
