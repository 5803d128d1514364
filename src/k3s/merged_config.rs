// SPDX-License-Identifier: Apache-2.0
//! The configuration on a node as K3s will read it: its files are found, and merged (readConfigFile and dotDFiles in
//! pkg/configfilearg/parser.go of K3s).

use super::config_file;
use super::merge::{self, ConfigKey};
use crate::error::{Error, ErrorKind, Place, Result, one_line};
use crate::kubernetes::go_url;
use crate::node::{Root, RootedPath};

/// K3s's configuration files, merged.
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
    /// Reads a configuration file and the drop-ins beside it. `written` is the name of the file as it is written, which K3s
    /// takes for a URL.
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] with the place where K3s would not start, or if a file is over a limit.
    pub(super) fn read(root: &Root, config: &RootedPath, written: &str) -> Result<Self> {
        let mut merged = Self::default();
        let mut files = Vec::new();
        for (path, name) in Self::paths(root, config, written)? {
            match bytes(root, &path, &name) {
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

    /// Returns `config.yaml`, if it exists, and the drop-ins beside it, with the names that K3s makes of `written` for them.
    fn paths(root: &Root, config: &RootedPath, written: &str) -> Result<Vec<(RootedPath, String)>> {
        let mut paths = Vec::new();
        if root.exists(config) {
            paths.push((config.clone(), written.to_owned()));
        }
        let drop_ins = config_file::drop_ins(config);
        let folder = cleaned(&format!("{written}.d"));
        let names = root.names(&drop_ins)?.into_iter().filter(|name| merge::is_drop_in(name));
        let named = names.map(|name| (drop_ins.join(&name), format!("{folder}/{name}")));
        paths.extend(named.filter(|(path, _)| !root.is_directory(path)));
        Ok(paths)
    }
}

/// Returns a path as Go's `filepath.Join` writes it: by its text alone, without `.`, `..` and empty parts.
fn cleaned(path: &str) -> String {
    let start = if path.starts_with('/') { "/" } else { "" };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
        match (part, parts.last()) {
            ("..", Some(last)) if *last != ".." => drop(parts.pop()),
            ("..", None) if !start.is_empty() => {}
            _ => parts.push(part),
        }
    }
    format!("{start}{}", parts.join("/"))
}

/// Merges files that were read.
fn merge_all(files: &[(RootedPath, Vec<u8>)]) -> Result<Vec<ConfigKey>> {
    let named: Vec<(String, &[u8])> =
        files.iter().map(|(path, bytes)| (path.to_string(), bytes.as_slice())).collect();
    merge::merge(named.iter().map(|(name, bytes)| (name.as_str(), *bytes))).map_err(|(file, problem)| {
        Error::new(ErrorKind::BadInput, problem.message).at(Place { file, position: problem.position })
    })
}

/// Reads a file, whose name for K3s is `written`; none if there is nothing.
fn bytes(root: &Root, path: &RootedPath, written: &str) -> Result<Option<Vec<u8>>> {
    if let Some(problem) = url_problem(written) {
        return Err(at(path, &problem));
    }
    if let Some(why) = root.unreachable(path) {
        return Err(at(path, &format!("open {}: {why}", one_line(&path.to_string()))));
    }
    root.read(path)
}

fn at(file: &RootedPath, message: &str) -> Error {
    Error::new(ErrorKind::BadInput, message).at(Place { file: file.to_string(), position: None })
}

/// Returns why K3s does not read a file because of its name, which it parses as a URL (readConfigFileData); none if it reads it.
fn url_problem(written: &str) -> Option<String> {
    let name = one_line(written);
    match go_url::parse(written) {
        Err(problem) => Some(format!("failed to parse config location {name}: {problem}")),
        Ok(url) if matches!(url.scheme.as_str(), "http" | "https") => {
            Some(format!("failed to read http config {name}: K3s takes the name for a URL"))
        }
        Ok(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_as_urls() {
        for name in [
            "/etc/a b.yaml",
            "/etc/%41.yaml",
            "/etc/a?b.yaml",
            "/etc/a?100%.yaml",
            "/etc/a#b.yaml",
            "/etc/a:b.yaml",
            "/etc/\u{e9}.yaml",
            "/etc/~.yaml",
            // With a scheme, nothing of the rest is looked at.
            "a:x%zz.yaml",
            "a/b:c.yaml",
            "//etc/x.yaml",
            "///e:b/x.yaml",
        ] {
            assert_eq!(url_problem(name), None, "{name}");
        }
        for (name, problem) in [
            ("/etc/100%.yaml", "invalid URL escape \"%.y\""),
            ("/etc/a%zz.yml", "invalid URL escape \"%zz\""),
            ("/etc/a#%.yaml", "invalid URL escape \"%.y\""),
            ("/etc/%", "invalid URL escape \"%\""),
            ("/etc/%4", "invalid URL escape \"%4\""),
            ("/etc/a\tb.yaml", "invalid control character in URL"),
            ("1:x.yaml", "first path segment in URL cannot contain colon"),
            ("//e:b/x.yaml", "invalid port \":b\" after host"),
            ("//e b/x.yaml", "invalid character \" \" in host name"),
            (":x.yaml", "missing protocol scheme"),
            ("http:x.yaml", "K3s takes the name for a URL"),
            ("HTTPS:x.yaml", "K3s takes the name for a URL"),
        ] {
            let found = url_problem(name).unwrap();
            assert!(found.ends_with(problem), "{name}: {found}");
        }
        assert!(!url_problem("/etc/a\nb.yaml").unwrap().contains('\n'));
    }

    #[test]
    fn a_folder_is_written_as_go_joins_it() {
        for (written, folder) in [
            ("//e:b/x.yaml.d", "/e:b/x.yaml.d"),
            ("1:x.yaml.d", "1:x.yaml.d"),
            ("./a/../1:x.d", "1:x.d"),
            ("../a//b.d", "../a/b.d"),
            ("/../a.d", "/a.d"),
        ] {
            assert_eq!(cleaned(written), folder);
        }
    }
}
