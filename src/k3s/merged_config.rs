//! The configuration on a node as K3s will read it: its files are found, and merged (readConfigFile and dotDFiles in
//! pkg/configfilearg/parser.go of K3s).

use super::config_file;
use super::merge::{self, ConfigKey};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::node::{Root, RootedPath};

/// K3s' configuration files, merged.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct MergedConfig {
    /// The files, in the order in which K3s reads them.
    pub(super) files: Vec<RootedPath>,
    /// The keys, merged.
    pub(super) keys: Vec<ConfigKey>,
    /// The drop-in that is a symlink to nothing, for which K3s ignores all of it.
    pub(super) dangling: Option<RootedPath>,
}

impl MergedConfig {
    /// Reads a configuration file and the drop-ins beside it.
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] with the place where K3s would not start, or if a file is over a limit.
    pub(super) fn read(root: &Root, config: &RootedPath) -> Result<Self> {
        let mut merged = Self::default();
        let mut files = Vec::new();
        for path in Self::paths(root, config)? {
            match bytes(root, &path) {
                Ok(Some(bytes)) => files.push((path, bytes)),
                // K3s reads one after the other: what is wrong with an earlier file comes first.
                other => {
                    merge_all(&files)?;
                    other?;
                    return Ok(Self { dangling: Some(path), ..Self::default() });
                }
            }
        }
        merged.keys = merge_all(&files)?;
        merged.files = files.into_iter().map(|(path, _)| path).collect();
        Ok(merged)
    }

    /// Returns `config.yaml`, if it exists, and the drop-ins beside it.
    fn paths(root: &Root, config: &RootedPath) -> Result<Vec<RootedPath>> {
        let mut paths = Vec::new();
        if root.exists(config) {
            paths.push(config.clone());
        }
        let drop_ins = config_file::drop_ins(config);
        let names = root.names(&drop_ins)?.into_iter().filter(|name| merge::is_drop_in(name));
        paths.extend(names.map(|name| drop_ins.join(&name)).filter(|path| !root.is_directory(path)));
        Ok(paths)
    }
}

/// Merges files that were read.
fn merge_all(files: &[(RootedPath, Vec<u8>)]) -> Result<Vec<ConfigKey>> {
    let named: Vec<(String, &[u8])> =
        files.iter().map(|(path, bytes)| (path.to_string(), bytes.as_slice())).collect();
    merge::merge(named.iter().map(|(name, bytes)| (name.as_str(), *bytes))).map_err(|(file, problem)| {
        Error::new(ErrorKind::BadInput, problem.message).at(Place { file, position: problem.position })
    })
}

/// Reads a file; none if there is nothing.
fn bytes(root: &Root, path: &RootedPath) -> Result<Option<Vec<u8>>> {
    if let Some(problem) = url_problem(path.as_str()) {
        return Err(at(path, &format!("failed to parse config location {path}: {problem}")));
    }
    if let Some(why) = root.unreachable(path) {
        return Err(at(path, &format!("open {path}: {why}")));
    }
    root.read(path)
}

fn at(file: &RootedPath, message: &str) -> Error {
    Error::new(ErrorKind::BadInput, message).at(Place { file: file.to_string(), position: None })
}

/// Returns why Go's `url.Parse` does not take a path, with which K3s looks whether the name of a file is a URL; none if it
/// takes it. The path begins with a slash.
fn url_problem(path: &str) -> Option<String> {
    let (before, fragment) = path.split_once('#').unwrap_or((path, ""));
    if before.chars().any(|letter| letter.is_ascii_control()) {
        return Some("net/url: invalid control character in URL".to_owned());
    }
    let part = before.split('?').next().unwrap_or(before);
    [part, fragment].into_iter().find_map(bad_escape).map(|escape| format!("invalid URL escape {escape:?}"))
}

/// Returns the first percent sign that two hexadecimal digits do not follow, with what follows it.
fn bad_escape(text: &str) -> Option<String> {
    text.match_indices('%').find_map(|(at, _)| {
        let shown: String = text[at..].chars().take(3).collect();
        let digits = shown.chars().skip(1).filter(char::is_ascii_hexdigit).count();
        (digits != 2).then_some(shown)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_as_urls() {
        for name in [
            "a b.yaml",
            "%41.yaml",
            "a?b.yaml",
            "a?100%.yaml",
            "a#b.yaml",
            "a:b.yaml",
            "\u{e9}.yaml",
            "~.yaml",
        ] {
            assert_eq!(url_problem(&format!("/etc/{name}")), None, "{name}");
        }
        for (name, escape) in
            [("100%.yaml", "%.y"), ("a%zz.yml", "%zz"), ("a#%.yaml", "%.y"), ("%", "%"), ("%4", "%4")]
        {
            let problem = url_problem(&format!("/etc/{name}"));
            assert_eq!(problem, Some(format!("invalid URL escape {escape:?}")), "{name}");
        }
        assert!(url_problem("/etc/a\tb.yaml").unwrap().contains("control character"));
    }
}
