// SPDX-License-Identifier: Apache-2.0
//! Checks of K3s's own values with which a node joins others: tokens, the server's address, and the VPN.

use super::reader::{Answer, OwnReader};
use super::rules::OwnRule;
use crate::error::Result;
use crate::kubernetes::go_url::{self, GoUrl};

/// The first letters of a whole token.
const PREFIX: &str = "K10";
/// The length of the hash of the cluster's certificates in a whole token.
const HASH_LENGTH: usize = 64;

/// A token, parsed (`parseToken` in pkg/clientaccess).
#[derive(Debug, PartialEq, Eq)]
enum Token {
    /// A user with a password.
    Password,
    /// A token of kubeadm's form, with which agents join.
    Bootstrap,
}

fn parse_token(text: &str) -> std::result::Result<Token, &'static str> {
    if text.is_empty() {
        return Err("token must not be empty");
    }
    let Some(whole) = text.strip_prefix(PREFIX) else {
        return Ok(if is_bootstrap(text) { Token::Bootstrap } else { Token::Password });
    };
    let credentials = match whole.split_once("::") {
        Some((hash, _)) if !hash.is_empty() && hash.len() != HASH_LENGTH => {
            return Err("invalid token CA hash length");
        }
        Some((_, credentials)) => credentials,
        None => whole,
    };
    if is_bootstrap(credentials) {
        return Ok(Token::Bootstrap);
    }
    match credentials.split_once(':') {
        Some((_, password)) if !password.is_empty() => Ok(Token::Password),
        _ => Err("invalid token format"),
    }
}

/// Six letters or digits, a dot, and sixteen more.
fn is_bootstrap(text: &str) -> bool {
    let is_part = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    text.split_once('.').is_some_and(|(id, secret)| is_part(id, 6) && is_part(secret, 16))
}

/// Tells whether a server can encrypt with the password in a token.
pub(in crate::k3s) fn is_of_server(text: &str) -> bool {
    parse_token(text) == Ok(Token::Password)
}

/// A server encrypts with the password in its token, so there is one.
pub(super) fn server_token(reader: &OwnReader<'_>) -> Answer {
    match reader.token() {
        "" => Answer::Fine,
        text => Answer::unless("", is_of_server(text)),
    }
}

/// An agent tries a token of another form for ever.
pub(super) fn agent_token(reader: &OwnReader<'_>) -> Answer {
    match reader.token() {
        "" => Answer::Fine,
        text => parse_token(text).map_or_else(|reason| Answer::because("", reason), |_| Answer::Fine),
    }
}

/// An agent has a token, if it did not join before. A file that is missing is judged by itself.
pub(super) fn token_there(reader: &OwnReader<'_>) -> Result<Answer> {
    if !reader.token().is_empty() {
        return Ok(Answer::Fine);
    }
    if let Some(path) = reader.given("token-file") {
        let path = reader.early_path(path)?;
        if !matches!(reader.node.root.kind(&path)?, crate::node::PathKind::File) {
            return Ok(Answer::Fine);
        }
    }
    let certificate = reader.node.data_dir.join("agent/client-kubelet.crt");
    let bytes = reader.node.root.read(&certificate).ok().flatten().unwrap_or_default();
    Ok(Answer::unless("", bytes.starts_with(b"-----BEGIN CERTIFICATE-----")))
}

/// A value that is there.
pub(super) fn given(reader: &OwnReader<'_>, rule: &OwnRule) -> Answer {
    Answer::unless("", reader.given(rule.key()).is_some())
}

/// The URL of a server as an agent parses it first.
pub(super) fn agent_url(reader: &OwnReader<'_>, rule: &OwnRule) -> Answer {
    let Some(text) = reader.given(rule.key()) else { return Answer::Fine };
    go_url::parse(text).map_or_else(|reason| Answer::because(text, reason), |_| Answer::Fine)
}

/// The URL of a server has the scheme https.
pub(super) fn https_scheme(reader: &OwnReader<'_>, rule: &OwnRule) -> Answer {
    let Some(text) = reader.given(rule.key()) else { return Answer::Fine };
    Answer::unless(text, go_url::parse(text).is_ok_and(|url| url.scheme == "https"))
}

