// SPDX-License-Identifier: Apache-2.0
//! A kubeconfig, as a component reads it that makes a client of its current context.
//!
//! Source: tools/clientcmd and rest of k8s.io/client-go.

use super::object::{self, ObjectFile};
use super::scalar::Scalar;
use super::yaml::{YamlNode, YamlValue};
use super::{certificates, go_url, scalar};

/// A file that a kubeconfig names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReferredFile {
    /// It is not there.
    Missing,
    /// It is there before the component starts.
    Coming,
    /// Its bytes.
    Here(Vec<u8>),
}

/// The fields that are texts, of each list of named objects.
const TEXTS: [(&str, &str, &[&str]); 3] = [
    (
        "clusters",
        "cluster",
        &["server", "tls-server-name", "certificate-authority", "certificate-authority-data", "proxy-url"],
    ),
    ("contexts", "context", &["cluster", "user", "namespace"]),
    (
        "users",
        "user",
        &[
            "client-certificate",
            "client-certificate-data",
            "client-key",
            "client-key-data",
            "token",
            "tokenFile",
            "username",
            "password",
            "as",
        ],
    ),
];
const EMPTY: &str = "invalid configuration: no configuration has been provided, try setting KUBERNETES_MASTER environment variable";

/// Checks a kubeconfig; `look` opens a file that it names.
///
/// # Errors
/// The component's own message.
pub fn check(bytes: &[u8], look: &dyn Fn(&str) -> ReferredFile) -> Result<(), String> {
    if bytes.is_empty() {
        return Err(EMPTY.to_owned());
    }
    let file = read(bytes)?;
    let name = object::text(&file.root, "current-context");
    let context = named(&file.root, "contexts", "context", name);
    if !name.is_empty() && context.is_none() {
        return Err(format!("invalid configuration: context was not found for specified context: {name}"));
    }
    let of_context = |field: &str| context.map_or("", |context| object::text(context, field));
    let cluster = named(&file.root, "clusters", "cluster", of_context("cluster"));
    if let Some(user) = named(&file.root, "users", "user", of_context("user")) {
        check_user(user, of_context("user"), look)?;
    }
    let cluster =
        cluster.filter(|cluster| !matches!(&cluster.value, YamlValue::Map(pairs) if pairs.is_empty()));
    let Some(cluster) = cluster else { return Err(EMPTY.to_owned()) };
    let is_secure = check_cluster(cluster, of_context("cluster"), look)?;
    let user = named(&file.root, "users", "user", of_context("user")).filter(|_| is_secure);
    user.map_or(Ok(()), |user| check_identity(user, look))
}

/// Reads a kubeconfig of which no client is made (`RawConfig` of tools/clientcmd).
///
/// # Errors
/// The component's own message.
pub fn read(bytes: &[u8]) -> Result<ObjectFile, String> {
    let file = ObjectFile::read(bytes).map_err(|fault| fault.message)?;
    let (version, kind) = file.kind().map_err(|fault| fault.message)?;
    let is_config = ["", "v1"].contains(&version.as_str()) && ["", "Config"].contains(&kind.as_str());
    if !is_config {
        return Err(format!("no kind {kind:?} is registered for version {version:?}"));
    }
    check_types(&file.root)?;
    Ok(file)
}

fn check_types(root: &YamlNode) -> Result<(), String> {
    let wrong = |field: &str| Err(format!("json: cannot unmarshal into Go struct field .{field}"));
    let is_text = |node: &YamlNode| matches!(node.value, YamlValue::Scalar(Scalar::Text(_) | Scalar::Null));
    let is_text_field = |node: &YamlNode, name: &str| object::field(node, name).is_none_or(is_text);
    if !is_text_field(root, "current-context") {
        return wrong("current-context");
    }
    for (list, inner, texts) in TEXTS {
        match object::field(root, list).map(|node| &node.value) {
            None | Some(YamlValue::List(_)) => {}
            Some(_) => return wrong(list),
        }
        let names: Vec<&str> =
            object::items(root, list).iter().map(|item| object::text(item, "name")).collect();
        if let Some(name) = (1..names.len()).find(|at| names[..*at].contains(&names[*at])).map(|at| names[at])
        {
            return Err(format!("error converting {list}: duplicate name {name:?} in list"));
        }
        for item in object::items(root, list) {
            let inner = object::field(item, inner);
            let is_map = |node: &YamlNode| matches!(node.value, YamlValue::Map(_));
            if !(is_map(item) || item.is_null()) || !inner.is_none_or(is_map) || !is_text_field(item, "name")
            {
                return wrong(list);
            }
            let Some(inner) = inner else { continue };
            if let Some(text) = texts.iter().find(|text| !is_text_field(inner, text)) {
                return wrong(text);
            }
            let is_wrong_bytes =
                |name: &&&str| name.ends_with("-data") && scalar::base64(object::text(inner, name)).is_none();
            if let Some(text) = texts.iter().find(is_wrong_bytes) {
                return Err(format!("illegal base64 data in {text}"));
            }
            for name in ["insecure-skip-tls-verify", "disable-compression"] {
                let value = object::field(inner, name).map(|node| &node.value);
                if !matches!(value, None | Some(YamlValue::Scalar(Scalar::Bool(_)))) {
                    return wrong(name);
                }
            }
        }
    }
    Ok(())
}

