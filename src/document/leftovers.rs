// SPDX-License-Identifier: Apache-2.0
//! What stays in a cluster when a manifest goes: K3s's deploy controller applies files and never removes what it
//! applied (K3s documentation, "Auto-deploying manifests").

use serde::Deserialize as _;
use serde_yaml::Value;

/// Returns the commands that take out of a cluster what `before` has and `after` has not, object by object.
///
/// A ServiceAccount that Kubernetes creates is not removed: it gets back the field that was set.
#[must_use]
pub fn leftovers(before: &str, after: &str) -> Vec<String> {
    let stay = objects(after);
    objects(before)
        .into_iter()
        .filter(|object| !stay.contains(object))
        .map(|object| object.command())
        .collect()
}

/// An object by its names.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LeftoverObject {
    kind: String,
    name: String,
    namespace: Option<String>,
}

impl LeftoverObject {
    fn command(&self) -> String {
        let Self { kind, name, namespace } = self;
        let namespace = namespace.as_ref().map(|it| format!(" --namespace {it}")).unwrap_or_default();
        match kind.as_str() {
            "serviceaccount" if name == "default" => format!(
                "k3s kubectl patch serviceaccount default{namespace} --type merge --patch '{{\"automountServiceAccountToken\": null}}'"
            ),
            _ => format!("k3s kubectl delete {kind} {name}{namespace}"),
        }
    }
}

/// Reads the objects of a manifest; what is no object is left out.
fn objects(text: &str) -> Vec<LeftoverObject> {
    let documents = serde_yaml::Deserializer::from_str(text);
    let read = documents.map_while(|document| Value::deserialize(document).ok());
    let field = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let object = |value: Value| {
        let metadata = value.get("metadata")?;
        Some(LeftoverObject {
            kind: field(&value, "kind")?.to_lowercase(),
            name: field(metadata, "name")?,
            namespace: field(metadata, "namespace"),
        })
    };
    read.filter_map(object).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: dns\n  namespace: kube-system\n";
    const ACCOUNT: &str =
        "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: default, namespace: default}\n";
    const ROLE: &str = "---\nkind: ClusterRole\nmetadata: {name: psp}\n";

    #[test]
    fn each_object_has_its_command() {
        let before = format!("# ours\n{POLICY}{ACCOUNT}{ROLE}---\n");
        assert_eq!(
            leftovers(&before, ""),
            [
                "k3s kubectl delete networkpolicy dns --namespace kube-system",
                "k3s kubectl patch serviceaccount default --namespace default --type merge --patch '{\"automountServiceAccountToken\": null}'",
                "k3s kubectl delete clusterrole psp",
            ]
        );
        assert_eq!(leftovers(&before, &format!("{ROLE}---\n{POLICY}")).len(), 1);
        assert!(leftovers("", &before).is_empty());
    }
}
