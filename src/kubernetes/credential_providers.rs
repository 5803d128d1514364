// SPDX-License-Identifier: Apache-2.0
//! The kubelet's plugins for the credentials of images (CredentialProviderConfig): what it refuses in their configuration.
//!
//! Source: `readCredentialProviderConfig`, `validateCredentialProviderConfig` (config.go) and
//! `RegisterCredentialProviderPlugins` (plugin.go) in pkg/credentialprovider/plugin of Kubernetes.

use super::config_fields;
use super::flag_values;
use super::go_url;
use super::names;
use super::object::{self, ObjectFile};
use super::yaml::YamlNode;
use crate::version::KubernetesMinor;

/// The feature gate that `tokenAttributes` needs.
pub const TOKENS_GATE: &str = "KubeletServiceAccountTokenForCredentialProviders";

const KIND: &str = "CredentialProviderConfig";
const GROUP: &str = "credentialprovider.kubelet.k8s.io";
/// The newest version of the plugins' group, which alone has `tokenAttributes`.
const NEWEST: &str = "v1";
/// The versions of the plugins' group, with the first minor that has each (k8s.io/kubelet/pkg/apis/credentialprovider).
const VERSIONS: [(&str, KubernetesMinor); 3] = [
    ("v1alpha1", KubernetesMinor::new(20)),
    ("v1beta1", KubernetesMinor::new(24)),
    (NEWEST, KubernetesMinor::new(26)),
];
/// The first minor that decodes strictly.
const STRICT_FROM: KubernetesMinor = KubernetesMinor::new(32);
/// The first minor that refuses two plugins with one name.
const UNIQUE_FROM: KubernetesMinor = KubernetesMinor::new(33);
/// The first minor that takes a folder of files.
const FOLDER_FROM: KubernetesMinor = KubernetesMinor::new(34);
/// The first minor that wants a type of cache with `tokenAttributes`.
const CACHE_FROM: KubernetesMinor = KubernetesMinor::new(34);
const CACHES: [&str; 2] = ["ServiceAccount", "Token"];
/// The ends of the files' names that are read in a folder.
const ENDS: [&str; 3] = [".json", ".yaml", ".yml"];

/// Tells whether a minor reads the files of a folder.
#[must_use]
pub fn takes_folder(minor: KubernetesMinor) -> bool {
    minor >= FOLDER_FROM
}

/// Tells whether a file of a folder is read, by its name.
#[must_use]
pub fn is_read(name: &str) -> bool {
    ENDS.iter().any(|end| name.ends_with(end))
}

/// Returns the names of the plugins in the files of a configuration, as the kubelet of a minor merges them. `has_tokens`
/// tells that the gate of `tokenAttributes` is on.
///
/// # Errors
/// Why the kubelet refuses it.
pub fn read(files: &[Vec<u8>], minor: KubernetesMinor, has_tokens: bool) -> Result<Vec<String>, String> {
    let mut documents = Vec::new();
    for bytes in files {
        documents.push(decoded(bytes, minor).map_err(|reason| format!("error decoding config: {reason}"))?);
    }
    let providers: Vec<&YamlNode> =
        documents.iter().flat_map(|document| object::items(&document.root, "providers")).collect();
    let refused = |reason: String| format!("failed to validate credential provider config: {reason}");
    if providers.is_empty() {
        return Err(refused("providers: Required value: at least 1 item in plugins is required".to_owned()));
    }
    let mut names: Vec<String> = Vec::new();
    for provider in providers {
        check(provider, minor, has_tokens).map_err(refused)?;
        let name = object::text(provider, "name").to_owned();
        if minor >= UNIQUE_FROM && names.contains(&name) {
            return Err(refused(format!("providers.name: Duplicate value: {name:?}")));
        }
        names.push(name);
    }
    Ok(names)
}

fn decoded(bytes: &[u8], minor: KubernetesMinor) -> Result<ObjectFile, String> {
    let document = ObjectFile::read(bytes).map_err(|fault| fault.message)?;
    document.expect(&config_fields::registered(KIND, minor)).map_err(|fault| fault.message)?;
    let decoded = config_fields::decode_file(&document, minor).map_err(|fault| fault.message)?;
    if minor >= STRICT_FROM {
        object::refuse_dropped(&decoded.unknown).map_err(|fault| fault.message)?;
    }
    Ok(document)
}

/// Checks a plugin.
fn check(provider: &YamlNode, minor: KubernetesMinor, has_tokens: bool) -> Result<(), String> {
    let name = object::text(provider, "name");
    if name.contains(['/', ' ']) || name == "." || name == ".." {
        return Err(format!("providers.name: Invalid value: {name:?}"));
    }
    let version = object::text(provider, "apiVersion");
    let number = version.strip_prefix(GROUP).and_then(|rest| rest.strip_prefix('/')).unwrap_or_default();
    if !VERSIONS.iter().any(|(known, from)| *known == number && *from <= minor) {
        return Err(format!("providers.apiVersion: Unsupported value: {version:?}"));
    }
    let images = object::texts(provider, "matchImages");
    if images.is_empty() {
        return Err(
            "providers.matchImages: Required value: at least 1 item in matchImages is required".to_owned()
        );
    }
    for image in images {
        go_url::parse(&format!("https://{image}"))
            .map_err(|why| format!("providers.matchImages: Invalid value: {image:?}: {why}"))?;
    }
    if object::field(provider, "defaultCacheDuration").is_none() {
        return Err("providers.defaultCacheDuration: Required value".to_owned());
    }
    let duration = object::text(provider, "defaultCacheDuration");
    if flag_values::duration(duration).is_none_or(|duration| duration < 0) {
        return Err(format!("providers.defaultCacheDuration: Invalid value: {duration:?}"));
    }
    match object::field(provider, "tokenAttributes") {
        Some(tokens) => check_tokens(tokens, number, minor, has_tokens),
        None => Ok(()),
    }
}

