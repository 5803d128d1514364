// SPDX-License-Identifier: Apache-2.0
//! The certificate with which the kubelet serves, and its key, from its arguments or its files: without them it ends.
//!
//! Source: `InitializeTLS` in cmd/kubelet/app/server.go, which makes a certificate only where neither is set, as K3s never
//! leaves it; `NewMainKubelet` in pkg/kubelet/kubelet.go; `ListenAndServeKubeletServer` in pkg/kubelet/server/server.go.

use super::{Finding, argument_files};
use crate::error::{Place, Result};
use crate::k3s::{ComponentArgument, NodeConfig, arguments};
use crate::kubernetes::flag_values::boolean;
use crate::kubernetes::kubelet_fields::DecodedFields;
use crate::kubernetes::object::Position;
use crate::version::KubernetesMinor;

const NAME: &str = "kubelet";
const CERTIFICATE: (&str, &str) = ("tls-cert-file", "tlsCertFile");
const KEY: (&str, &str) = ("tls-private-key-file", "tlsPrivateKeyFile");
/// Has the cluster make the certificate.
const BOOTSTRAP: (&str, &str) = ("rotate-server-certificates", "serverTLSBootstrap");
/// Has the kubelet serve.
const SERVER: (&str, &str) = ("enable-server", "enableServer");
/// The first minor that does not open the files where the cluster makes the certificate.
const NOT_OPENED_FROM: KubernetesMinor = KubernetesMinor::new(36);

/// A value in force: how the user knows it, the text, and where the user sets it.
struct ServingValue {
    name: &'static str,
    text: String,
    place: Option<Place>,
}

/// Checks both files. `place_of` tells where a field of the user's is.
pub(super) fn check(
    node: &NodeConfig<'_>,
    decoded: &DecodedFields,
    place_of: &dyn Fn(Position) -> Option<Place>,
) -> Result<Option<Finding>> {
    let value = |names| in_force(node, decoded, place_of, names);
    let is = |names, wanted| value(names).is_some_and(|value| boolean(&value.text) == Some(wanted));
    // An older one opens the files where it listens.
    let is_served = node.minor() < NOT_OPENED_FROM;
    if (is_served && is(SERVER, false)) || (!is_served && is(BOOTSTRAP, true)) {
        return Ok(None);
    }
    let (Some(certificate), Some(key)) = (value(CERTIFICATE), value(KEY)) else { return Ok(None) };
    // K3s's own are fine.
    let Some(place) = certificate.place.clone().or_else(|| key.place.clone()) else { return Ok(None) };
    match (certificate.text.is_empty(), key.text.is_empty()) {
        (false, false) => {}
        (true, true) => return Ok(None),
        // It opens the file with the empty name.
        (is_certificate, _) if is_served => {
            let (given, other) = if is_certificate { (&key, &certificate) } else { (&certificate, &key) };
            let message = format!("the kubelet's {} requires {}", given.name, other.name);
            let remedy = format!("name the file of {}, too", other.name);
            let finding = Finding::stops("argument-refused", message, remedy).at(place);
            return Ok(Some(finding.says("Failed to listen and serve: open : no such file or directory")));
        }
        _ => return Ok(None),
    }
    for value in [&certificate, &key] {
        if let Some(finding) = argument_files::missing(node, NAME, value.named())? {
            return Ok(Some(finding.at(value.place.clone().unwrap_or(place))));
        }
    }
    let found = argument_files::keyed(node, NAME, certificate.named(), key.named())?;
    Ok(found.map(|finding| finding.at(place)))
}

impl ServingValue {
    fn named(&self) -> (&str, &str) {
        (self.name, &self.text)
    }
}

/// Returns the value of an argument, or of its field where the kubelet does not get the argument.
fn in_force(
    node: &NodeConfig<'_>,
    decoded: &DecodedFields,
    place_of: &dyn Fn(Position) -> Option<Place>,
    (argument, field): (&'static str, &'static str),
) -> Option<ServingValue> {
    if let Some((_, text)) = node.flags(NAME).iter().rfind(|(name, _)| name == argument) {
        let text = text.clone();
        let user = node.arguments(NAME);
        let is_named =
            |set: &&ComponentArgument| arguments::as_component_takes(NAME, &set.text).0 == argument;
        let set = user.iter().rev().find(is_named);
        return Some(ServingValue { name: argument, text, place: set.map(|set| set.place.clone()) });
    }
    let value = decoded.fields.get(field)?;
    Some(ServingValue { name: field, text: value.go_text(), place: place_of(value.position) })
}
