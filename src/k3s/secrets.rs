// SPDX-License-Identifier: Apache-2.0
//! Masks secrets in a configuration that is shown.

use std::borrow::Cow;

use super::flags;
use super::logins::{MASK, logins_masked};
use crate::nearest::nearest;

/// The ends of the names of arguments whose values are secrets, in lower case. They are of no table: arguments of the
/// components, such as oidc-client-secret, and flags of later K3s.
const SECRET_ENDS: [&str; 3] = ["secret", "password", "token"];

/// The flags whose values are labels and taints: what stands before their equals sign is the name of no secret.
pub(super) const LABELS: [&str; 2] = ["node-label", "node-taint"];

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
    } else if holds_arguments(name) {
        items.iter_mut().for_each(mask_word);
    } else {
        items.iter_mut().for_each(mask_logins);
    }
}

/// Tells whether the values of a flag are arguments of a component. Those of others, such as labels, have names that are
/// none of an argument. What K3s does not know may be a flag for arguments with a mistake in its name.
fn holds_arguments(name: &str) -> bool {
    name.ends_with("-arg") || !flags::is_known(name)
}

/// Replaces the secrets on a command line by asterisks, also those that K3s does not read as the value of their flag.
pub(super) fn mask_command_line(words: &mut [String]) {
    let mut secret_follows = false;
    let mut arguments_follow = true;
    for word in words {
        let is_flag = word.starts_with('-');
        let at = if is_flag { secret_start(word) } else { None };
        // `--token token VALUE`: the second word is the value, and the third what was meant by it.
        let names_secret = (is_flag && at == Some(word.len())) || (secret_follows && flags::is_secret(word));
        let holds_arguments = if is_flag { holds_arguments(word.trim_start_matches('-')) } else { true };
        if secret_follows {
            *word = MASK.to_owned();
        } else if let Some(at) = at.filter(|at| *at < word.len()) {
            word.truncate(at);
            word.push_str(MASK);
        }
        secret_follows = names_secret;
        if is_flag || arguments_follow {
            mask_word(word);
        } else {
            mask_logins(word);
        }
        arguments_follow = holds_arguments;
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

/// Masks the passwords in URLs, and the value of an argument whose name is that of a secret: `oidc-client-secret=VALUE`, and
/// `--kube-apiserver-arg=oidc-client-secret=VALUE`.
pub(super) fn mask_word(word: &mut String) {
    mask_logins(word);
    let mut start = 0;
    while let Some((name, _)) = word[start..].split_once('=') {
        let (end, plain) = (start + name.len() + 1, name.trim_start_matches('-'));
        let lower = plain.to_ascii_lowercase();
        // Only a flag for arguments has a name in its value.
        let is_last = !name.starts_with('-') || !(plain.ends_with("-arg") || plain.ends_with("-args"));
        let is_likely = || SECRET_ENDS.iter().any(|end| lower.ends_with(end)) && !flags::is_known(plain);
        if flags::is_secret(plain) || is_likely() {
            word.truncate(end);
            word.push_str(MASK);
            return;
        }
        if is_last {
            return;
        }
        start = end;
    }
}

/// Masks the user names and passwords of all URLs in a word.
fn mask_logins(word: &mut String) {
    if let Cow::Owned(masked) = logins_masked(word) {
        *word = masked;
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
    fn every_password_in_a_value_is_masked() {
        for word in [
            "etcd-servers=https://a:V3ry@e:2379,https://b:V3ry@f:2379",
            "https://a:x@e:1,https://b:V3ry@f:2,https://c:V3ry@g/p",
            "oidc-client-secret=V3ry==",
            "y-token=V3ry=c",
            "--x-password=V3ry=",
            "--kube-apiserver-arg=oidc-client-secret=V3ry=c=",
            "--kube-apiserver-args=oidc-client-secret=V3ry",
            "--kubelet-arg=--token=V3ry",
            "token=V3ry",
        ] {
            let mut shown = word.to_owned();
            mask_word(&mut shown);
            assert!(!shown.contains("V3ry") && shown.contains(MASK), "{word}: {shown}");
            let command = masked(&format!("server|--kube-apiserver-arg|{word}"));
            assert!(!command.contains("V3ry") && command.contains(MASK), "{word}: {command}");
        }
        let mut endpoint = ["https://u:x@h:1,https://v:V3ry@i:2".to_owned()];
        mask_values("server", &mut endpoint);
        assert_eq!(endpoint, ["https://********@h:1,https://********@i:2"]);
    }

    #[test]
    fn what_is_no_secret_stays() {
        for (name, item) in [
            ("node-label", "team.io/token=x"),
            ("node-taint", "secret=x:NoSchedule"),
            ("etcd-s3-config-secret", "KEEP"),
            ("kube-apiserver-arg", "feature-gates=ServiceAccountToken=true"),
            ("kube-apiserver-arg", "oidc-issuer-url=https://host?a=b@c"),
            ("kube-apiserver-arg", "token-auth-file=/x=y"),
        ] {
            let mut items = [item.to_owned()];
            mask_values(name, &mut items);
            assert_eq!(items, [item], "{name}");
            for line in [format!("--{name}|{item}"), format!("--{name}={item}")] {
                assert_eq!(masked(&line), line);
            }
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
