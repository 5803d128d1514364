// SPDX-License-Identifier: Apache-2.0
//! The files that arguments of components name (data/argument-files.yaml): without them a component does not start, nor
//! with one that does not hold what it should.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::kubeconfig::{self, ReferredFile};
use super::yaml::{self, YamlValue};
use super::{abac_policy, certificates, settings, token_file};
use crate::embedded;
use crate::version::KubernetesMinor;

/// What the file of an argument holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileContent {
    /// Anything: a pair's file, or one that nobody judges.
    Anything,
    /// Certificates, each of which parses.
    Bundle,
    /// The same, or nothing.
    BundleOrNothing,
    /// A document that has a reader of its own.
    Document,
    /// Lists of the values of metrics' labels.
    MetricLabels,
    /// A kubeconfig of which the component makes a client.
    Kubeconfig,
    /// A kubeconfig of which the component makes a client later, or nothing.
    KubeconfigOrNothing,
    /// ABAC's policies, a line each.
    Policies,
    /// Public keys of service accounts.
    PublicKeys,
    /// The key that signs service accounts' tokens.
    SigningKey,
    /// Tokens with their users, as CSV.
    Tokens,
    /// A certificate that parses, or nothing.
    Trusted,
}

/// The arguments whose files are a certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct KeyedPair {
    /// The argument that names the certificate.
    pub certificate: String,
    /// The argument that names the key.
    pub key: String,
    /// Whether the component refuses one without the other; otherwise it does not look at one alone.
    #[serde(default)]
    pub refuses_one: bool,
    /// The last minor that opens the files, where the flags are newer.
    #[serde(default)]
    pub until: Option<KubernetesMinor>,
    /// The argument with the port without which nobody opens the files, where it is another than `secure-port`.
    #[serde(default)]
    pub port: Option<String>,
    /// The names of the controller that opens the files and takes one certificate, whether the component serves or not.
    #[serde(default)]
    pub controller: Vec<String>,
}

/// The folder in which a component looks for a certificate and its key where no argument names them; it makes both if both
/// are missing.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairFolder {
    /// The argument that names the certificate.
    pub certificate: String,
    /// The name of the files, without their endings `.crt` and `.key`.
    pub pair: String,
}

/// The arguments of a component that name files.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ArgumentFiles {
    /// Each argument, and what its file holds.
    pub files: BTreeMap<String, FileContent>,
    /// Certificates with their keys.
    pub pairs: Vec<KeyedPair>,
    /// The arguments that name a folder for a certificate and its key.
    pub folders: BTreeMap<String, PairFolder>,
    /// The arguments whose items are the files of a certificate and its key.
    pub keyed: Vec<String>,
    /// The arguments whose file nobody opens where another argument is set.
    pub unless: BTreeMap<String, String>,
    /// The arguments whose file may lack the server, because another argument goes before it.
    pub overridden: BTreeMap<String, String>,
    /// The arguments whose file nobody opens where another argument is off.
    pub only_with: BTreeMap<String, String>,
    /// The first minor that opens the file of an argument, where its flag is older.
    pub since: BTreeMap<String, KubernetesMinor>,
    /// The arguments whose files, like those of `pairs` and `keyed`, nobody opens where `secure-port` is 0.
    pub serving: Vec<String>,
}

/// Returns the arguments of a component that name files; none if it has no such.
#[must_use]
pub fn of(component: &str) -> Option<&'static ArgumentFiles> {
    static TABLE: LazyLock<BTreeMap<String, ArgumentFiles>> =
        LazyLock::new(|| embedded::table("argument-files"));
    TABLE.get(component)
}

/// Tells whether a component opens the file, or the folder, that an argument names.
#[must_use]
pub fn is_opened(component: &str, flag: &str) -> bool {
    let is_of_pair = |pair: &KeyedPair| pair.certificate == flag || pair.key == flag;
    of(component).is_some_and(|files| {
        files.files.contains_key(flag)
            || files.folders.contains_key(flag)
            || files.keyed.iter().any(|keyed| keyed == flag)
            || files.pairs.iter().any(is_of_pair)
    })
}

