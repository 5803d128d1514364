// SPDX-License-Identifier: Apache-2.0
//! The least that a first apply can take: the same directories, the same bytes and the same calls of fsync in the same
//! order, by a program that does nothing else.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use regex::Regex;

/// The argument with which this program starts itself to replay a list: see [`replay`].
pub(crate) const REPLAY: &str = "--replay";

/// Returns what a command changes below its root, one call on a line: `mkdir PATH`, `create PATH`, `write PATH BYTES`,
/// `fsync PATH`, `rename PATH TO` and `remove PATH`.
pub(crate) fn recorded(words: &[&str], root: &Path) -> String {
    let calls = tempfile::NamedTempFile::new().expect("a file for the calls");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-e", "trace=mkdirat,openat,write,fsync,renameat,renameat2,unlinkat", "-o"]);
    let status = strace.arg(calls.path()).args(words).output().expect("strace starts").status;
    assert!(status.success(), "{words:?}");
    let patterns = [
        ("mkdir", r#" mkdirat\(\d+<(.+?)>, "(.+?)", \d+\) = 0"#),
        ("create", r#" openat\(\d+<(.+?)>, "(.+?)", \S*O_CREAT\S* \d+\) = \d"#),
        ("write", r#" write\(\d+<(.+?)>, .*\) = (\d+)"#),
        ("fsync", r#" fsync\(\d+<(.+?)>\) += 0"#),
        ("rename", r#" renameat2?\(\d+<(.+?)>, "(.+?)", \d+<(.+?)>, "(.+?)".*\) = 0"#),
        ("remove", r#" unlinkat\(\d+<(.+?)>, "(.+?)", .*\) = 0"#),
    ];
    let patterns = patterns.map(|(name, pattern)| (name, Regex::new(pattern).expect("a pattern")));
    let text = fs::read_to_string(calls.path()).expect("strace has written it");
    let mut list = String::new();
    for line in text.lines() {
        let Some((name, found)) =
            patterns.iter().find_map(|(name, pattern)| Some((*name, pattern.captures(line)?)))
        else {
            continue;
        };
        let below = |path: &str| {
            path.strip_prefix(root.to_str()?)?.strip_prefix('/').map(str::to_owned).or(Some(String::new()))
        };
        let Some(folder) = below(&found[1]) else { continue };
        let at = |folder: &str, name: &str| {
            if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
        };
        list += &match name {
            "write" => format!("write {folder} {}\n", &found[2]),
            "fsync" => format!("fsync {}\n", if folder.is_empty() { "." } else { &folder }),
            "rename" => {
                let to = below(&found[3]).expect("it stays below the root");
                format!("rename {} {}\n", at(&folder, &found[2]), at(&to, &found[4]))
            }
            _ => format!("{name} {}\n", at(&folder, &found[2])),
        };
    }
    list
}

/// Makes the calls of a list below a root.
pub(crate) fn replay(list: &str, root: &str) {
    std::env::set_current_dir(root).expect("the root is there");
    let list = fs::read_to_string(list).expect("the list is there");
    let bytes = vec![b'#'; 1 << 20];
    let mut files: BTreeMap<&str, File> = BTreeMap::new();
    for line in list.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["mkdir", path] => fs::create_dir(path),
            ["create", path] => File::create_new(path).map(|file| drop(files.insert(path, file))),
            ["write", path, count] => {
                let count: usize = count.parse().expect("a number");
                files.get_mut(path).expect("it was made").write_all(&bytes[..count])
            }
            ["fsync", path] => match files.get(path) {
                Some(file) => file.sync_all(),
                None => File::open(path).and_then(|file| file.sync_all()),
            },
            ["rename", path, to] => fs::rename(path, to),
            ["remove", path] => fs::remove_file(path).or_else(|_| fs::remove_dir(path)),
            _ => panic!("{line:?}"),
        }
        .unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}
