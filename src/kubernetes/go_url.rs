// SPDX-License-Identifier: Apache-2.0
//! URLs as Go's net/url parses them.

/// The parts of a URL that its readers look at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GoUrl {
    /// Its scheme in lower case; empty if it has none.
    pub scheme: String,
    /// Whether it has a user name or a password.
    pub has_user: bool,
    /// Its host, with the port; empty if it has none.
    pub host: String,
    /// The text behind the question mark.
    pub query: String,
    /// The text behind the number sign.
    pub fragment: String,
}

impl GoUrl {
    /// Returns the host without the port and without the brackets of an IPv6 address.
    #[must_use]
    pub fn host_name(&self) -> &str {
        match self.host.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            Some((inner, _)) => inner,
            None => self.host.rsplit_once(':').map_or(self.host.as_str(), |(name, _)| name),
        }
    }
}

/// What a part of a URL may hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum UrlPart {
    Path,
    Host,
    UserInfo,
    Fragment,
}

/// Parses a URL (`url.Parse`).
///
/// # Errors
/// Go's message: `parse "…": …`.
pub fn parse(text: &str) -> Result<GoUrl, String> {
    let (before, fragment) = text.split_once('#').unwrap_or((text, ""));
    parse_without_fragment(before).map_err(|reason| format!("parse {before:?}: {reason}")).and_then(|url| {
        match check_escapes(fragment, UrlPart::Fragment) {
            Ok(()) => Ok(GoUrl { fragment: fragment.to_owned(), ..url }),
            Err(reason) => Err(format!("parse {text:?}: {reason}")),
        }
    })
}

fn parse_without_fragment(text: &str) -> Result<GoUrl, String> {
    if text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return Err("net/url: invalid control character in URL".to_owned());
    }
    if text == "*" {
        return Ok(GoUrl::default());
    }
    let (scheme, rest) = scheme(text)?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (scheme_text, query) = (scheme.to_ascii_lowercase(), query.to_owned());
    let mut url = GoUrl { scheme: scheme_text, query, ..GoUrl::default() };
    if !rest.starts_with('/') {
        if !scheme.is_empty() {
            return Ok(url);
        }
        if rest.split('/').next().is_some_and(|segment| segment.contains(':')) {
            return Err("first path segment in URL cannot contain colon".to_owned());
        }
    }
    let path = match rest.strip_prefix("//") {
        Some(behind) if !scheme.is_empty() || !rest.starts_with("///") => {
            let at = behind.find('/').unwrap_or(behind.len());
            let (authority, path) = behind.split_at(at);
            check_authority(scheme, authority)?;
            url.has_user = authority.contains('@');
            authority.rsplit('@').next().unwrap_or_default().clone_into(&mut url.host);
            path
        }
        _ => rest,
    };
    check_escapes(path, UrlPart::Path)?;
    Ok(url)
}

/// Splits a URL into its scheme and what follows the colon.
fn scheme(text: &str) -> Result<(&str, &str), String> {
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return Err("missing protocol scheme".to_owned()),
            b':' => return Ok((&text[..at], &text[at + 1..])),
            _ => break,
        }
    }
    Ok(("", text))
}

fn check_authority(scheme: &str, authority: &str) -> Result<(), String> {
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    let port = match host.rfind('[') {
        Some(0) => {
            let end = host.rfind(']').ok_or("missing ']' in host")?;
            &host[end + 1..]
        }
        Some(_) => return Err("invalid IP-literal".to_owned()),
        // Lists of hosts are left to the schemes of databases.
        None if matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") => {
            host.find(':').map_or("", |at| &host[at..])
        }
        None => host.rfind(':').map_or("", |at| &host[at..]),
    };
    let digits = port.strip_prefix(':').unwrap_or(port);
    if (!port.is_empty() && !port.starts_with(':')) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("invalid port {port:?} after host"));
    }
    check_escapes(host, UrlPart::Host)?;
    check_literal(host)?;
    let Some(user) = user else { return Ok(()) };
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte);
    if !user.bytes().all(valid) {
        return Err("net/url: invalid userinfo".to_owned());
    }
    check_escapes(user, UrlPart::UserInfo)
}

