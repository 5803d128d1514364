//! The kubelet's plugins for the credentials of images, which `image-credential-provider-config` and
//! `image-credential-provider-bin-dir` name.

use super::reader::{Answer, OwnReader};
use super::rules::OwnRule;
use crate::error::Result;
use crate::k3s::flags;
use crate::kubernetes::flag_values;
use crate::kubernetes::yaml::{self, YamlNode, YamlValue};
use crate::node::{PathKind, Root, RootedPath};
use crate::version::KubernetesMinor;

const KIND: &str = "CredentialProviderConfig";
const GROUP: &str = "kubelet.config.k8s.io/";
const PROVIDER_GROUP: &str = "credentialprovider.kubelet.k8s.io/";
/// The versions of both groups, with the first minor that has each (k8s.io/kubelet config and credentialprovider).
const VERSIONS: [(&str, KubernetesMinor); 3] = [
    ("v1alpha1", KubernetesMinor::new(20)),
    ("v1beta1", KubernetesMinor::new(24)),
    ("v1", KubernetesMinor::new(26)),
];

/// The configuration of the plugins, if K3s hands it to the kubelet: the folder and the file are there.
pub(super) fn credential_providers(reader: &OwnReader<'_>, rule: &OwnRule) -> Result<Answer> {
    let [config, folder] = rule.keys.as_slice() else { return Ok(Answer::Fine) };
    let text = |key: &str| reader.text(key).or_else(|| flags::default_text(key)).unwrap_or_default();
    let (config, folder) = (text(config), text(folder));
    if config.is_empty() || folder.is_empty() {
        return Ok(Answer::Fine);
    }
    let (path, folder) = (reader.node.path(config)?, reader.node.path(folder)?);
    let root = reader.node.root;
    if !root.is_directory(&folder) || root.kind(&path)? != PathKind::File {
        return Ok(Answer::Fine);
    }
    let bytes = root.read(&path)?.unwrap_or_default();
    let fault = match providers(&bytes, reader.node.minor()) {
        Ok(names) => missing_plugin(root, &folder, &names)?,
        Err(reason) => Some(reason),
    };
    Ok(fault.map_or(Answer::Fine, |reason| Answer::because(config, reason)))
}

fn missing_plugin(root: &Root, folder: &RootedPath, names: &[String]) -> Result<Option<String>> {
    for name in names {
        let path = folder.join(name);
        if !matches!(root.kind(&path)?, PathKind::File | PathKind::Other) {
            return Ok(Some(format!("plugin binary executable {path} did not exist")));
        }
    }
    Ok(None)
}

/// Returns the names of the plugins in a configuration, or why the kubelet refuses it.
fn providers(bytes: &[u8], minor: KubernetesMinor) -> std::result::Result<Vec<String>, String> {
    let undecoded = |reason: &str| format!("error decoding config: {reason}");
    let node = yaml::read(bytes).map_err(|_| undecoded("it is no YAML"))?;
    let node = node.ok_or_else(|| undecoded("Object 'Kind' is missing"))?;
    let has_version = |text: &str, group: &str| {
        let version = text.strip_prefix(group).unwrap_or_default();
        VERSIONS.iter().any(|(known, from)| *known == version && *from <= minor)
    };
    let (kind, version) = (text_of(&node, "kind"), text_of(&node, "apiVersion"));
    if kind != KIND || !has_version(&version, GROUP) {
        return Err(undecoded(&format!("no kind {kind:?} is registered for version {version:?}")));
    }
    let refused = |reason: String| format!("failed to validate credential provider config: {reason}");
    let items = match field(&node, "providers").map(|node| &node.value) {
        Some(YamlValue::List(items)) if !items.is_empty() => items,
        _ => {
            return Err(refused(
                "providers: Required value: at least 1 item in plugins is required".to_owned(),
            ));
        }
    };
    let mut names: Vec<String> = Vec::new();
    for item in items {
        let (name, version) = (text_of(item, "name"), text_of(item, "apiVersion"));
        if name.contains(['/', ' ']) || name == "." || name == ".." || names.contains(&name) {
            return Err(refused(format!("providers.name: Invalid value: {name:?}")));
        }
        if !has_version(&version, PROVIDER_GROUP) {
            return Err(refused(format!("providers.apiVersion: Unsupported value: {version:?}")));
        }
        if !matches!(field(item, "matchImages").map(|node| &node.value), Some(YamlValue::List(it)) if !it.is_empty())
        {
            return Err(refused("providers.matchImages: Required value".to_owned()));
        }
        let duration = text_of(item, "defaultCacheDuration");
        if flag_values::duration(&duration).is_none_or(|duration| duration < 0) {
            return Err(refused(format!("providers.defaultCacheDuration: Invalid value: {duration:?}")));
        }
        names.push(name);
    }
    Ok(names)
}

fn field<'n>(node: &'n YamlNode, name: &str) -> Option<&'n YamlNode> {
    let YamlValue::Map(pairs) = &node.value else { return None };
    pairs.iter().find(|(key, _)| key.go_text() == name).map(|(_, value)| value)
}

fn text_of(node: &YamlNode, name: &str) -> String {
    field(node, name).filter(|value| !value.is_null()).map(YamlNode::go_text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
  - name: ecr
    apiVersion: credentialprovider.kubelet.k8s.io/v1
    matchImages: ['*.registry.example']
    defaultCacheDuration: 12h
";

    fn refuses(minor: &str, text: &str) -> bool {
        providers(text.as_bytes(), minor.parse().unwrap()).is_err()
    }

    #[test]
    fn a_plugin_has_all_that_the_kubelet_asks_for() {
        assert_eq!(providers(GOOD.as_bytes(), "1.33".parse().unwrap()), Ok(vec!["ecr".to_owned()]));
        let old = GOOD.replace("/v1\n", "/v1beta1\n");
        assert!(!refuses("1.33", &old) && !refuses("1.24", &old) && refuses("1.23", &old));
        assert!(refuses("1.25", GOOD));
        for (from, to) in [
            ("kind: CredentialProviderConfig", "kind: KubeletConfiguration"),
            ("kubelet.config.k8s.io/v1", "v1"),
            ("    defaultCacheDuration: 12h\n", ""),
            ("12h", "12"),
            ("    apiVersion: credentialprovider.kubelet.k8s.io/v1\n", ""),
            ("['*.registry.example']", "[]"),
            ("name: ecr", "name: a/b"),
        ] {
            assert!(refuses("1.33", &GOOD.replacen(from, to, 1)), "{to}");
        }
        for text in ["", "a: [", "providers: []\n"] {
            assert!(refuses("1.33", text), "{text}");
        }
    }
}
