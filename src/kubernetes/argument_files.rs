//! The files that arguments of components name (data/argument-files.yaml): without them a component does not start, nor
//! with one that does not hold what it should.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::kubeconfig::{self, ReferredFile};
use super::{certificates, token_file};
use crate::embedded;

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
    /// The arguments whose file the component opens only after it has taken its options.
    pub late: Vec<String>,
    /// The arguments whose file nobody opens where another argument is set.
    pub unless: BTreeMap<String, String>,
}

/// Returns the arguments of a component that name files; none if it has no such.
#[must_use]
pub fn of(component: &str) -> Option<&'static ArgumentFiles> {
    static TABLE: LazyLock<BTreeMap<String, ArgumentFiles>> =
        LazyLock::new(|| embedded::table("argument-files"));
    TABLE.get(component)
}

/// Tells whether a component opens the file that an argument names.
#[must_use]
pub fn is_opened(component: &str, flag: &str) -> bool {
    let is_one = |flags: &[String]| flags.iter().any(|known| known == flag);
    of(component)
        .is_some_and(|files| files.files.contains_key(flag) || is_one(&files.keyed) || is_one(&files.late))
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
            Self::Anything | Self::Document | Self::Policies => Ok(()),
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
            Self::Anything | Self::Document | Self::Policies | Self::Tokens => true,
        }
    }
}
