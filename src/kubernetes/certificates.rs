// SPDX-License-Identifier: Apache-2.0
//! Certificates and keys, as far as Kubernetes looks at them before it starts: whether they parse, and whether a key is that
//! of a certificate.
//!
//! Source: crypto/tls (`X509KeyPair`) and crypto/x509 of Go; util/cert and util/keyutil of k8s.io/client-go.

use super::pem::{self, PemBlock};

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
enum PublicKey {
    Rsa(Vec<u8>),
    Ec { curve: Vec<u8>, point: Vec<u8> },
    Ed25519(Vec<u8>),
    Other,
}

/// A private key, and its public key where the file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PrivateKey {
    kind: KeyKind,
    curve: Vec<u8>,
    public: Option<PublicKey>,
}

/// The algorithm of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyKind {
    Rsa,
    Ec,
    Ed25519,
}

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const P224: &[u8] = &[0x2b, 0x81, 4, 0, 0x21];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const P384: &[u8] = &[0x2b, 0x81, 4, 0, 0x22];
const P521: &[u8] = &[0x2b, 0x81, 4, 0, 0x23];

const CERTIFICATE: &str = "CERTIFICATE";
const INTEGER: u8 = 2;
const BITS: u8 = 3;
const OCTETS: u8 = 4;
const IDENTIFIER: u8 = 6;
const SEQUENCE: u8 = 0x30;

/// Checks a bundle of certificates (`ParseCertsPEM` of k8s.io/client-go).
///
/// # Errors
/// Go's message.
pub fn check_bundle(text: &[u8]) -> Result<(), String> {
    let blocks = pem::blocks(text);
    let mut certificates =
        blocks.iter().filter(|block| block.kind == CERTIFICATE && !block.has_headers).peekable();
    if certificates.peek().is_none() {
        return Err("data does not contain any valid RSA or ECDSA certificates".to_owned());
    }
    match certificates.all(|block| certificate(&block.bytes).is_some()) {
        true => Ok(()),
        false => Err("x509: malformed certificate".to_owned()),
    }
}

/// Tells whether there is one certificate that parses (`CertPool.AppendCertsFromPEM`).
#[must_use]
pub fn has_certificate(text: &[u8]) -> bool {
    let blocks = pem::blocks(text);
    let mut certificates = blocks.iter().filter(|block| block.kind == CERTIFICATE && !block.has_headers);
    certificates.any(|block| certificate(&block.bytes).is_some())
}

/// Checks a certificate and its key (`tls.X509KeyPair`).
///
/// # Errors
/// Go's message.
pub fn check_pair(certificates: &[u8], key: &[u8]) -> Result<(), String> {
    let failed = |problem: &str| Err(format!("tls: {problem}"));
    let blocks = pem::blocks(certificates);
    let Some(leaf) = blocks.iter().find(|block| block.kind == CERTIFICATE) else {
        return match blocks.is_empty() {
            true => failed("failed to find any PEM data in certificate input"),
            false => failed("failed to find \"CERTIFICATE\" PEM block in certificate input"),
        };
    };
    let blocks = pem::blocks(key);
    let is_key = |block: &&PemBlock| block.kind == "PRIVATE KEY" || block.kind.ends_with(" PRIVATE KEY");
    let Some(key) = blocks.iter().find(is_key) else {
        return match blocks.is_empty() {
            true => failed("failed to find any PEM data in key input"),
            false => failed("failed to find PEM block with type ending in \"PRIVATE KEY\" in key input"),
        };
    };
    let Some(public) = certificate(&leaf.bytes) else {
        return Err("x509: malformed certificate".to_owned());
    };
    let Some(private) = any_private_key(&key.bytes) else { return failed("failed to parse private key") };
    let fits_type = match public {
        PublicKey::Rsa(_) => private.kind == KeyKind::Rsa,
        PublicKey::Ec { .. } => private.kind == KeyKind::Ec,
        PublicKey::Ed25519(_) => private.kind == KeyKind::Ed25519,
        PublicKey::Other => return failed("unknown public key algorithm"),
    };
    if !fits_type {
        return failed("private key type does not match public key type");
    }
    // A key without its public part is not compared.
    if private.public.is_some_and(|own| own != public) {
        return failed("private key does not match public key");
    }
    Ok(())
}

/// Returns how many certificates there are.
#[must_use]
pub fn count(text: &[u8]) -> usize {
    pem::blocks(text).iter().filter(|block| block.kind == CERTIFICATE).count()
}

/// Checks the key that signs service accounts' tokens (`ParsePrivateKeyPEM`, `JWTTokenGenerator`).
///
/// # Errors
/// Go's message.
pub fn check_signing_key(text: &[u8]) -> Result<(), String> {
    let read = |block: &PemBlock| match block.kind.as_str() {
        "EC PRIVATE KEY" => ec_private_key(&block.bytes, None),
        "RSA PRIVATE KEY" => rsa_private_key(&block.bytes),
        "PRIVATE KEY" => wrapped_private_key(&block.bytes),
        _ => None,
    };
    let Some(key) = pem::blocks(text).iter().find_map(read) else {
        return Err("data does not contain a valid RSA or ECDSA private key".to_owned());
    };
    match key.kind {
        KeyKind::Ec if key.curve == P224 => Err("unknown private key curve, must be 256, 384, or 521".to_owned()),
        KeyKind::Ed25519 => Err(
            "unknown private key type ed25519.PrivateKey, must be *rsa.PrivateKey, *ecdsa.PrivateKey, or jose.OpaqueSigner"
                .to_owned(),
        ),
        KeyKind::Rsa | KeyKind::Ec => Ok(()),
    }
}

