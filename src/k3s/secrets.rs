//! Masks secrets in a configuration that is shown.

use super::flags;
use crate::nearest::nearest;

pub(super) const MASK: &str = "********";

/// The ends of the names of arguments whose values are secrets, in lower case. They are of no table: arguments of the
/// components, such as oidc-client-secret, and flags of later K3s.
const SECRET_ENDS: [&str; 3] = ["secret", "password", "token"];

/// How a name is that of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SecretName {
    /// That of a flag or of a variable whose value K3s keeps to itself.
    Sure,
    /// The short name of such a flag, which means something else on other command lines.
    Short,
    /// That of no flag; it ends as the names of secrets do.
    Likely,
}

impl SecretName {
    /// Returns how a name is that of a secret; none if it is not.
    pub(super) fn of(name: &str) -> Option<Self> {
        if flags::is_secret(name) {
            return Some(if name.len() == 1 { Self::Short } else { Self::Sure });
        }
        let is_likely = || {
            let last = name.rsplit(['-', '_']).next().unwrap_or_default();
            SECRET_ENDS.iter().any(|end| last.eq_ignore_ascii_case(end)) && !flags::is_known(name)
        };
        if flags::is_secret_variable(name) { Some(Self::Sure) } else { is_likely().then_some(Self::Likely) }
    }

    /// Tells whether a name is a short one with its value behind it.
    pub(super) fn begins_with_short(name: &str) -> bool {
        let mut shorts = flags::secrets().filter(|secret| secret.len() == 1);
        shorts.any(|short| name.len() > 1 && name.starts_with(short)) && !flags::is_known(name)
    }
}

/// Replaces the values of a flag by asterisks if they are secrets.
pub(super) fn mask_values(name: &str, items: &mut [String]) {
    if flags::is_secret(name) {
        items.iter_mut().for_each(|item| *item = MASK.to_owned());
    } else {
        items.iter_mut().for_each(mask_word);
    }
}

/// Replaces the secrets on a command line by asterisks, also those that K3s does not read as the value of their flag.
pub(super) fn mask_command_line(words: &mut [String]) {
    let mut secret_follows = false;
    for word in words {
        let is_flag = word.starts_with('-');
        let at = if is_flag { secret_start(word) } else { None };
        // `--token token VALUE`: the second word is the value, and the third what was meant by it.
        let names_secret = (is_flag && at == Some(word.len())) || (secret_follows && flags::is_secret(word));
        if secret_follows {
            *word = MASK.to_owned();
        } else if let Some(at) = at.filter(|at| *at < word.len()) {
            word.truncate(at);
            word.push_str(MASK);
        }
        secret_follows = names_secret;
        mask_word(word);
    }
}

/// Returns the name in a word with dashes, without the secret that was written into it: `-token VALUE`, `-tVALUE`.
pub(super) fn masked_name(word: &str, name: &str) -> String {
    let dashes = if word.starts_with("--") { "--" } else { "-" };
    match secret_start(&format!("{dashes}{name}")) {
        Some(at) if at < dashes.len() + name.len() => format!("{}{MASK}", &name[..at - dashes.len()]),
        _ => name.to_owned(),
    }
}

/// Returns where the secret of a word with dashes begins, behind its sign; the word's length if it has none of its own.
/// None if it is about no secret.
fn secret_start(word: &str) -> Option<usize> {
    let plain = word.trim_start_matches('-');
    let dashes = word.len() - plain.len();
    let end = plain.find(|sign: char| sign == '=' || sign.is_whitespace()).unwrap_or(plain.len());
    let name = &plain[..end];
    let value = plain[end..].chars().next().map_or(word.len(), |sign| dashes + end + sign.len_utf8());
    if flags::is_secret(name) || (!flags::is_known(name) && resembles_secret(name)) {
        return Some(value);
    }
    // A short name with its value behind it, as other programs take it.
    let short = flags::secrets().find(|secret| secret.len() == 1 && name.starts_with(secret));
    (dashes == 1 && short.is_some() && !flags::is_known(name)).then_some(dashes + 1)
}

/// Tells whether a name that no flag has is probably that of a secret, with a mistake in it.
fn resembles_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('_', "-");
    let secrets: Vec<&str> = flags::secrets().filter(|secret| secret.len() > 1).collect();
    SECRET_ENDS.iter().any(|end| name.contains(end))
        || secrets.iter().any(|secret| name.starts_with(secret))
        || nearest(&name, &secrets).is_some()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(line: &str) -> String {
        let mut words: Vec<String> = line.split('|').map(str::to_owned).collect();
        mask_command_line(&mut words);
        words.join("|")
    }

    #[test]
    fn a_secret_is_masked_wherever_it_is_written() {
        for line in [
            "--token=V3ry",
            "--token|V3ry",
            "-t|V3ry",
            "-tV3ry",
            "-token=V3ry",
            "---token=V3ry",
            "--token V3ry",
            "--cluster-secret|V3ry",
            "--cluster-secret V3ry",
            "--tokenx|V3ry",
            "--toke=V3ry",
            "--vpn-aut=V3ry",
            "--agent_token=V3ry",
            "--datastore-endpont|V3ry",
            "--tokn-secret=V3ry",
            "--vpn-authx=name=tailscale,joinKey=V3ry",
            "--token|token|V3ry",
            "--etcd-s3-secret-key|V3ry",
        ] {
            let shown = masked(line);
            assert!(!shown.contains("V3ry"), "{line}: {shown}");
            assert!(shown.contains(MASK), "{line}: {shown}");
        }
        for line in [
            "--token-file|/etc/token",
            "--agent-token-file=/etc/token",
            "-debug",
            "-tls-san|a.example",
            "--taint=a",
            "--datastore-cafil=/x",
            "--servr|https://a",
            "server|token|x",
        ] {
            assert_eq!(masked(line), line);
        }
    }

    #[test]
    fn a_message_shows_no_secret() {
        for word in ["--token V3ry", "-tV3ry", "-cluster-secret V3ry", "--tokenx V3ry"] {
            assert!(!masked_name(word, word.trim_start_matches('-')).contains("V3ry"), "{word}");
        }
        for word in ["--no-such-flag", "--token", "--taint", "-kublet-arg", "--tokenx"] {
            let name = word.trim_start_matches('-');
            assert_eq!(masked_name(word, name), name);
        }
    }
}
