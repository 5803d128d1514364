//! Fields that came with a later minor: the decoder of an earlier one does not know them.

use super::object::{Fault, field_path};
use super::yaml::{YamlNode, YamlValue};
use crate::version::KubernetesMinor;

/// Returns the fields that came with a later minor, as the decoder of this one reports them. `since` has the names, which
/// are the same at every level, with the first minor that has each.
pub(super) fn newer_fields(
    root: &YamlNode,
    minor: KubernetesMinor,
    since: &[(&str, KubernetesMinor)],
) -> Vec<Fault> {
    let mut found = Vec::new();
    find_newer_fields(root, "", minor, since, &mut found);
    found
}

fn find_newer_fields(
    node: &YamlNode,
    path: &str,
    minor: KubernetesMinor,
    since: &[(&str, KubernetesMinor)],
    found: &mut Vec<Fault>,
) {
    match &node.value {
        YamlValue::Scalar(_) => {}
        YamlValue::List(items) => {
            for (index, item) in items.iter().enumerate() {
                find_newer_fields(item, &format!("{path}[{index}]"), minor, since, found);
            }
        }
        YamlValue::Map(pairs) => {
            for (key, value) in pairs {
                let name = key.go_text();
                let path = field_path(path, &name);
                match since.iter().find(|(known, from)| *known == name && minor < *from) {
                    Some((_, from)) => found.push(Fault::new(
                        key.position,
                        format!("unknown field {path:?} (it comes with {from})"),
                    )),
                    None => find_newer_fields(value, &path, minor, since, found),
                }
            }
        }
    }
}
