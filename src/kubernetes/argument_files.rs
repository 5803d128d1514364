//! The files that arguments of components name (data/argument-files.yaml): without them a component does not start, nor
//! with one that does not hold what it should.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::kubeconfig::{self, ReferredFile};
use super::settings::is_metric_label;
use super::yaml::{self, YamlValue};
use super::{abac_policy, certificates, token_file};
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
    /// A kubeconfig of which the component makes a client.
    Kubeconfig,
    /// Labels of metrics with the values that they may have.
    MetricLabels,
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
    /// Whether the component does without both where one file is empty.
    #[serde(default)]
    pub may_be_empty: bool,
}

/// The arguments of a component that name files.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ArgumentFiles {
    /// Each argument, and what its file holds.
    pub files: BTreeMap<String, FileContent>,
    /// Certificates with their keys.
    pub pairs: Vec<KeyedPair>,
    /// The arguments whose items are the files of a certificate and its key.
    pub keyed: Vec<String>,
    /// The arguments whose file nobody opens where another argument is set.
    pub unless: BTreeMap<String, String>,
    /// The arguments whose file only later minors refuse, and the first that does.
    pub since: BTreeMap<String, KubernetesMinor>,
}

/// Returns the arguments of a component that name files; none if it has no such.
#[must_use]
pub fn of(component: &str) -> Option<&'static ArgumentFiles> {
    static TABLE: LazyLock<BTreeMap<String, ArgumentFiles>> =
        LazyLock::new(|| embedded::table("argument-files"));
    TABLE.get(component)
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
            Self::Kubeconfig => "a kubeconfig",
            Self::MetricLabels => "lines such as \"metric,label\": \"value,value\"",
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
            Self::Kubeconfig => !name.ends_with(".crt") && !name.ends_with(".key"),
            Self::Anything | Self::Document | Self::MetricLabels | Self::Policies | Self::Tokens => true,
        }
    }
}

/// Checks a manifest of the values that labels of metrics may have (`validateAllowListMappingManifest` in metrics/api/v1 of
/// k8s.io/component-base).
fn check_metric_labels(bytes: &[u8]) -> Result<(), String> {
    let parsed = yaml::read(bytes)
        .map_err(|problem| format!("failed to parse allow list manifest: yaml: {}", problem.message))?;
    let Some(root) = parsed.filter(|root| !root.is_null()) else { return Ok(()) };
    let wrong = || Err("failed to parse allow list manifest: yaml: unmarshal errors".to_owned());
    let YamlValue::Map(pairs) = &root.value else { return wrong() };
    let is_scalar = |value: &YamlValue| matches!(value, YamlValue::Scalar(_));
    if !pairs.iter().all(|(key, value)| is_scalar(&key.value) && is_scalar(&value.value)) {
        return wrong();
    }
    match pairs.iter().all(|(key, _)| is_metric_label(&key.go_text())) {
        true => Ok(()),
        false => {
            Err("invalid allow list mapping in manifest: must have keys with format `metricName,labelName`"
                .to_owned())
        }
    }
}
