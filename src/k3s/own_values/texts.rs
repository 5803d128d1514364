// SPDX-License-Identifier: Apache-2.0
//! Checks of K3s's own values that are text or numbers.

use super::reader::{Answer, OwnReader};
use super::rules::OwnRule;
use crate::kubernetes::{flag_values, go_url, names};

/// One of a few words.
pub(super) fn one_of(reader: &OwnReader<'_>, rule: &OwnRule) -> Answer {
    match reader.text(rule.key()) {
        Some(text) => Answer::unless(text, rule.values.iter().any(|known| known == text)),
        None => Answer::Fine,
    }
}

/// One of a few words, with options behind a sign.
pub(super) fn one_of_with_options(reader: &OwnReader<'_>, rule: &OwnRule) -> Answer {
    match reader.text(rule.key()) {
        Some(text) => {
            let word = text.split('=').next().unwrap_or_default();
            Answer::unless(text, rule.values.iter().any(|known| known == word))
        }
        None => Answer::Fine,
    }
}

/// A name that a certificate can hold.
pub(super) fn ascii(reader: &OwnReader<'_>, rule: &OwnRule) -> Answer {
    let parts = reader.parts(rule.key());
    parts.into_iter().find(|part| !part.is_ascii()).map_or(Answer::Fine, Answer::wrong)
}

/// A duration above zero.
pub(super) fn positive_duration(reader: &OwnReader<'_>, rule: &OwnRule) -> Answer {
    match reader.text(rule.key()) {
        Some(text) => Answer::unless(text, flag_values::duration(text).is_none_or(|duration| duration > 0)),
        None => Answer::Fine,
    }
}

/// A number that is not below zero.
pub(super) fn not_negative(reader: &OwnReader<'_>, rule: &OwnRule) -> Answer {
    match reader.number(rule.key()) {
        Some(number) if number < 0 => Answer::wrong(number.to_string()),
        _ => Answer::Fine,
    }
}

/// Levels of the log by file, as `pattern=level` with commas between them.
pub(super) fn vmodule(reader: &OwnReader<'_>, rule: &OwnRule) -> Answer {
    let Some(text) = reader.given(rule.key()) else { return Answer::Fine };
    let is_good = |part: &str| match part.split_once('=') {
        Some((pattern, level)) => !pattern.is_empty() && level.parse::<u32>().is_ok(),
        None => part.is_empty(),
    };
    Answer::unless(text, text.split(',').all(is_good))
}

/// Arguments whose values are JSON: the first is a list, the second an object.
pub(super) fn json_arguments(reader: &OwnReader<'_>, rule: &OwnRule) -> Answer {
    let mut arguments = reader.items(rule.key()).into_iter().filter_map(|item| {
        let (name, value) = item.trim_start_matches('-').split_once('=')?;
        if value.is_empty() {
            return None;
        }
        Some((rule.values.iter().position(|known| known == name)?, value))
    });
    let refused = arguments.find_map(|(at, value)| {
        let reason = match serde_json::from_str::<serde_json::Value>(value) {
            Err(error) if error.is_eof() => "unexpected end of JSON input".to_owned(),
            Err(error) => error.to_string(),
            Ok(json) if json.is_null() || (at == 0 && json.is_array()) || (at > 0 && json.is_object()) => {
                return None;
            }
            Ok(_) => "json: cannot unmarshal it".to_owned(),
        };
        Some(Answer::because(value, format!("invalid {} JSON: {reason}", rule.values[at])))
    });
    refused.unwrap_or(Answer::Fine)
}

/// The end of the issuer's URL.
pub(super) fn issuer(reader: &OwnReader<'_>, rule: &OwnRule) -> Answer {
    let Some(text) = reader.text(rule.key()) else { return Answer::Fine };
    let before = rule.values.first().map(String::as_str).unwrap_or_default();
    match go_url::parse(&format!("{before}{text}")) {
        Ok(_) => Answer::Fine,
        Err(reason) => Answer::because(text, reason),
    }
}

/// A part of a list that the API server reads as a line of CSV, and does not begin: a quote there is a mistake.
pub(super) fn audience(reader: &OwnReader<'_>, rule: &OwnRule) -> Answer {
    match reader.text(rule.key()) {
        Some(text) => Answer::unless(text, !text.contains('"')),
        None => Answer::Fine,
    }
}

/// The name of a Node: K3s makes it lower case.
pub(super) fn node_name(reader: &OwnReader<'_>, rule: &OwnRule) -> Answer {
    let Some(text) = reader.given(rule.key()) else { return Answer::Fine };
    if names::is_subdomain(&text.to_ascii_lowercase()) {
        return Answer::Fine;
    }
    Answer::because(text, "this is not a valid Node name: the kubelet does not register the node")
}