/// Returns the object of a list that has a name; the first counts.
fn named<'a>(root: &'a YamlNode, list: &str, inner: &str, name: &str) -> Option<&'a YamlNode> {
    let item = object::items(root, list).iter().find(|item| object::text(item, "name") == name)?;
    object::field(item, inner)
}

/// `validateAuthInfo`.
fn check_user(user: &YamlNode, name: &str, look: &dyn Fn(&str) -> ReferredFile) -> Result<(), String> {
    let invalid = |problem: String| Err(format!("invalid configuration: {problem}"));
    let has = |field: &str| !object::text(user, field).is_empty();
    if has("token") && (has("username") || has("password")) {
        return invalid(format!(
            "more than one authentication method found for {name}; found [token basicAuth], only one is allowed"
        ));
    }
    if has("client-certificate") || has("client-certificate-data") {
        for (file, data) in
            [("client-certificate", "client-certificate-data"), ("client-key", "client-key-data")]
        {
            if has(file) && has(data) {
                return invalid(format!("{data} and {file} are both specified for {name}"));
            }
            if has(file) && look(object::text(user, file)) == ReferredFile::Missing {
                let path = object::text(user, file);
                return invalid(format!(
                    "unable to read {file} {path} for {name} due to open {path}: no such file or directory"
                ));
            }
        }
        if !has("client-key") && !has("client-key-data") {
            return invalid(format!(
                "client-key-data or client-key must be specified for {name} to use the clientCert authentication method."
            ));
        }
    }
    if let Some(exec) = object::field(user, "exec") {
        const MODES: [&str; 3] = ["Never", "IfAvailable", "Always"];
        for field in ["command", "apiVersion", "interactiveMode"] {
            // v1beta1 has a default.
            let is_defaulted =
                field == "interactiveMode" && object::text(exec, "apiVersion").ends_with("v1beta1");
            if object::text(exec, field).is_empty() && !is_defaulted {
                return invalid(format!(
                    "{field} must be specified for {name} to use exec authentication plugin"
                ));
            }
        }
        let mode = object::text(exec, "interactiveMode");
        if !mode.is_empty() && !MODES.contains(&mode) {
            return invalid(format!("invalid interactiveMode for {name}: {mode:?}"));
        }
    }
    Ok(())
}

/// `validateClusterInfo`, and what the client reads of a cluster; returns whether it is asked by https.
fn check_cluster(
    cluster: &YamlNode,
    name: &str,
    look: &dyn Fn(&str) -> ReferredFile,
) -> Result<bool, String> {
    let invalid = |problem: String| Err(format!("invalid configuration: {problem}"));
    let (server, authority) =
        (object::text(cluster, "server"), object::text(cluster, "certificate-authority"));
    let data = object::text(cluster, "certificate-authority-data");
    if server.is_empty() {
        return invalid(format!("no server found for cluster {name:?}"));
    }
    if !authority.is_empty() && !data.is_empty() {
        return invalid(format!(
            "certificate-authority-data and certificate-authority are both specified for {name}"
        ));
    }
    let file = if authority.is_empty() { None } else { Some(look(authority)) };
    if file == Some(ReferredFile::Missing) {
        return invalid(format!(
            "unable to read certificate-authority {authority} for {name} due to open {authority}: no such file or directory"
        ));
    }
    let url = go_url::parse(server).ok().filter(|url| !url.scheme.is_empty() && !url.host.is_empty());
    let is_secure = url.as_ref().is_some_and(|url| url.scheme == "https");
    if url.is_none() {
        go_url::parse(&format!("http://{server}"))
            .map_err(|_| format!("host must be a URL or a host:port pair: {server:?}"))?;
    }
    let is_insecure = matches!(
        object::field(cluster, "insecure-skip-tls-verify").map(|node| &node.value),
        Some(YamlValue::Scalar(Scalar::Bool(true)))
    );
    if !is_secure {
        return Ok(false);
    }
    let bytes = match file {
        Some(ReferredFile::Here(bytes)) => bytes,
        Some(_) => return if is_insecure { invalid_root() } else { Ok(true) },
        None => scalar::base64(data).unwrap_or_default(),
    };
    if is_insecure && !bytes.is_empty() {
        return invalid_root();
    }
    if !bytes.is_empty() && !certificates::has_certificate(&bytes) {
        return Err("unable to load root certificates".to_owned());
    }
    Ok(true)
}

