// SPDX-License-Identifier: Apache-2.0
//! Taints as flags take them: `name[=value]:effect` with commas between them.
//!
//! Source: pkg/util/taints of Kubernetes (`ParseTaints`).

use super::names;

/// The effects of taints and tolerations.
pub(super) const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// Reads taints with commas between them.
///
/// # Errors
/// Why they are refused, in Kubernetes' words.
pub fn parse_all(text: &str) -> Result<Vec<String>, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let parts: Vec<&str> = text.split(',').collect();
    match fault(&parts) {
        Some((_, message)) => Err(message),
        // What is removed is not among them.
        None => {
            let added = parts.into_iter().filter(|taint| !taint.ends_with('-'));
            Ok(added.map(str::to_owned).collect())
        }
    }
}

/// Returns the first taint that is refused, with the reason in Kubernetes' words.
#[must_use]
pub fn fault<'a>(taints: &[&'a str]) -> Option<(&'a str, String)> {
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for taint in taints {
        // A dash at the end has a taint be removed, for which the effect may be missing.
        let removed = taint.strip_suffix('-');
        match parse(removed.unwrap_or(taint)) {
            Err(message) => return Some((taint, message)),
            Ok(_) if removed.is_some() => {}
            Ok((_, "")) => return Some((taint, format!("invalid taint spec: {taint}"))),
            Ok(pair) if seen.contains(&pair) => {
                return Some((taint, format!("duplicated taints with the same key and effect: {taint}")));
            }
            Ok(pair) => seen.push(pair),
        }
    }
    None
}

/// Reads a taint; returns its key and effect.
fn parse(taint: &str) -> Result<(&str, &str), String> {
    let invalid = || format!("invalid taint spec: {taint}");
    let (pair, effect) = match taint.split(':').collect::<Vec<_>>()[..] {
        [key] => (key, ""),
        [pair, effect] if !EFFECTS.contains(&effect) => {
            return Err(format!("invalid taint effect: {effect}, unsupported taint effect, of {pair}"));
        }
        [pair, effect] => (pair, effect),
        _ => return Err(invalid()),
    };
    let (key, value) = match pair.split('=').collect::<Vec<_>>()[..] {
        // Without an effect, an equals sign is a part of the key.
        _ if effect.is_empty() => (pair, ""),
        [key] => (key, ""),
        [key, value] => (key, value),
        _ => return Err(invalid()),
    };
    let is_valid = names::is_qualified(key) && names::is_label_value(value);
    if is_valid { Ok((key, effect)) } else { Err(invalid()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taints_are_kubernetes() {
        for good in [
            "",
            "a:NoSchedule",
            "a=b:NoExecute,a=b:NoSchedule",
            "a.b/c=:PreferNoSchedule",
            "a-",
            "a:NoSchedule-",
        ] {
            assert!(parse_all(good).is_ok(), "{good}");
        }
        for bad in [
            "a",
            "a=b",
            "a:",
            "a:Nope",
            "a b:NoSchedule",
            "a=b=c:NoSchedule",
            "a:NoSchedule:x",
            ",",
            "a=b c:NoSchedule",
            "a:NoSchedule,a=b:NoSchedule",
            " a:NoSchedule",
        ] {
            assert!(parse_all(bad).is_err(), "{bad}");
        }
    }
}