/// Only an IPv6 address may stand in brackets. A zone behind it is not looked at.
fn check_literal(host: &str) -> Result<(), String> {
    let Some((inner, _)) = host.strip_prefix('[').and_then(|rest| rest.rsplit_once(']')) else {
        return Ok(());
    };
    let (address, zone) =
        inner.split_once("%25").map_or((inner, None), |(address, zone)| (address, Some(zone)));
    if address.parse::<std::net::Ipv4Addr>().is_ok() {
        return Err("invalid IP-literal".to_owned());
    }
    if address.parse::<std::net::Ipv6Addr>().is_err() || zone == Some("") {
        return Err(format!("invalid host: ParseAddr({inner:?}): unable to parse IP"));
    }
    Ok(())
}

/// Checks the escapes of a part, and in a host the characters (`unescape`).
fn check_escapes(text: &str, part: UrlPart) -> Result<(), String> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        if *byte == b'%' {
            let hex = |offset: usize| bytes.get(at + offset).is_some_and(u8::is_ascii_hexdigit);
            let escape = text.get(at..at + 3).unwrap_or(&text[at..]);
            let ascii_in_host = part == UrlPart::Host
                && escape != "%25"
                && bytes.get(at + 1).is_some_and(|digit| *digit < b'8');
            if !hex(1) || !hex(2) || ascii_in_host {
                return Err(format!("invalid URL escape {escape:?}"));
            }
            at += 3;
            continue;
        }
        let in_host = byte.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:[]<>\"".contains(byte);
        if part == UrlPart::Host && byte.is_ascii() && !in_host {
            return Err(format!("invalid character {:?} in host name", char::from(*byte).to_string()));
        }
        at += 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_gos() {
        let of = |text: &str| parse(text).map(|url| (url.scheme.clone(), url.host_name().to_owned()));
        let good = |scheme: &str, host: &str| Ok((scheme.to_owned(), host.to_owned()));
        assert_eq!(of("https://10.0.0.1:6443/p?q#f"), good("https", "10.0.0.1"));
        assert_eq!(of("HTTPS://u:p%40@[::1]:9"), good("https", "::1"));
        assert_eq!(of("https://"), good("https", ""));
        assert_eq!(of("https://[fe80::1%25en0]:6443"), good("https", "fe80::1%25en0"));
        assert_eq!(of("postgres://a:1,b:2/db"), good("postgres", "a:1,b"));
        assert_eq!(of("not a url"), good("", ""));
        assert_eq!(of("mailto:x y"), good("mailto", ""));
        assert_eq!(of("https://kubernetes.default.svc.a/b"), good("https", "kubernetes.default.svc.a"));
        let parts = |text: &str| parse(text).map(|url| (url.has_user, url.query, url.fragment)).unwrap();
        assert_eq!(parts("https://a.example?"), (false, String::new(), String::new()));
        assert_eq!(parts("https://u:p@a?b=c#d"), (true, "b=c".to_owned(), "d".to_owned()));
        for (text, reason) in [
            ("127.0.0.1:9", "first path segment in URL cannot contain colon"),
            ("https://127.0.0.1:bad", "invalid port \":bad\" after host"),
            ("https://[::1", "missing ']' in host"),
            ("://127.0.0.1:6444", "missing protocol scheme"),
            ("::bad", "missing protocol scheme"),
            ("https://a b", "invalid character \" \" in host name"),
            ("https://%zz", "invalid URL escape \"%zz\""),
            ("https://x/%4", "invalid URL escape \"%4\""),
            ("a\u{7}", "net/url: invalid control character in URL"),
            ("https://a b@c", "net/url: invalid userinfo"),
            ("https://fd00::1:6443", "invalid port \"::1:6443\" after host"),
            ("https://a:80:80", "invalid port \":80:80\" after host"),
            ("https://x[1]", "invalid IP-literal"),
            ("https://[10.0.0.1]:6443", "invalid IP-literal"),
            ("https://[x]", "invalid host: ParseAddr(\"x\"): unable to parse IP"),
        ] {
            assert_eq!(parse(text), Err(format!("parse {text:?}: {reason}")), "{text}");
        }
    }
}
