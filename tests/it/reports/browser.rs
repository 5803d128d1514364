// SPDX-License-Identifier: Apache-2.0
//! The page for auditors in a real browser, by `browser.py`: what the binary makes of a hardened node, a report with
//! everything, and a hostile one. Then the same page, broken in many ways, each of which has to be told.

use std::fs;
use std::path::{Path, PathBuf};

use k3s_harden::output::html;
use k3s_harden::verify::VerifyReport;
use serde_json::{Value, json};

use super::sample::{TAKEN, hostile, report};
use crate::support::{Node, tools, turns};

pub(crate) const CHROMIUM: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// How many pages the print of a whole benchmark has at most.
const MOST_PAGES: u64 = 8;

#[test]
#[ignore = "needs chromium, pdftotext and python3"]
fn a_browser_has_nothing_to_complain_of() {
    let _busy = turns::busy();
    let folder = tempfile::tempdir().unwrap();
    let hardened = Node::new().file("etc/hostname", "node-1\n");
    let done = hardened.run(&["apply", "-q", "--k3s-version", "1.33", "--role", "server"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let written = |format| hardened.run(&["verify", "--format", format]).stdout;
    let all: Value = serde_json::from_str(&written("json")).unwrap();
    // Where nothing is hardened, there is the most to be said.
    let bare = Node::new().run(&["verify", "--format", "html", "--k3s-version", "1.37"]).stdout;
    let seen = r#"</script><img src=x onerror=alert(1)>\u{1b}[2J\u{1b}]0;owned\u{7}\u{d}\n- [x](http://evil.example/) {0} ]]> & "'\u{9b}31m\u{202e}\u{0}\u{fffe}"#;
    let cases = [
        Case::of("hardened", written("html"), texts(&all)),
        Case::of("bare", bare, Vec::new()),
        Case::of("everything", html(&report(), &TAKEN), told(&report())),
        Case::of("hostile", html(&hostile(), &TAKEN), vec![seen.to_owned()]),
    ];
    for answer in look(folder.path(), &cases) {
        assert_eq!(answer["problems"], json!([]), "{answer:#}");
        let number = |name: &str| answer["figures"][name].as_u64().unwrap();
        assert!(number("printed") > 0 && number("printed without scripts") > 0, "{answer}");
        assert_eq!(number("narrow"), 360, "{answer}");
        for name in ["printed", "printed without scripts"] {
            assert!(number(name) <= MOST_PAGES, "{name}: {answer}");
        }
        println!("{}: {}", answer["name"], answer["figures"]);
    }
    println!("pictures and prints: {}", artefacts().display());
}

/// What makes a page worse has to be seen: the kind of problem, what is replaced, and by what. The page has no policy
/// there, which would keep most of it out; the first two show that it does.
const BROKEN: [(&str, &str, &str); 13] = [
    ("console", "<footer>", "<img src=\"http://127.0.0.1:9/x.png\" alt=\"\"><footer>"),
    ("console", "\"use strict\";", "\"use strict\"; /* another script */"),
    ("request", "<footer>", "<img src=\"http://127.0.0.1:9/x.png\" alt=\"\"><footer>"),
    ("console", "\"use strict\";", "\"use strict\"; console.error(\"oh\");"),
    ("console", "\"use strict\";", "\"use strict\"; console.warn(\"oh\");"),
    ("exception", "\"use strict\";", "\"use strict\"; setTimeout(() => { throw new Error(\"oh\"); });"),
    ("filter", "control.hidden = !fits;", ""),
    (
        "wide",
        "<footer>",
        "<pre>0123456789012345678901234567890123456789012345678901234567890123456789</pre><footer>",
    ),
    ("contrast", "--soft: #55606c;", "--soft: #a0a8b0;"),
    ("contrast", "--soft: #a3aeba;", "--soft: #505a64;"),
    (
        "print",
        "  .details dt { padding: 0; font-style: italic; }",
        "  .details ul { display: none !important; }",
    ),
    ("print", "  .scroll { overflow: visible; }", "  th { min-width: 7rem !important; }"),
    ("scriptless", "details::details-content { content-visibility: visible;", "details::details-content {"),
];

#[test]
#[ignore = "needs chromium, pdftotext and python3"]
fn what_is_broken_is_seen() {
    let _busy = turns::busy();
    let folder = tempfile::tempdir().unwrap();
    let whole = html(&report(), &TAKEN);
    let cases: Vec<Case> = BROKEN
        .iter()
        .enumerate()
        .map(|(index, (kind, from, to))| {
            assert!(whole.contains(from), "{from}");
            let page = if index < 2 { whole.clone() } else { without_policy(&whole) };
            let case = Case::of(&format!("{index}-{kind}"), page.replace(from, to), told(&report()));
            Case { keep: false, ..case }
        })
        .collect();
    for (answer, (kind, _, to)) in look(folder.path(), &cases).iter().zip(BROKEN) {
        let kinds: Vec<&str> =
            answer["problems"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
        assert!(kinds.contains(&kind), "{to}: {answer:#}");
    }
}

/// The page without its content security policy.
fn without_policy(page: &str) -> String {
    let (before, rest) = page.split_once("<meta http-equiv=").unwrap();
    before.to_owned() + rest.split_once('\n').unwrap().1
}

struct Case {
    name: String,
    page: String,
    texts: Vec<String>,
    keep: bool,
}

impl Case {
    fn of(name: &str, page: String, texts: Vec<String>) -> Self {
        Self { name: name.to_owned(), page, texts, keep: true }
    }
}

/// What has to be read on the page of a report: what is wanted, and what was seen where.
fn told(report: &VerifyReport) -> Vec<String> {
    texts(&k3s_harden::output::verify_json(report, &TAKEN))
}

fn texts(report: &Value) -> Vec<String> {
    let mut texts = Vec::new();
    let mut add = |value: &Value| texts.extend(value.as_str().map(str::to_owned));
    for control in report["controls"].as_array().unwrap() {
        for name in ["title", "name", "expected", "actual"] {
            add(&control[name]);
        }
        for evidence in control["evidence"].as_array().unwrap() {
            add(&evidence["text"]);
            add(&evidence["path"]);
        }
    }
    texts
}

/// Asks a browser about pages; everything in one go, because it starts slowly.
fn look(folder: &Path, cases: &[Case]) -> Vec<Value> {
    tools::need(&["pdftotext"]);
    let chromium = tools::find(&CHROMIUM);
    let listed: Vec<Value> = cases
        .iter()
        .map(|case| {
            let page = folder.join(format!("{}.html", case.name));
            fs::write(&page, &case.page).unwrap();
            json!({"name": case.name, "page": page, "texts": case.texts, "keep": case.keep})
        })
        .collect();
    fs::write(folder.join("cases.json"), json!(listed).to_string()).unwrap();
    fs::create_dir_all(artefacts()).unwrap();
    let asked = tools::command("python3")
        .args([Path::new("tests/it/reports/browser.py"), &chromium, &folder.join("cases.json"), &artefacts()])
        .output()
        .unwrap();
    assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
    let answers: Vec<Value> = serde_json::from_slice(&asked.stdout).unwrap();
    assert_eq!(answers.len(), cases.len());
    answers
}

/// Where the pictures and prints are kept.
pub(crate) fn artefacts() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("artefacts/reports")
}
