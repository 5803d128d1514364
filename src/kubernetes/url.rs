//! URLs as Go parses them (`Parse` in net/url), as far as Kubernetes looks at them.

/// A URL, in the parts that Kubernetes checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// The scheme, in small letters; empty if there is none.
    pub scheme: String,
    /// Whether it has a user name or a password.
    pub has_user: bool,
    /// The text behind the question mark.
    pub query: String,
    /// The text behind the number sign.
    pub fragment: String,
}

/// Parses a URL.
///
/// # Errors
/// Why Go cannot, in its words.
pub fn parse(text: &str) -> Result<Url, String> {
    if text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return Err("net/url: invalid control character in URL".to_owned());
    }
    let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
    check_escapes(fragment)?;
    let (scheme, rest) = split_scheme(rest)?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut has_user = false;
    let is_opaque = !scheme.is_empty() && !rest.starts_with('/');
    if !is_opaque && let Some(rest) = rest.strip_prefix("//") {
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let host = match authority.rsplit_once('@') {
            Some((user, host)) => {
                has_user = true;
                check_user(user)?;
                host
            }
            None => authority,
        };
        check_host(host)?;
        check_escapes(path)?;
    } else if !is_opaque {
        let first = rest.split('/').next().unwrap_or_default();
        if scheme.is_empty() && first.contains(':') {
            return Err("first path segment in URL cannot contain colon".to_owned());
        }
        check_escapes(rest)?;
    }
    Ok(Url { scheme, has_user, query: query.to_owned(), fragment: fragment.to_owned() })
}

/// `getScheme`: letters, then digits, `+`, `-` and `.` too, before a colon.
fn split_scheme(text: &str) -> Result<(String, &str), String> {
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return Err("missing protocol scheme".to_owned()),
            b':' => return Ok((text[..at].to_lowercase(), &text[at + 1..])),
            _ => break,
        }
    }
    Ok((String::new(), text))
}

/// `validUserinfo`, and its escapes.
fn check_user(user: &str) -> Result<(), String> {
    let is_valid = |letter: char| letter.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(letter);
    if !user.chars().all(is_valid) {
        return Err("net/url: invalid userinfo".to_owned());
    }
    check_escapes(user)
}

/// `parseHost`: an IPv6 address in brackets or a name, and a port of digits.
fn check_host(host: &str) -> Result<(), String> {
    let port = if host.starts_with('[') {
        let Some(end) = host.rfind(']') else { return Err("missing ']' in host".to_owned()) };
        &host[end + 1..]
    } else {
        host.rfind(':').map_or("", |at| &host[at..])
    };
    let digits = port.strip_prefix(':');
    if !port.is_empty() && !digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err(format!("invalid port {port:?} after host"));
    }
    let is_valid = |letter: char| {
        !letter.is_ascii() || letter.is_ascii_alphanumeric() || "-_.~!$&'()*+,;=:[]<>\"%".contains(letter)
    };
    match host.chars().find(|letter| !is_valid(*letter)) {
        Some(letter) => Err(format!("invalid character {:?} in host name", letter.to_string())),
        None => check_escapes(host),
    }
}

/// A percent sign has two hexadecimal digits behind it.
fn check_escapes(text: &str) -> Result<(), String> {
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        let escape: String = rest[at..].chars().take(3).collect();
        if escape.len() < 3 || !escape[1..].bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(format!("invalid URL escape {escape:?}"));
        }
        rest = &rest[at + 1..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_those_of_go() {
        let parse = |text: &str| parse(text).map(|url| (url.scheme, url.has_user, url.query, url.fragment));
        let plain = |scheme: &str| Ok((scheme.to_owned(), false, String::new(), String::new()));
        assert_eq!(parse("https://a.example/x"), plain("https"));
        assert_eq!(parse("HTTPS://a.example:443"), plain("https"));
        assert_eq!(parse("https://[::1]:6443/"), plain("https"));
        assert_eq!(parse("https://a.example?"), plain("https"));
        assert_eq!(parse("a.example"), plain(""));
        assert_eq!(parse("https:a"), plain("https"));
        assert!(parse("https://u:p@a.example").unwrap().1);
        assert_eq!(parse("https://a?b=c#d").unwrap().2, "b=c");
        assert_eq!(parse("https://a?b=c#d").unwrap().3, "d");
        for bad in [
            "https://a:b",
            "https://a b",
            "https://a/%zz",
            ":a",
            "a:b".trim_start_matches("a"),
            "https://a\n",
            "https://[::1",
            "1a:b",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
