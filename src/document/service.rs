//! Warnings if the service that starts K3s overrides the drop-in or repeats an argument of it.

use super::DropIn;
use super::existing::{is_same_value, repeated_argument};
use crate::Role;
use crate::error::Result;
use crate::k3s::ServiceFlags;
use crate::k3s::arguments;
use crate::k3s::components::{self, present_name};
use crate::node::Root;
use crate::version::KubernetesMinor;

/// Returns what the command line of the service still overrides or gives twice, and which of its arguments their
/// components do not know: the drop-in cannot change that.
///
/// # Errors
/// If a service cannot be read.
pub fn service_warnings(
    root: &Root,
    role: Role,
    minor: KubernetesMinor,
    ours: &DropIn,
) -> Result<Vec<String>> {
    let ServiceFlags { path, flags } = ServiceFlags::read(root, role)?;
    let mut warnings = Vec::new();
    for (name, text) in flags {
        let unknown = Some(present_name(&name))
            .filter(|name| name.ends_with("-arg"))
            .and_then(|name| components::of_key(name, role))
            .and_then(|component| arguments::unknown(component, minor, &text));
        warnings.extend(unknown.map(|message| format!("{path}: {message}")));
        let component =
            name.strip_suffix("-arg").and_then(|name| ours.components.iter().find(|ours| ours.name == name));
        warnings.extend(component.and_then(|component| repeated_argument(component, &text, &path)));
        for key in ours.keys.iter().filter(|key| key.name == name && !is_same_value(&text, &key.value)) {
            warnings.push(format!(
                "{path} sets {name} to {text:?}, which counts more than ours, {}: remove it there",
                key.value
            ));
        }
    }
    Ok(warnings)
}
