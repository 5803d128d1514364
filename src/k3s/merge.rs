// SPDX-License-Identifier: Apache-2.0
//! K3s's merge of its configuration files into one command line (pkg/configfilearg/parser.go).
//!
//! `config.yaml` first, then the drop-ins in the order of their names' bytes. A later key replaces an earlier
//! one, unless it is written `key+`, which appends. Keys keep the order in which they were first seen.

use std::collections::HashMap;

use super::secret_text::without_secrets;
use crate::error::Place;
use crate::kubernetes::scalar::Scalar;
use crate::kubernetes::yaml::{self, YamlNode, YamlProblem, YamlValue};

/// One item of a key's value.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigItem {
    /// The text that K3s puts on its command line.
    pub text: String,
    /// Whether it is a key's only value and null.
    pub null: bool,
    /// Its place.
    pub place: Place,
}

/// A key with its value from all files.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigKey {
    /// The key without `+`.
    pub name: String,
    /// Its values: the items of a list one by one, any other value as one.
    pub items: Vec<ConfigItem>,
}

/// Reads a configuration file of K3s as YAML. A problem quotes no secret.
///
/// # Errors
/// If K3s cannot read it.
pub fn read(bytes: &[u8]) -> Result<Option<YamlNode>, YamlProblem> {
    yaml::read(bytes).map_err(|problem| {
        let line = problem.position.map(|(line, _)| line);
        let message = without_secrets(&problem.message, &String::from_utf8_lossy(bytes), line);
        YamlProblem { message, ..problem }
    })
}

/// Merges files, given as (name, bytes) in the order in which K3s reads them.
///
/// # Errors
/// The first problem for which K3s would not start, with the name of its file.
pub fn merge<'a>(
    files: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Result<Vec<ConfigKey>, (String, YamlProblem)> {
    let mut keys: Vec<ConfigKey> = Vec::new();
    let mut index = HashMap::new();
    for (file, bytes) in files {
        let problem = |problem| (file.to_owned(), problem);
        let pairs = match read(bytes).map_err(problem)? {
            None => continue,
            Some(node) if node.is_null() => continue,
            Some(node) => pairs(node).map_err(problem)?,
        };
        for (key, value) in pairs {
            let written = text_of(&key);
            let name = written.strip_suffix('+').unwrap_or(&written).to_owned();
            let appends = written.ends_with('+');
            match index.get(&name).map(|at: &usize| &mut keys[*at]) {
                Some(known) if appends => {
                    // Nothing is appended to null, though null alone is a flag without a value.
                    known.items.retain(|item| !item.null);
                    known.items.extend(items(file, &value).into_iter().filter(|item| !item.null));
                }
                Some(known) => known.items = items(file, &value),
                None => {
                    index.insert(name.clone(), keys.len());
                    keys.push(ConfigKey { name, items: items(file, &value) });
                }
            }
        }
    }
    Ok(keys)
}

/// Returns the pairs of a file's mapping. A list of mappings is read too: of each item, yaml.v2 takes the value of `key` as
/// the key, and that of `value` as its value, because a `MapSlice` is a list of such pairs.
fn pairs(node: YamlNode) -> Result<Vec<(YamlNode, YamlNode)>, YamlProblem> {
    let wrong = |position| YamlProblem {
        message: "the file does not hold a mapping".to_owned(),
        position: Some(position),
    };
    match node.value {
        YamlValue::Map(pairs) => Ok(pairs),
        YamlValue::List(nodes) => {
            let null = |position| YamlNode { value: YamlValue::Scalar(Scalar::Null), position };
            let pair = |node: YamlNode| {
                let position = node.position;
                let mut fields = match node.value {
                    YamlValue::Map(fields) => fields,
                    YamlValue::Scalar(Scalar::Null) => Vec::new(),
                    _ => return Err(wrong(position)),
                };
                let mut field = |name: &str| {
                    let at = fields.iter().rposition(|(field, _)| text_of(field) == name);
                    at.map_or_else(|| null(position), |at| fields.swap_remove(at).1)
                };
                Ok((field("key"), field("value")))
            };
            nodes.into_iter().map(pair).collect()
        }
        YamlValue::Scalar(_) => Err(wrong(node.position)),
    }
}

/// Tells whether K3s reads a file in the folder of drop-ins, by the ending of its name.
pub(crate) fn is_drop_in(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with(".yaml") || name.ends_with(".yml")
}

/// Returns the items of a key's value in a file.
pub(crate) fn items(file: &str, value: &YamlNode) -> Vec<ConfigItem> {
    let item = |node: &YamlNode, null| ConfigItem {
        text: text_of(node),
        null,
        place: Place { file: file.to_owned(), position: Some(node.position) },
    };
    match &value.value {
        YamlValue::List(nodes) => nodes.iter().map(|node| item(node, false)).collect(),
        _ => vec![item(value, value.is_null())],
    }
}

/// Rancher's `convert.ToString`: the first item of a list, an empty text for null, without space around it.
pub(crate) fn text_of(node: &YamlNode) -> String {
    match &node.value {
        YamlValue::Scalar(Scalar::Null) => String::new(),
        YamlValue::List(nodes) => nodes.first().map(text_of).unwrap_or_default(),
        _ => node.go_text().trim().to_owned(),
    }
}
