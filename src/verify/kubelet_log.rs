// SPDX-License-Identifier: Apache-2.0
//! What the configuration that the kubelet logged says of the node as a whole: that it is not that of the files, or that it
//! cannot be read.

use super::evidence::Evidence;
use super::facts::NodeFacts;
use crate::kubernetes::kubelet_config::KubeletField;
use crate::kubernetes::kubelet_fields;
use crate::kubernetes::settings::TypedValue;

/// How many fields are named.
const NAMED: usize = 3;
/// What the fields begin with that the kubelet logs in another form than it reads them.
const OTHER_FORM: [&str; 2] = ["logging.", "staticPodURLHeader"];

/// Returns what a report says once: why the logged configuration is not read, or how many fields of the kubelet's files the
/// running kubelet has not taken.
pub(super) fn findings(facts: &NodeFacts<'_>) -> Option<Evidence> {
    let logged = match facts.logged_kubelet()? {
        Ok(logged) => logged,
        Err(error) => {
            return Some(Evidence { text: error.message().to_owned(), place: error.place().cloned() });
        }
    };
    let flags = facts.flags("kubelet").flags;
    let is_argument = |path: &str| {
        flags.iter().any(|(name, _)| kubelet_fields::of_flag(name).is_some_and(|field| field == path))
    };
    let fields = facts.kubelet_config().ok()?.fields();
    let differing: Vec<(&str, &KubeletField)> = fields
        .filter(|(path, _)| !OTHER_FORM.iter().any(|start| path.starts_with(start)) && !is_argument(path))
        .filter(|(path, field)| match logged.get(path) {
            Some(logged) => !is_same(&logged.items, &field.items),
            // The kubelet does not log what is zero.
            None => {
                !field.items.iter().all(|item| matches!(item.as_str(), "" | "0" | "0s" | "false" | "null"))
            }
        })
        .collect();
    let (_, first) = differing.first()?;
    let mut names: Vec<&str> = differing.iter().map(|(path, _)| *path).take(NAMED).collect();
    if differing.len() > NAMED {
        names.push("…");
    }
    let text = format!(
        "the running kubelet does not use its current files: {} fields differ from the configuration that it logged at \
         its start ({}). The files take effect at the next start",
        differing.len(),
        names.join(", ")
    );
    Some(Evidence { text, place: first.place.clone() })
}

/// Tells whether two values are the same, as texts or as amounts: `60s` is `1m0s`.
fn is_same(one: &[String], other: &[String]) -> bool {
    let amount = |text: &String| TypedValue::amount(text);
    let same = |(one, other): (&String, &String)| {
        one == other || amount(one).is_some() && amount(one) == amount(other)
    };
    one.len() == other.len() && one.iter().zip(other).all(same)
}
