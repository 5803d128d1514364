// SPDX-License-Identifier: Apache-2.0
//! What was probably meant by a key that K3s does not have.

use crate::Role;
use crate::k3s::flags;
use crate::kubernetes::component_flags;
use crate::version::K3sRelease;

/// Returns what to say about a key that a role of a release does not have: which releases have it, the key that differs
/// by one letter, or the key that hands it to a component. None if nothing is known of it.
pub(super) fn hint(role: Role, release: K3sRelease, key: &str) -> Option<String> {
    let plain = key.trim_start_matches('-');
    if let Some(flag) = flags::of_any_minor(role, plain) {
        let said = release.minor().availability(flag.from, flag.until);
        let said = said.trim_matches([' ', '(', ')']);
        return Some(if said.is_empty() { "later releases have it".to_owned() } else { said.to_owned() });
    }
    if role == Role::Server && flags::of_any_minor(Role::Agent, plain).is_some() {
        return Some("only an agent has it".to_owned());
    }
    let names = flags::names(role, release);
    let mut near = names.iter().filter(|name| name.len() > 2 && is_near(plain, name));
    if let (Some(name), None) = (near.next(), near.next()) {
        return Some(format!("did you mean {name}?"));
    }
    let minor = release.minor();
    let has = |component: &&String| component_flags::unknown(component, minor, plain).is_none();
    let mut components =
        component_flags::all().keys().filter(|name| names.contains(format!("{name}-arg").as_str()));
    let (first, others) = (components.find(has)?, components.any(|component| has(&component)));
    (!others).then(|| format!("it is an argument of {first}: write it under {first}-arg"))
}

/// Tells whether two names differ by one letter (another one, one more, one less, two in a row exchanged), or by nothing
/// but underscores and capitals.
fn is_near(typed: &str, name: &str) -> bool {
    let plain = typed.to_ascii_lowercase().replace('_', "-");
    if plain == name {
        return true;
    }
    let (one, other): (Vec<char>, Vec<char>) = (plain.chars().collect(), name.chars().collect());
    let same = one.iter().zip(&other).take_while(|(a, b)| a == b).count();
    let (one, other) = (&one[same..], &other[same..]);
    match (one, other) {
        ([a, b, one @ ..], [c, d, other @ ..]) if a == d && b == c && one == other => true,
        ([_, one @ ..], [_, other @ ..]) if one == other => true,
        ([_, one @ ..], _) if one == other => true,
        (_, [_, other @ ..]) => one == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_letter_decides() {
        for typed in [
            "kublet-arg",
            "kubelet-args",
            "kubeet-arg",
            "kubelte-arg",
            "kubelet_arg",
            "Kubelet-Arg",
            "kubelet-srg",
            "xkubelet-arg",
        ] {
            assert!(is_near(typed, "kubelet-arg"), "{typed}");
        }
        for typed in ["kube-arg", "kubelet", "kublet-args", "kubeproxy-arg", ""] {
            assert!(!is_near(typed, "kubelet-arg"), "{typed}");
        }
    }

    #[test]
    fn a_hint_names_the_key_or_the_releases() {
        let hint = |release: K3sRelease, key: &str| hint(Role::Server, release, key).unwrap_or_default();
        let of = |minor: &str| K3sRelease::of_minor(minor.parse().unwrap());
        assert_eq!(hint(of("1.36"), "kublet-arg"), "did you mean kubelet-arg?");
        assert_eq!(hint(of("1.36"), "no-deploy"), "it was removed in 1.26");
        assert_eq!(hint(of("1.23"), "tls-san-security"), "it comes with 1.24");
        let old = K3sRelease::new("1.32".parse().unwrap(), 3);
        assert_eq!(hint(old, "secrets-encryption-provider"), "later releases have it");
        assert_eq!(hint(of("1.36"), "disable-apiserver-lb"), "only an agent has it");
        assert_eq!(
            hint(of("1.36"), "audit-log-path"),
            "it is an argument of kube-apiserver: write it under kube-apiserver-arg"
        );
        assert_eq!(hint(of("1.36"), "no-such-key"), "");
    }
}