/// Checks the public keys of service accounts (`ParsePublicKeysPEM`).
///
/// # Errors
/// Go's message.
pub fn check_public_keys(text: &[u8]) -> Result<(), String> {
    let is_key = |block: &PemBlock| {
        let bytes = block.bytes.as_slice();
        let rsa = || wrapped_private_key(bytes).filter(|key| key.kind == KeyKind::Rsa);
        let private = rsa_private_key(bytes).or_else(rsa).or_else(|| ec_private_key(bytes, None));
        let public = || public_key(bytes).or_else(|| certificate(bytes));
        private.is_some() || matches!(public(), Some(PublicKey::Rsa(_) | PublicKey::Ec { .. }))
    };
    match pem::blocks(text).iter().any(is_key) {
        true => Ok(()),
        false => Err("data does not contain any valid RSA or ECDSA public keys".to_owned()),
    }
}

/// Bytes of DER that are read from their front.
#[derive(Clone, Copy)]
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// Takes the next value with its tag.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let [tag, first, rest @ ..] = self.0 else { return None };
        let (length, rest) = match first {
            0..=0x7f => (usize::from(*first), rest),
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, value))
    }

    /// Takes the next value if it has the tag.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let (_, value) = ahead.next().filter(|(found, _)| *found == tag)?;
        *self = ahead;
        Some(value)
    }

    /// Takes the next value of an explicit tag of the context, if it is there.
    fn context(&mut self, number: u8) -> Option<&'a [u8]> {
        self.take(0xa0 | number)
    }
}

/// Reads bytes that are one sequence and nothing else.
fn sequence(bytes: &[u8]) -> Option<Der<'_>> {
    let mut der = Der(bytes);
    let inner = der.take(SEQUENCE)?;
    der.0.is_empty().then_some(Der(inner))
}

/// Returns the public key of a certificate; none if it does not parse.
fn certificate(bytes: &[u8]) -> Option<PublicKey> {
    let mut outer = sequence(bytes)?;
    let mut inner = Der(outer.take(SEQUENCE)?);
    outer.take(SEQUENCE)?;
    outer.take(BITS)?;
    inner.context(0);
    inner.take(INTEGER)?;
    // Algorithm, issuer, validity, subject.
    for _ in 0..4 {
        inner.take(SEQUENCE)?;
    }
    public_key_parts(Der(inner.take(SEQUENCE)?))
}

/// Reads a public key in its wrapper (`ParsePKIXPublicKey`).
fn public_key(bytes: &[u8]) -> Option<PublicKey> {
    public_key_parts(sequence(bytes)?)
}

fn public_key_parts(mut der: Der<'_>) -> Option<PublicKey> {
    let mut algorithm = Der(der.take(SEQUENCE)?);
    let bits = der.take(BITS)?.strip_prefix(&[0])?;
    match algorithm.take(IDENTIFIER)? {
        RSA => Some(PublicKey::Rsa(sequence(bits)?.take(INTEGER)?.to_vec())),
        EC => {
            let curve = algorithm.take(IDENTIFIER)?;
            is_curve(curve).then(|| PublicKey::Ec { curve: curve.to_vec(), point: bits.to_vec() })
        }
        ED25519 => Some(PublicKey::Ed25519(bits.to_vec())),
        _ => Some(PublicKey::Other),
    }
}

fn is_curve(curve: &[u8]) -> bool {
    [P224, P256, P384, P521].contains(&curve)
}

/// Reads a private key of any form (`parsePrivateKey` of crypto/tls).
fn any_private_key(bytes: &[u8]) -> Option<PrivateKey> {
    rsa_private_key(bytes).or_else(|| wrapped_private_key(bytes)).or_else(|| ec_private_key(bytes, None))
}

/// PKCS #1.
fn rsa_private_key(bytes: &[u8]) -> Option<PrivateKey> {
    let mut der = sequence(bytes)?;
    let version = der.take(INTEGER)?;
    let modulus = der.take(INTEGER)?;
    // The exponents, the primes, and what follows from them.
    for _ in 0..7 {
        der.take(INTEGER)?;
    }
    let public = Some(PublicKey::Rsa(modulus.to_vec()));
    (version == [0]).then(|| PrivateKey { kind: KeyKind::Rsa, curve: Vec::new(), public })
}

