//! The configuration that is on the node already: `config.yaml` and the drop-ins beside it, by file and line.
//!
//! K3s reads `config.yaml`, then the drop-ins in the order of their names' bytes; a later key replaces an
//! earlier one unless it is written `key+` (pkg/configfilearg/parser.go).

use granit_parser::{Event, Parser};

use crate::document::Configuration;
use crate::error::{Place, Result};
use crate::node::{Root, RootedPath};

const CONFIG: &str = "/etc/rancher/k3s/config.yaml";
const DROP_INS: &str = "/etc/rancher/k3s/config.yaml.d";

/// What the node's configuration files set, in the order in which K3s reads them; ours is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Existing {
    /// Every key as it is written.
    pub settings: Vec<Setting>,
    /// Files that could not be read as K3s would, and why.
    pub problems: Vec<String>,
}

/// A key in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The key without `+`.
    pub key: String,
    /// Whether it adds to earlier values.
    pub append: bool,
    /// The value, or the items of the list, with their places.
    pub values: Vec<(String, Place)>,
    /// The place of the key.
    pub place: Place,
    /// Whether the file sorts after our drop-in.
    pub after_ours: bool,
}

impl Existing {
    /// Reads the configuration files; `ours` is the path of our own drop-in.
    ///
    /// # Errors
    /// Where the directory or a file in it cannot be read.
    pub fn read(root: &Root, ours: &RootedPath) -> Result<Self> {
        let mut existing = Self::default();
        let drop_ins = RootedPath::fixed(DROP_INS);
        let mut paths = vec![RootedPath::fixed(CONFIG)];
        for name in root.list(&drop_ins)? {
            let Some(name) = name.to_str() else { continue };
            let lower = name.to_ascii_lowercase();
            if lower.ends_with(".yaml") || lower.ends_with(".yml") {
                paths.push(drop_ins.join(name));
            }
        }
        for path in paths.into_iter().filter(|path| path != ours) {
            let Some(bytes) = root.read(&path)? else { continue };
            let after_ours = path.parent() == ours.parent() && path.name() > ours.name();
            match String::from_utf8(bytes) {
                Ok(text) => existing.add(&text, path.as_str(), after_ours),
                Err(_) => existing.problems.push(format!("{path} is not UTF-8: K3s will not start")),
            }
        }
        Ok(existing)
    }

    /// Tells whether K3s has no configuration of others.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.settings.is_empty() && self.problems.is_empty()
    }

    /// Returns the last value of a key that holds one.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&(String, Place)> {
        self.settings
            .iter()
            .rev()
            .find(|setting| setting.key == key)
            .and_then(|setting| setting.values.last())
    }

    /// Returns what K3s would make of these files together with `ours` that its user will not expect.
    #[must_use]
    pub fn warnings(&self, ours: &Configuration) -> Vec<String> {
        let mut warnings = self.problems.clone();
        for key in &ours.keys {
            for setting in self.settings.iter().filter(|setting| setting.key == key.name) {
                for (value, place) in setting.values.iter().filter(|(value, _)| !same(value, &key.value)) {
                    let (winner, remedy) = if setting.after_ours {
                        ("that file", "remove it there")
                    } else {
                        ("k3s-harden", "keep one of them")
                    };
                    warnings.push(format!(
                        "{place} sets {} to {value}, and k3s-harden to {}: {winner} wins; {remedy}",
                        key.name, key.value
                    ));
                }
            }
        }
        for component in &ours.components {
            let key = format!("{}-arg", component.name);
            for setting in self.settings.iter().filter(|setting| setting.key == key) {
                if setting.after_ours && !setting.append {
                    warnings.push(format!(
                        "{} sorts after ours and replaces every {key} of k3s-harden; write {key}+ there",
                        setting.place
                    ));
                    continue;
                }
                for argument in &component.arguments {
                    for (value, place) in
                        setting.values.iter().filter(|(value, _)| names(value, &argument.name))
                    {
                        warnings.push(format!(
                            "{place} sets the {} argument {value}, and k3s-harden {}={}: it gets both; remove it there",
                            component.name, argument.name, argument.value
                        ));
                    }
                }
            }
        }
        warnings
    }

    fn add(&mut self, text: &str, file: &str, after_ours: bool) {
        let mut depth = 0_usize;
        let mut in_list = false;
        let mut current: Option<Setting> = None;
        for next in Parser::new_from_str(text) {
            let Ok((event, span)) = next else {
                self.problems.push(format!("{file} is not YAML: K3s will not start"));
                break;
            };
            let place =
                Place { file: file.to_owned(), position: Some((span.start.line(), span.start.col() + 1)) };
            match event {
                Event::Scalar(value, ..) => match (&mut current, depth) {
                    (None, 1) => {
                        let append = value.ends_with('+');
                        let key = value.strip_suffix('+').unwrap_or(&value).to_owned();
                        current = Some(Setting { key, append, values: Vec::new(), place, after_ours });
                    }
                    (Some(setting), 1) => {
                        setting.values.push((value.to_string(), place));
                        self.settings.extend(current.take());
                    }
                    (Some(setting), 2) if in_list => setting.values.push((value.to_string(), place)),
                    _ => {}
                },
                Event::SequenceStart(..) | Event::MappingStart(..) => {
                    depth += 1;
                    in_list = matches!(event, Event::SequenceStart(..)) && depth == 2;
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    depth = depth.saturating_sub(1);
                    if depth == 1 {
                        in_list = false;
                        self.settings.extend(current.take());
                    }
                }
                // K3s reads the first document only.
                Event::DocumentEnd => break,
                _ => {}
            }
        }
    }
}

fn same(text: &str, value: &serde_json::Value) -> bool {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned) == text
}

/// Tells whether `name=…`, `name+=…`, `name-=…` or `--name…` sets the argument.
fn names(value: &str, argument: &str) -> bool {
    let name = value.split('=').next().unwrap_or(value).trim_start_matches('-');
    name.trim_end_matches(['+', '-']) == argument
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_with_their_lines() {
        let mut existing = Existing::default();
        existing.add(
            "token: x\nkube-apiserver-arg+:\n  - a=1\n  - b=2\nnode-label: [c]\n",
            "config.yaml",
            false,
        );
        let found: Vec<String> = existing
            .settings
            .iter()
            .flat_map(|setting| {
                setting.values.iter().map(|(value, place)| format!("{}={value} {place}", setting.key))
            })
            .collect();
        assert_eq!(
            found,
            [
                "token=x config.yaml:1:8",
                "kube-apiserver-arg=a=1 config.yaml:3:5",
                "kube-apiserver-arg=b=2 config.yaml:4:5",
                "node-label=c config.yaml:5:14"
            ]
        );
        assert!(existing.settings[1].append);
    }

    #[test]
    fn every_way_to_name_an_argument() {
        for value in ["audit-log-path=x", "--audit-log-path=x", "audit-log-path+=x", "audit-log-path-=x"] {
            assert!(names(value, "audit-log-path"), "{value}");
        }
        assert!(!names("audit-log-path-x=1", "audit-log-path"));
    }
}