/// The URL of a server as another server parses it.
pub(super) fn https_url(reader: &OwnReader<'_>, rule: &OwnRule) -> Answer {
    let Some(text) = reader.given(rule.key()) else { return Answer::Fine };
    match go_url::parse(text) {
        Ok(url) if url.scheme == "https" && url.host_name().is_empty() => Answer::because(
            text,
            format!("failed to get CA certs: Get \"{text}/cacerts\": http: no Host in request URL"),
        ),
        Ok(url) if url.scheme == "https" => Answer::Fine,
        Ok(_) => Answer::because(text, format!("only https:// URLs are supported, invalid scheme: {text}")),
        Err(reason) => {
            Answer::because(text, format!("Invalid server url, failed to parse: {text}: {reason}"))
        }
    }
}

/// On the machine itself nothing answers before K3s is up, but for a load balancer.
pub(super) fn joins_itself(reader: &OwnReader<'_>, rule: &OwnRule) -> Answer {
    let url = reader.given(rule.key()).and_then(|text| go_url::parse(text).ok());
    let host = url.as_ref().map_or("", GoUrl::host_name);
    let is_loopback = host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    if is_loopback || host == "localhost" {
        return Answer::Unknown(
            "this is the address of this machine; not checked: whether a server answers there".to_owned(),
        );
    }
    Answer::Fine
}

/// Without a token a server joins nobody, whatever `server` says.
pub(super) fn joins_without_token(reader: &OwnReader<'_>, rule: &OwnRule) -> Answer {
    if !reader.token().is_empty() || reader.given("token-file").is_some() {
        return Answer::Fine;
    }
    let detail = "no token is set: K3s ignores this key, and starts its own cluster";
    Answer::because(reader.given(rule.key()).unwrap_or_default(), detail)
}

/// The parameters of the VPN.
pub(super) fn vpn_auth(reader: &OwnReader<'_>) -> Result<Answer> {
    let text = reader.vpn_auth()?;
    if text.is_empty() {
        return Ok(Answer::Fine);
    }
    let command = text.split(",extraArgs=").next().unwrap_or_default();
    let (mut name, mut key, mut url) = ("", "", "");
    for parameter in command.split(',') {
        let (parameter, value) = match parameter.split_once('=') {
            // K3s takes what stands before a second sign.
            Some((parameter, value)) => (parameter, Some(value.split('=').next().unwrap_or_default())),
            None => (parameter, None),
        };
        let slot = match parameter {
            "name" => &mut name,
            "joinKey" => &mut key,
            "controlServerURL" => &mut url,
            // What is written there may be the key itself.
            _ => {
                let reason = "VPN Error. The passed VPN auth info includes an unknown parameter";
                return Ok(Answer::because("", reason));
            }
        };
        let Some(value) = value else {
            return Ok(Answer::because("", "panic: runtime error: index out of range [1] with length 1"));
        };
        *slot = value;
    }
    if name != "tailscale" {
        let reason = "Requested VPN is not supported. We currently only support tailscale";
        return Ok(Answer::because("", reason));
    }
    if key.is_empty() {
        return Ok(Answer::because("", "VPN Error. Tailscale requires a JoinKey"));
    }
    if let Err(reason) = go_url::parse(url) {
        let reason = format!("VPN Error. Invalid control server URL for Tailscale: {reason}");
        return Ok(Answer::because("", reason));
    }
    Ok(Answer::Unknown("not checked: whether tailscale starts".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_parsed_as_k3s_parses_them() {
        let hash = "a".repeat(64);
        for good in ["abc", "a:b", "K10abc:def", "K10::server:x", &format!("K10{hash}::server:x")] {
            assert_eq!(parse_token(good), Ok(Token::Password), "{good}");
        }
        for good in ["abcdef.0123456789abcdef", &format!("K10{hash}::abcdef.0123456789abcdef")] {
            assert_eq!(parse_token(good), Ok(Token::Bootstrap), "{good}");
        }
        for bad in ["", "K10", "K10abc", "K10abc::x:y", &format!("K10{hash}::"), &format!("K10{hash}::x:")] {
            assert!(parse_token(bad).is_err(), "{bad}");
        }
    }
}