impl FileContent {
    /// Checks the content of a file; `look` opens a file that it names.
    ///
    /// # Errors
    /// The component's own message.
    pub fn check(self, bytes: &[u8], look: &dyn Fn(&str) -> ReferredFile) -> Result<(), String> {
        let is_empty = bytes.is_empty();
        match self {
            Self::Bundle if is_empty => Err("missing content for CA bundle".to_owned()),
            Self::BundleOrNothing | Self::Trusted if is_empty => Ok(()),
            Self::Bundle | Self::BundleOrNothing => certificates::check_bundle(bytes),
            Self::Trusted if certificates::has_certificate(bytes) => Ok(()),
            Self::Trusted => Err("unable to load root certificates".to_owned()),
            Self::PublicKeys => certificates::check_public_keys(bytes),
            Self::SigningKey => certificates::check_signing_key(bytes),
            Self::Tokens => token_file::check(bytes),
            Self::Kubeconfig => kubeconfig::check(bytes, look),
            Self::KubeconfigOrNothing if is_empty => Ok(()),
            Self::KubeconfigOrNothing => kubeconfig::read(bytes).map(|_| ()),
            Self::MetricLabels => check_metric_labels(bytes),
            Self::Policies => abac_policy::check(bytes),
            Self::Anything | Self::Document => Ok(()),
        }
    }

    /// Returns what it is, in words.
    #[must_use]
    pub fn wanted(self) -> &'static str {
        match self {
            Self::Anything => "anything",
            Self::Document => "a document",
            Self::Bundle | Self::BundleOrNothing | Self::Trusted => "certificates in PEM",
            Self::MetricLabels => "a map of metric,label: values",
            Self::Kubeconfig | Self::KubeconfigOrNothing => "a kubeconfig",
            Self::Policies => "policies of ABAC, a line of JSON each",
            Self::PublicKeys => "public keys in PEM, RSA or ECDSA",
            Self::SigningKey => "a private key in PEM, RSA or ECDSA, without a password",
            Self::Tokens => "rows of token,user,uid",
        }
    }

    /// Tells whether it can be in a file that K3s makes, by the file's name; K3s writes a certificate into `.crt`, and a
    /// key into `.key`.
    #[must_use]
    pub fn fits_name(self, name: &str) -> bool {
        match self {
            Self::Bundle | Self::BundleOrNothing | Self::Trusted => {
                !name.ends_with(".key") && !name.ends_with(".kubeconfig")
            }
            Self::SigningKey => !name.ends_with(".crt") && !name.ends_with(".kubeconfig"),
            Self::PublicKeys => !name.ends_with(".kubeconfig"),
            Self::Kubeconfig | Self::KubeconfigOrNothing => {
                !name.ends_with(".crt") && !name.ends_with(".key")
            }
            Self::Anything | Self::Document | Self::MetricLabels | Self::Policies | Self::Tokens => true,
        }
    }
}

/// `validateAllowListMappingManifest` of component-base: a map of texts, by the name of a metric and that of a label.
fn check_metric_labels(bytes: &[u8]) -> Result<(), String> {
    let refused = |problem: &str| format!("failed to parse allow list manifest: {problem}");
    let (root, _) = yaml::read_merged(bytes).map_err(|problem| refused(&problem.message))?;
    let pairs = match root.filter(|root| !root.is_null()).map(|root| root.value) {
        Some(YamlValue::Map(pairs)) => pairs,
        None => return Ok(()),

        Some(_) => return Err(refused("cannot unmarshal into map[string]string")),
    };
    for (key, node) in &pairs {
        if matches!(node.value, YamlValue::Map(_) | YamlValue::List(_)) {
            return Err(refused("cannot unmarshal into string"));
        }
        if !settings::is_metric_label(key.go_text().as_str()) {
            return Err(
                "invalid allow list mapping in manifest: must have keys with format `metricName,labelName`"
                    .to_owned(),
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_of_labels_is_a_map_of_texts() {
        for good in ["", "# nothing\n", "'a,b': 'c,d'\n", "m_a,l: 1\n", "'a,b':\n"] {
            assert_eq!(check_metric_labels(good.as_bytes()), Ok(()), "{good:?}");
        }
        for bad in ["this is: [no such thing\n", "[a]\n", "text\n", "'a,b': [c]\n", "a: b\n", "'a,b:c': d\n"]
        {
            assert!(check_metric_labels(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_is_only_read_under_a_condition_is_a_file_of_the_component() {
        for component in
            ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "cloud-controller-manager"]
        {
            let files = of(component).unwrap();
            let conditions = files.unless.keys().chain(files.only_with.keys()).chain(files.since.keys());
            for flag in conditions.chain(files.overridden.keys()).chain(&files.serving) {
                assert!(files.files.contains_key(flag), "{component} {flag}");
            }
        }
    }
}