/// Checks the tokens that a plugin gets.
fn check_tokens(
    tokens: &YamlNode,
    version: &str,
    minor: KubernetesMinor,
    has_tokens: bool,
) -> Result<(), String> {
    let wrong = |reason: String| Err(format!("providers.tokenAttributes{reason}"));
    if !has_tokens {
        return wrong(format!(": Forbidden: not supported when the feature gate {TOKENS_GATE} is off"));
    }
    if version != NEWEST {
        return wrong(format!(": Forbidden: only supported for {GROUP}/{NEWEST}"));
    }
    if object::text(tokens, "serviceAccountTokenAudience").is_empty() {
        return wrong(".serviceAccountTokenAudience: Required value".to_owned());
    }
    let Some(requires) = object::field(tokens, "requireServiceAccount") else {
        return wrong(".requireServiceAccount: Required value".to_owned());
    };
    let required = object::texts(tokens, "requiredServiceAccountAnnotationKeys");
    let optional = object::texts(tokens, "optionalServiceAccountAnnotationKeys");
    if flag_values::boolean(&requires.go_text()) == Some(false) && !required.is_empty() {
        return wrong(
            ".requiredServiceAccountAnnotationKeys: Forbidden: requireServiceAccount is false".to_owned(),
        );
    }
    for (at, key) in required.iter().chain(&optional).enumerate() {
        if !names::is_qualified(&key.to_lowercase()) {
            return wrong(format!(": Invalid value: {key:?} is no name of an annotation"));
        }
        if required.iter().chain(&optional).take(at).any(|earlier| earlier == key) {
            return wrong(format!(": Invalid value: {key:?} is there twice"));
        }
    }
    let cache = object::text(tokens, "cacheType");
    if minor >= CACHE_FROM && !CACHES.contains(&cache) {
        return wrong(format!(".cacheType: Unsupported value: {cache:?}"));
    }
    Ok(())
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
    const TOKENS: &str = "    tokenAttributes: {serviceAccountTokenAudience: a, cacheType: Token, requireServiceAccount: true, requiredServiceAccountAnnotationKeys: [a.example/b]}\n";

    fn refuses(minor: &str, text: &str) -> bool {
        read(&[text.as_bytes().to_vec()], minor.parse().unwrap(), true).is_err()
    }

    #[test]
    fn a_plugin_has_all_that_the_kubelet_asks_for() {
        assert_eq!(
            read(&[GOOD.as_bytes().to_vec()], "1.33".parse().unwrap(), true),
            Ok(vec!["ecr".to_owned()])
        );
        let old = GOOD.replace("/v1\n", "/v1beta1\n");
        assert!(!refuses("1.33", &old) && !refuses("1.24", &old) && refuses("1.23", &old));
        assert!(refuses("1.25", GOOD));
        for (from, to) in [
            ("kind: CredentialProviderConfig", "kind: KubeletConfiguration"),
            ("kubelet.config.k8s.io/v1", "v1"),
            ("    defaultCacheDuration: 12h\n", ""),
            ("12h", "12"),
            ("12h", "-1s"),
            ("    apiVersion: credentialprovider.kubelet.k8s.io/v1\n", ""),
            ("['*.registry.example']", "[]"),
            ("*.registry.example", "a b"),
            ("name: ecr", "name: a/b"),
            ("name: ecr", "name: 1"),
        ] {
            assert!(refuses("1.33", &GOOD.replacen(from, to, 1)), "{to}");
        }
        for text in ["", "a: [", "providers: []\n"] {
            assert!(refuses("1.33", text), "{text}");
        }
    }

    #[test]
    fn an_unknown_field_counts_from_where_the_file_is_read_strictly() {
        let text = format!("{GOOD}    unknown: 1\n");
        assert!(refuses("1.32", &text) && !refuses("1.31", &text));
    }

    #[test]
    fn two_files_may_not_have_one_plugin() {
        let files = [GOOD.as_bytes().to_vec(), GOOD.as_bytes().to_vec()];
        assert!(read(&files, "1.34".parse().unwrap(), true).is_err());
        let other = GOOD.replace("ecr", "gcr");
        let names = read(&[files[0].clone(), other.into_bytes()], "1.34".parse().unwrap(), true);
        assert_eq!(names, Ok(vec!["ecr".to_owned(), "gcr".to_owned()]));
    }

    #[test]
    fn a_plugin_with_tokens_says_which() {
        let good = format!("{GOOD}{TOKENS}");
        assert!(!refuses("1.34", &good) && refuses("1.32", &good));
        assert!(read(&[good.clone().into_bytes()], "1.34".parse().unwrap(), false).is_err());
        for (from, to) in [
            ("serviceAccountTokenAudience: a, ", ""),
            ("requireServiceAccount: true", "requireServiceAccount: false"),
            ("requireServiceAccount: true, ", ""),
            ("cacheType: Token", "cacheType: token"),
            ("a.example/b", "a b"),
            ("[a.example/b]", "[a, a]"),
            ("kubelet.k8s.io/v1\n", "kubelet.k8s.io/v1beta1\n"),
        ] {
            assert!(refuses("1.34", &good.replacen(from, to, 1)), "{to}");
        }
        assert!(!refuses("1.34", GOOD));
    }
}
