// SPDX-License-Identifier: Apache-2.0
//! What the manual says that the program prints is what it prints. The blocks of a page share one root, in their order.
//! `K3S_HARDEN_BLESS=1` writes the outputs anew; read the diff before you commit it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::pages;
use crate::support::{owner, timeless};

/// Stands for any lines.
const ANY: &str = "…";

/// `k3s-harden`: puts the page's root in the place of `/`, and makes another root that is named below it.
const PROGRAM: &str = r#"#!/bin/sh
previous='' given=''
for word; do
  shift
  if [ "$previous" = --root ]; then mkdir -p "$ROOT$word"; word=$ROOT$word; given=yes; fi
  previous=$word
  set -- "$@" "$word"
done
[ -n "$given" ] || set -- --root "$ROOT" "$@"
exec "$BINARY" --owner "$OWNER" "$@"
"#;

/// The machine of a page: what every machine has, a folder to work in, and the programs.
pub(super) struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for path in ["root/etc/sysctl.d", "root/usr/local/bin", "root/var/lib", "root/var/log", "work", "bin"]
        {
            fs::create_dir_all(folder.path().join(path)).unwrap();
        }
        fs::write(folder.path().join("root/etc/hostname"), "node-1\n").unwrap();
        for (name, text) in [("k3s-harden", PROGRAM), ("sudo", "#!/bin/sh\nexec \"$@\"\n")] {
            let path = folder.path().join("bin").join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self { folder }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// Runs a line, and returns what a terminal would show.
    pub(super) fn run(&self, line: &str) -> Vec<String> {
        let bin = self.folder.path().join("bin");
        let output = Command::new("sh")
            .args(["-c", &format!("exec 2>&1\n{line}")])
            .current_dir(self.folder.path().join("work"))
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
            .env("ROOT", self.root())
            .env("OWNER", owner())
            .env("BINARY", env!("CARGO_BIN_EXE_k3s-harden"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        // A program that is not there, or that was killed, is a mistake of the page.
        let code = output.status.code();
        assert!(code.is_some_and(|code| ![126, 127].contains(&code)), "{line}: {code:?}");
        let root = self.root().to_str().unwrap().to_owned();
        let text = String::from_utf8(output.stdout).unwrap();
        let text = text.replace(&format!(" --root {root}"), "");
        let text = text.replace(&format!("{root}/"), "/").replace(&root, "/");
        let text = text.replace(&format!(" owner {}", owner()), " owner 0:0");
        timeless(&text).lines().map(str::to_owned).collect()
    }

    /// Writes a block whose first line is the path of a file, in a comment.
    fn write(&self, lines: &[String]) {
        let Some(path) = lines.first().and_then(|line| line.strip_prefix("# ")) else { return };
        if !path.ends_with(".yaml") || path.contains(' ') {
            return;
        }
        let file = match path.strip_prefix('/') {
            Some(below) => self.root().join(below),
            None => self.folder.path().join("work").join(path),
        };
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, lines.join("\n") + "\n").unwrap();
    }
}

/// Tells whether `lines` are what a page says, in which a line `…` stands for any lines.
fn matches(page: &[String], lines: &[String]) -> bool {
    match page.split_first() {
        None => lines.is_empty(),
        Some((line, rest)) if line == ANY => (0..=lines.len()).any(|skip| matches(rest, &lines[skip..])),
        Some((line, rest)) => lines.first() == Some(line) && matches(rest, &lines[1..]),
    }
}

/// Writes anew what a page says: each of its lines becomes the line of the output that is most like it, in order, with `…`
/// between. A page without `…` gets the whole output.
fn renewed(page: &[String], lines: &[String]) -> Vec<String> {
    if !page.iter().any(|line| line == ANY) {
        return lines.to_vec();
    }
    let wanted: Vec<&String> = page.iter().filter(|line| *line != ANY).collect();
    let likeness = |a: &str, b: &str| {
        let words: Vec<&str> = b.split_whitespace().collect();
        let shared = a.split_whitespace().filter(|word| words.contains(word)).count();
        2 * shared + usize::from(a == b)
    };
    // best[i][j]: of the first i lines of the page in the first j of the output.
    let mut best = vec![vec![0; lines.len() + 1]; wanted.len() + 1];
    for i in 1..=wanted.len() {
        for j in 1..=lines.len() {
            let taken = best[i - 1][j - 1] + likeness(wanted[i - 1], &lines[j - 1]);
            best[i][j] = taken.max(best[i - 1][j]).max(best[i][j - 1]);
        }
    }
    let (mut i, mut j, mut kept) = (wanted.len(), lines.len(), Vec::new());
    while i > 0 && j > 0 {
        if best[i][j] == best[i][j - 1] {
            j -= 1;
        } else if best[i][j] == best[i - 1][j] {
            i -= 1;
        } else {
            (i, j) = (i - 1, j - 1);
            kept.push(j);
        }
    }
    let (mut text, mut next) = (Vec::new(), 0);
    for at in kept.into_iter().rev() {
        if at > next || (at == 0 && page[0] == ANY) {
            text.push(ANY.to_owned());
        }
        text.push(lines[at].clone());
        next = at + 1;
    }
    if next < lines.len() || text.is_empty() || page.last().is_some_and(|line| line == ANY) {
        text.push(ANY.to_owned());
    }
    text
}

/// Runs a page. Returns it with the outputs as they are, and what differs.
fn run(text: &str) -> (String, Vec<String>) {
    let mut machine = Machine::new();
    let lines: Vec<&str> = text.lines().collect();
    let blocks = pages::blocks(text);
    let (mut anew, mut differences, mut at) = (Vec::new(), Vec::new(), 0);
    while at < lines.len() {
        anew.push(lines[at].to_owned());
        if let Some(word) = lines[at].strip_prefix("<!-- test: ").and_then(|rest| rest.strip_suffix(" -->")) {
            if word == "new root" {
                machine = Machine::new();
            } else {
                machine.run(word);
            }
        }
        let block = blocks.iter().find(|block| block.fence == at);
        at += 1;
        let Some(block) = block else { continue };
        at += block.lines.len();
        if block.language == "yaml" {
            machine.write(&block.lines);
        }
        if block.language != "console" {
            anew.extend(block.lines.iter().cloned());
            continue;
        }
        let mut left = &block.lines[..];
        while let Some((line, rest)) = left.split_first() {
            let command = line.strip_prefix("$ ").unwrap_or_else(|| panic!("no command: {line}"));
            let end = rest.iter().position(|line| line.starts_with("$ ")).unwrap_or(rest.len());
            let (said, more) = rest.split_at(end);
            let printed = machine.run(command);
            anew.push(line.clone());
            if matches(said, &printed) {
                anew.extend(said.iter().cloned());
            } else {
                let now = renewed(said, &printed);
                differences.push(format!("{line}\n{}\n  is now\n{}", said.join("\n"), printed.join("\n")));
                anew.extend(now);
            }
            left = more;
        }
    }
    (anew.join("\n") + "\n", differences)
}

#[test]
fn what_the_manual_shows_is_what_is_printed() {
    let pages: Vec<PathBuf> = pages::by_hand();
    let pages: Vec<(PathBuf, String)> =
        pages.into_iter().map(|page| (page.clone(), pages::read(&page))).collect();
    let with_transcripts: Vec<_> = pages.iter().filter(|(_, text)| text.contains("```console")).collect();
    assert!(with_transcripts.len() > 10, "{}", with_transcripts.len());
    let mut wrong = Vec::new();
    for (page, text) in with_transcripts {
        let (anew, differences) = run(text);
        if differences.is_empty() {
            continue;
        }
        if std::env::var_os("K3S_HARDEN_BLESS").is_some() {
            fs::write(page, anew).unwrap();
        }
        wrong.push(format!("{}: {}", page.display(), differences.join("\n\n")));
    }
    assert!(wrong.is_empty(), "K3S_HARDEN_BLESS=1 writes them anew.\n\n{}", wrong.join("\n\n"));
}

/// A heading that is a message stands above that message, or the message is one of the source.
#[test]
fn every_message_that_is_explained_is_one_that_is_printed() {
    let text = pages::read(Path::new("docs/troubleshooting.md"));
    let source: String = crate::support::walk(Path::new("src"))
        .into_iter()
        .filter(|(path, _)| path.extension().is_some_and(|ending| ending == "rs"))
        .map(|(path, _)| fs::read_to_string(Path::new("src").join(path)).unwrap())
        .collect();
    // Of Kubernetes.
    const OF_OTHERS: [&str; 1] = ["violates PodSecurity"];
    let blocks = pages::blocks(&text);
    let mut headings = 0;
    for (number, line) in pages::prose(&text).into_iter().filter(|(_, line)| line.starts_with("### ")) {
        for message in pages::quoted(line) {
            headings += 1;
            let below = blocks.iter().find(|block| block.fence > number && block.language == "console");
            let is_shown = below.is_some_and(|block| block.lines.iter().any(|line| line.contains(message)));
            assert!(
                is_shown || source.contains(message) || OF_OTHERS.contains(&message),
                "no message says {message:?}"
            );
        }
    }
    assert!(headings > 15, "{headings}");
}

#[test]
fn any_lines_are_any_number_of_lines() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert!(matches(&lines("a\n…\nd"), &lines("a\nb\nc\nd")));
    assert!(matches(&lines("…\na"), &lines("a")));
    assert!(!matches(&lines("…\na"), &lines("a\nb")));
    assert!(!matches(&lines("a"), &lines("")));
    // A bless keeps the lines that are still there, and replaces the others by what is most like them.
    let printed = lines("one thing\ntwo of it\n3 to create.");
    assert_eq!(renewed(&lines("…\n2 to create."), &printed), lines("…\n3 to create."));
    assert_eq!(renewed(&lines("one thing\n…"), &printed), lines("one thing\n…"));
    assert_eq!(renewed(&lines("else"), &printed), printed);
}