/// SEC 1; the curve may be named by the wrapper.
fn ec_private_key(bytes: &[u8], named: Option<&[u8]>) -> Option<PrivateKey> {
    let mut der = sequence(bytes)?;
    let version = der.take(INTEGER)?;
    der.take(OCTETS)?;
    let own = der.context(0).and_then(|inner| Der(inner).take(IDENTIFIER));
    let curve = named.or(own).filter(|curve| is_curve(curve))?.to_vec();
    let point = der.context(1).and_then(|inner| Der(inner).take(BITS)?.strip_prefix(&[0]));
    let public = point.map(|point| PublicKey::Ec { curve: curve.clone(), point: point.to_vec() });
    (version == [1]).then_some(PrivateKey { kind: KeyKind::Ec, curve, public })
}

/// PKCS #8.
fn wrapped_private_key(bytes: &[u8]) -> Option<PrivateKey> {
    let mut der = sequence(bytes)?;
    der.take(INTEGER)?;
    let mut algorithm = Der(der.take(SEQUENCE)?);
    let inner = der.take(OCTETS)?;
    match algorithm.take(IDENTIFIER)? {
        RSA => rsa_private_key(inner),
        EC => ec_private_key(inner, algorithm.take(IDENTIFIER)),
        ED25519 => {
            const SEED: usize = 32;
            let seed = Der(inner).take(OCTETS)?;
            (seed.len() == SEED).then(|| PrivateKey {
                kind: KeyKind::Ed25519,
                curve: Vec::new(),
                public: None,
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EC: &[u8] = include_bytes!("../../tests/certificates/ec.crt");
    const EC_KEY: &[u8] = include_bytes!("../../tests/certificates/ec.key");
    const EC_WRAPPED: &[u8] = include_bytes!("../../tests/certificates/ec-pkcs8.key");
    const EC_PUBLIC: &[u8] = include_bytes!("../../tests/certificates/ec.pub");
    const ED: &[u8] = include_bytes!("../../tests/certificates/ed.crt");
    const ED_KEY: &[u8] = include_bytes!("../../tests/certificates/ed.key");
    const RSA: &[u8] = include_bytes!("../../tests/certificates/rsa.crt");
    const RSA_KEY: &[u8] = include_bytes!("../../tests/certificates/rsa.key");
    const RSA_PKCS1: &[u8] = include_bytes!("../../tests/certificates/rsa-pkcs1.key");
    const OTHER_KEY: &[u8] = include_bytes!("../../tests/certificates/other.key");
    const ENCRYPTED: &[u8] = include_bytes!("../../tests/certificates/encrypted.key");
    /// A key of a curve that Go does not know.
    const K1_KEY: &[u8] = include_bytes!("../../tests/certificates/k1.key");
    const BROKEN: &[u8] = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

    #[test]
    fn a_certificate_goes_with_its_own_key() {
        let with_trailer = [EC, RSA].concat();
        for (certificate, key) in [
            (EC, EC_KEY),
            (EC, EC_WRAPPED),
            (ED, ED_KEY),
            (RSA, RSA_KEY),
            (RSA, RSA_PKCS1),
            (&with_trailer, EC_KEY),
        ] {
            assert_eq!(check_pair(certificate, key), Ok(()));
        }
        for (certificate, key, says) in [
            (EC, OTHER_KEY, "tls: private key does not match public key"),
            (EC, RSA_KEY, "tls: private key type does not match public key type"),
            (RSA, ENCRYPTED, "tls: failed to parse private key"),
            (EC, K1_KEY, "tls: failed to parse private key"),
            (EC, EC, "tls: failed to find PEM block with type ending in \"PRIVATE KEY\" in key input"),
            (EC, b"text", "tls: failed to find any PEM data in key input"),
            (b"text", EC_KEY, "tls: failed to find any PEM data in certificate input"),
            (EC_KEY, EC_KEY, "tls: failed to find \"CERTIFICATE\" PEM block in certificate input"),
            (BROKEN, EC_KEY, "x509: malformed certificate"),
        ] {
            assert_eq!(check_pair(certificate, key), Err(says.to_owned()));
        }
    }

    #[test]
    fn a_bundle_has_certificates_that_parse() {
        assert_eq!(check_bundle(&[EC, RSA, EC_KEY].concat()), Ok(()));
        assert!(check_bundle(&[EC, BROKEN].concat()).is_err() && check_bundle(EC_KEY).is_err());
        assert!(has_certificate(&[BROKEN, EC].concat()) && !has_certificate(BROKEN));
    }

    #[test]
    fn service_accounts_have_rsa_or_ecdsa_keys() {
        for key in [EC_KEY, RSA_KEY, RSA_PKCS1] {
            assert_eq!((check_signing_key(key), check_public_keys(key)), (Ok(()), Ok(())));
        }
        assert_eq!(check_signing_key(EC_WRAPPED), Ok(()));
        assert!(check_public_keys(EC_WRAPPED).is_err(), "only RSA's may have the wrapper");
        for key in [ED_KEY, ENCRYPTED, K1_KEY, b"text"] {
            assert!(check_signing_key(key).is_err() && check_public_keys(key).is_err());
        }
        assert!(check_signing_key(EC).is_err() && check_signing_key(EC_PUBLIC).is_err());
        assert_eq!((check_public_keys(EC), check_public_keys(EC_PUBLIC)), (Ok(()), Ok(())));
        assert!(check_public_keys(ED).is_err());
    }
}
