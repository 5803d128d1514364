// SPDX-License-Identifier: Apache-2.0
//! The user names and passwords of URLs in a text.

use std::borrow::Cow;
use std::ops::Range;

/// What stands in place of a secret.
pub(super) const MASK: &str = "********";

/// Returns a text with asterisks in place of the user names and passwords of its URLs: `https://********@host`.
#[must_use]
pub fn logins_masked(text: &str) -> Cow<'_, str> {
    let mut shown = String::new();
    let mut at = 0;
    for login in logins(text) {
        // Of URLs inside one another, the outer one counts.
        if login.start >= at {
            shown.push_str(&text[at..login.start]);
            shown.push_str(MASK);
            at = login.end;
        }
    }
    if at == 0 {
        return Cow::Borrowed(text);
    }
    shown.push_str(&text[at..]);
    Cow::Owned(shown)
}

/// Returns where the user names and passwords of the URLs in a text are, in the order of the URLs.
pub(super) fn logins(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.match_indices("://").filter_map(|(at, sign)| login(text, at + sign.len()))
}

/// Returns the user name and the password of a URL whose authority begins at `at`.
fn login(text: &str, at: usize) -> Option<Range<usize>> {
    let ends_url = |letter: char| letter.is_whitespace() || matches!(letter, '"' | '\'' | '`');
    let url = text[at..].split(ends_url).next()?;
    // The next URL of a list.
    let url = url.find("://").and_then(|next| url[..next].rfind(',')).map_or(url, |end| &url[..end]);
    let authority = url.split(['/', '?', '#']).next()?;
    // A password with a sign that must be escaped: what stands behind the colon is no port.
    let is_cut = || {
        let port = authority.rsplit_once(':').map_or("", |(_, port)| port);
        !authority.starts_with('[') && !port.bytes().all(|byte| byte.is_ascii_digit())
    };
    let login = match authority.rfind('@') {
        Some(login) => login,
        None if is_cut() => url.rfind('@')?,
        None => return None,
    };
    (login > 0).then_some(at..at + login)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_login_is_masked() {
        for (text, shown) in [
            ("https://u:p@h:1/x", "https://********@h:1/x"),
            ("a=https://u:p@h:1,https://v:q@i:2", "a=https://********@h:1,https://********@i:2"),
            ("https://h:1,https://v:q@i:2", "https://h:1,https://********@i:2"),
            ("mysql://u:p@tcp(h:1)/d", "mysql://********@tcp(h:1)/d"),
            ("https://u:a/b?c#d@h", "https://********@h"),
            ("\"http://u@h\" and 'http://v:w@i'", "\"http://********@h\" and 'http://********@i'"),
            ("https://u:a@b@h", "https://********@h"),
        ] {
            assert_eq!(logins_masked(text), shown);
        }
        for text in [
            "https://h/path@2",
            "https://h:443/path@2",
            "https://h?a=b@c",
            "https://h#a@c",
            "https://[::1]/a@b",
            "mail me@h",
            "https://@h",
            "unix:///run/a@b",
        ] {
            assert!(matches!(logins_masked(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }
}