fn invalid_root() -> Result<bool, String> {
    Err("specifying a root certificates file with the insecure flag is not allowed".to_owned())
}

/// What the client reads of a user where it asks by https.
fn check_identity(user: &YamlNode, look: &dyn Fn(&str) -> ReferredFile) -> Result<(), String> {
    let token = object::text(user, "tokenFile");
    if !token.is_empty() && object::text(user, "token").is_empty() && look(token) == ReferredFile::Missing {
        return Err(format!("open {token}: no such file or directory"));
    }
    let part = |field: &str| {
        let path = object::text(user, field);
        match path.is_empty() {
            true => scalar::base64(object::text(user, &format!("{field}-data"))),
            false => match look(path) {
                ReferredFile::Here(bytes) => Some(bytes),
                ReferredFile::Missing | ReferredFile::Coming => None,
            },
        }
    };
    match (part("client-certificate"), part("client-key")) {
        (Some(certificate), Some(key)) if !certificate.is_empty() && !key.is_empty() => {
            certificates::check_pair(&certificate, &key)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "apiVersion: v1\nkind: Config\nclusters:\n- name: l\n  cluster: {server: 'https://127.0.0.1:6444', insecure-skip-tls-verify: true}\ncontexts:\n- name: d\n  context: {cluster: l, user: u}\ncurrent-context: d\nusers:\n- name: u\n  user: {token: abc}\n";

    fn says(text: &str) -> Result<(), String> {
        check(text.as_bytes(), &|path| match path {
            "/here" => ReferredFile::Here(b"text".to_vec()),
            "/coming" => ReferredFile::Coming,
            _ => ReferredFile::Missing,
        })
    }

    #[test]
    fn a_client_is_made_of_the_current_context() {
        for good in [
            GOOD.to_owned(),
            GOOD.replace("kind: Config\n", "").replace("apiVersion: v1\n", ""),
            format!("{GOOD}unknown: 1\n"),
            GOOD.replace("https://127.0.0.1:6444", "127.0.0.1:6444"),
            GOOD.replace("insecure-skip-tls-verify: true", "certificate-authority: /coming"),
            GOOD.replace("cluster: l, user: u", "cluster: l, user: x"),
            GOOD.replace("https:", "http:")
                .replace("insecure-skip-tls-verify: true", "certificate-authority: /here"),
        ] {
            assert_eq!(says(&good), Ok(()), "{good}");
        }
        for (bad, part) in [
            (String::new(), "no configuration"),
            ("a: b\n".to_owned(), "no configuration"),
            ("- a\n".to_owned(), "json"),
            (GOOD.replace("Config", "Foo"), "no kind"),
            (GOOD.replace("current-context: d", "current-context: e"), "context was not found"),
            (GOOD.replace("current-context: d", ""), "no configuration"),
            (GOOD.replace("server: 'https://127.0.0.1:6444', ", ""), "no server found"),
            (GOOD.replace("token: abc", "token: abc, username: a"), "more than one authentication method"),
            (GOOD.replace("token: abc", "client-certificate: /here"), "client-key-data or client-key"),
            (GOOD.replace("token: abc", "exec: {command: a}"), "apiVersion must be specified"),
            (GOOD.replace("token: abc", "token: 5"), "unmarshal"),
            (GOOD.replace("insecure-skip-tls-verify: true", "certificate-authority: /no"), "unable to read"),
            (
                GOOD.replace("insecure-skip-tls-verify: true", "certificate-authority: /here"),
                "unable to load root",
            ),
            (GOOD.replace("true}", "true, certificate-authority: /here}"), "insecure flag"),
            (
                GOOD.replace("contexts:", "- name: l\n  cluster: {server: 'https://x'}\ncontexts:"),
                "duplicate name",
            ),
            (GOOD.replace("token: abc", "tokenFile: /no"), "no such file"),
            (GOOD.replace("token: abc", "client-certificate: /here, client-key: /here"), "tls:"),
        ] {
            let message = says(&bad).unwrap_err();
            assert!(message.contains(part), "{bad}: {message}");
        }
    }
}
