// SPDX-License-Identifier: Apache-2.0
//! Checks of the values with which K3s reaches its datastore (kine).

use super::files::read_error;
use super::reader::{Answer, OwnReader};
use super::rules::{Ending, OwnRule};
use crate::error::Result;
use crate::kubernetes::go_url;
use crate::node::PathKind;

/// Folders that every system has, also where an image does not.
const COMMON: [&str; 4] = ["/tmp", "/var/tmp", "/run", "/dev/shm"];
const ENDPOINT: &str = "datastore-endpoint";

/// Returns the scheme of the endpoint and what follows it; none without an endpoint and without a scheme.
fn endpoint<'a>(reader: &OwnReader<'a>) -> Option<(&'a str, &'a str)> {
    reader.given(ENDPOINT)?.split_once("://")
}

/// The endpoint has a scheme.
pub(super) fn form(reader: &OwnReader<'_>) -> Answer {
    match reader.given(ENDPOINT) {
        Some(text) => Answer::unless("", text.contains("://")),
        None => Answer::Fine,
    }
}

/// The scheme is one of kine's drivers.
pub(super) fn scheme(reader: &OwnReader<'_>, rule: &OwnRule) -> Answer {
    match endpoint(reader) {
        Some((scheme, _)) => Answer::unless("", rule.values.iter().any(|known| known == scheme)),
        None => Answer::Fine,
    }
}

/// The address of an etcd has a host.
pub(super) fn host(reader: &OwnReader<'_>) -> Answer {
    match endpoint(reader) {
        Some(("http" | "https", rest)) => Answer::unless("", !rest.is_empty()),
        _ => Answer::Fine,
    }
}

/// Whether a database answers is seen when K3s starts.
pub(super) fn answers(reader: &OwnReader<'_>) -> Answer {
    match endpoint(reader) {
        Some((scheme, _)) if scheme != "sqlite" => {
            Answer::Unknown("not checked: whether the datastore answers".to_owned())
        }
        _ => Answer::Fine,
    }
}

/// `[user[:password]@][net[(address)]]/database[?parameters]` (`ParseDSN` of go-sql-driver/mysql).
pub(super) fn mysql(reader: &OwnReader<'_>) -> Answer {
    let Some(("mysql", text)) = endpoint(reader) else { return Answer::Fine };
    mysql_fault(text).map_or(Answer::Fine, |reason| Answer::because("", reason))
}

fn mysql_fault(text: &str) -> Option<String> {
    if text.is_empty() {
        return None;
    }
    // The parameters may have slashes too, but no database name has a question mark.
    let Some((left, right)) = text.rsplit_once('/') else {
        return Some("invalid DSN: missing the slash separating the database name".to_owned());
    };
    let protocol = left.rsplit_once('@').map_or(left, |(_, protocol)| protocol);
    let (network, address) = match protocol.split_once('(') {
        Some((network, rest)) => match rest.strip_suffix(')') {
            Some(address) => (network, address),
            None if rest.contains(')') => {
                return Some("invalid DSN: did you forget to escape a param value?".to_owned());
            }
            None => {
                return Some(
                    "invalid DSN: network address not terminated (missing closing brace)".to_owned(),
                );
            }
        },
        None => (protocol, ""),
    };
    let _ = right;
    let is_known = matches!(network, "" | "tcp" | "unix");
    (address.is_empty() && !is_known).then(|| format!("default addr for network '{network}' unknown"))
}

/// The address of a `PostgreSQL` server is a URL. K3s's message has the password in it, which is left out here.
pub(super) fn postgres(reader: &OwnReader<'_>) -> Answer {
    let Some((scheme @ ("postgres" | "postgresql"), rest)) = endpoint(reader) else { return Answer::Fine };
    match go_url::parse(&format!("{scheme}://{rest}")) {
        Ok(_) => Answer::Fine,
        Err(reason) => {
            let reason = reason.rsplit_once("\": ").map_or(reason.as_str(), |(_, reason)| reason);
            Answer::because("", format!("parse \"{scheme}://…\": {reason}"))
        }
    }
}

/// A file with which kine proves itself, or its server. `SQLite` reads none.
pub(super) fn file(reader: &OwnReader<'_>, rule: &OwnRule) -> Result<Answer> {
    let reads = endpoint(reader).is_some_and(|(scheme, _)| scheme != "sqlite");
    let Some(text) = reader.given(rule.key()).filter(|_| reads) else { return Ok(Answer::Fine) };
    let detail = read_error(reader, &reader.node.path(text)?)?;
    Ok(detail.map_or(Answer::Fine, |detail| Answer::because(text, detail)))
}

/// A certificate has a key.
pub(super) fn pair(reader: &OwnReader<'_>) -> Answer {
    let reads = endpoint(reader).is_some_and(|(scheme, _)| scheme != "sqlite");
    let of = |key: &str| reader.given(key).unwrap_or_default();
    let (key, certificate) = (of("datastore-keyfile"), of("datastore-certfile"));
    if !reads || key.is_empty() == certificate.is_empty() {
        return Answer::Fine;
    }
    Answer::because("", format!("key: {key}, cert: {certificate}"))
}

/// The file of `SQLite` can be made or opened.
pub(super) fn sqlite(reader: &OwnReader<'_>) -> Result<Answer> {
    let Some(("sqlite", text)) = endpoint(reader) else { return Ok(Answer::Fine) };
    let path = text.split('?').next().unwrap_or_default();
    let path = path.strip_prefix("file:").unwrap_or(path);
    if path.is_empty() || path.starts_with(':') {
        return Ok(Answer::Fine);
    }
    let path = reader.node.path(path)?;
    let refused = |detail: &str| Answer::Wrong {
        value: String::new(),
        detail: detail.to_owned(),
        ends: Some(Ending::Waits),
    };
    Ok(match reader.node.root.kind(&path)? {
        PathKind::Directory => refused("is a directory"),
        PathKind::BelowFile => refused("not a directory"),
        PathKind::Loop => refused("too many levels of symbolic links"),
        PathKind::Absent => {
            let folder = path.parent().map(|folder| reader.node.root.kind(&folder)).transpose()?;
            let is_there = matches!(folder, Some(PathKind::Directory));
            // K3s makes its own folder before, and every system has these.
            let made = path.parent().is_some_and(|folder| {
                folder == reader.node.data_dir.join("server") || COMMON.contains(&folder.as_str())
            });
            if is_there || made { Answer::Fine } else { refused("no such file or directory") }
        }
        _ => Answer::Fine,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_mysql_is_what_its_driver_parses() {
        for good in ["", "u:p@tcp(h:3306)/k3s", "root@unix(/var/run/m.sock)/", "/k3s", "u@tcp/k?tls=true"] {
            assert_eq!(mysql_fault(good), None, "{good}");
        }
        for (bad, reason) in [
            ("bad dsn", "invalid DSN: missing the slash separating the database name"),
            ("u:p@h:3306/k3s", "default addr for network 'h:3306' unknown"),
            ("u@tcp(h/k3s", "invalid DSN: network address not terminated (missing closing brace)"),
            ("u@tcp(h)x/k", "invalid DSN: did you forget to escape a param value?"),
        ] {
            assert_eq!(mysql_fault(bad).as_deref(), Some(reason), "{bad}");
        }
    }
}
