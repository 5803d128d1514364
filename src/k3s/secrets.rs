//! Masks secrets in a configuration that is shown.

use super::flags;

const MASK: &str = "********";

/// The ends of the names of arguments whose values are secrets, in lower case. They are of no table: arguments of the
/// components, such as oidc-client-secret, and flags of later K3s.
const SECRET_ENDS: [&str; 3] = ["secret", "password", "token"];

/// Replaces the values of a flag by asterisks if they are secrets.
pub(super) fn mask_values(name: &str, items: &mut [String]) {
    if flags::is_secret(name) {
        items.iter_mut().for_each(|item| *item = MASK.to_owned());
    } else {
        items.iter_mut().for_each(mask_word);
    }
}

/// Replaces the secrets on a command line by asterisks.
pub(super) fn mask_command_line(words: &mut [String]) {
    let mut secret_follows = false;
    for word in words {
        let name = word.trim_start_matches('-').split('=').next().unwrap_or_default().to_owned();
        let is_flag = word.starts_with('-') && flags::is_secret(&name);
        if secret_follows {
            *word = MASK.to_owned();
        } else if is_flag && word.contains('=') {
            let dashes = &word[..word.len() - word.trim_start_matches('-').len()];
            *word = format!("{dashes}{name}={MASK}");
        }
        secret_follows = !secret_follows && is_flag && !word.contains('=');
        mask_word(word);
    }
}

/// Tells whether a warning is about the value of a secret, and holds it.
pub(super) fn are_in(warning: &str) -> bool {
    flags::secrets().any(|name| warning.contains(&format!("-{name}:")))
}

/// Masks a password in a URL, and the value of an argument whose name is that of a secret.
pub(super) fn mask_word(word: &mut String) {
    if let Some((start, rest)) = word.clone().split_once("://")
        && let Some((_, host)) = rest.split('/').next().and_then(|authority| authority.rsplit_once('@'))
    {
        let path = &rest[rest.find('/').unwrap_or(rest.len())..];
        *word = format!("{start}://{MASK}@{host}{path}");
    }
    let at = word.rfind('=').map_or(0, |_| {
        word.match_indices('=').nth(usize::from(word.matches('=').count() > 1)).map_or(0, |(at, _)| at)
    });
    let name = word[..at].to_ascii_lowercase();
    if at > 0 && SECRET_ENDS.iter().any(|end| name.ends_with(end)) {
        word.truncate(at);
        word.push('=');
        word.push_str(MASK);
    }
}
