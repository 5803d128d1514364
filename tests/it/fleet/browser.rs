// SPDX-License-Identifier: Apache-2.0
//! The page of many nodes in a real browser, by `browser.py`: wide, on a phone, dark, printed, without scripts. Then the same
//! page, broken in several ways, each of which has to be told.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::sample::{FLEET, Folder, fleet, report};
use crate::reports::browser::{CHROMIUM, artefacts};
use crate::support::{tools, turns};

/// A page, and the texts that have to be read on it.
struct Case<'a> {
    name: &'a str,
    page: String,
    texts: Vec<String>,
}

fn page() -> String {
    let folder = fleet();
    let before = folder.merge(&["--format", "json", "web-3.json", "db-1-old.json"]).stdout;
    let words = [&["--format", "html", "--baseline", "before.json"], &FLEET[..]].concat();
    folder.file("before.json", before).merge(&words).stdout
}

fn texts() -> Vec<String> {
    let merged = fleet().merged(&FLEET);
    let mut texts: Vec<String> = vec!["cut.json".to_owned(), "db-1-old.json".to_owned()];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    texts.extend(merged["nodes"].as_array().unwrap().iter().map(|node| text(&node["name"])));
    texts.extend(merged["controls"].as_array().unwrap().iter().map(|control| text(&control["title"])));
    texts.extend(merged["remarks"].as_array().unwrap().iter().map(|remark| text(&remark["message"])));
    texts
}

/// A fleet without two nodes alike, of more groups than the table has columns.
fn crowd() -> String {
    let names: Vec<String> =
        k3s_harden::verify::controls("1.12").unwrap().into_iter().map(|it| it.name).collect();
    let mut folder = Folder::new();
    let mut words = vec!["--format".to_owned(), "html".to_owned()];
    for number in 0..130 {
        let (one, other) = (&names[number % 131], &names[(number * 7 + 3) % 131]);
        let host = format!("node-{number:03}.a-long-name-of-a-data-centre.example.com");
        let file = format!("{number}.json");
        folder = folder.report(&file, &report(&host, "1.12", &[(one, "fail"), (other, "warn")]));
        words.push(file);
    }
    folder.merge(&words.iter().map(String::as_str).collect::<Vec<_>>()).stdout
}

#[test]
#[ignore = "needs chromium, pdftotext and python3"]
fn a_browser_has_nothing_to_complain_of() {
    let _busy = turns::busy();
    let cases = [
        Case { name: "fleet", page: page(), texts: texts() },
        Case { name: "crowd", page: crowd(), texts: Vec::new() },
    ];
    for answer in look(&cases) {
        assert_eq!(answer["problems"], json!([]), "{answer:#}");
        assert_eq!(answer["figures"]["narrow"], 360, "{answer}");
        println!("{}: {}", answer["name"], answer["figures"]);
    }
    println!("pictures: {}", artefacts().display());
}

/// The kind of problem, what is replaced, and by what. But for the first, the page has no policy there.
const BROKEN: [(&str, &str, &str); 5] = [
    ("console", "\"use strict\";", "\"use strict\"; /* another script */"),
    ("request", "<footer>", "<img src=\"http://127.0.0.1:9/x.png\" alt=\"\"><footer>"),
    ("filter", "one.hidden = !fits;", ""),
    (
        "wide",
        "<footer>",
        "<pre>0123456789012345678901234567890123456789012345678901234567890123456789</pre><footer>",
    ),
    ("contrast", "--soft: #a3aeba;", "--soft: #505a64;"),
];

#[test]
#[ignore = "needs chromium, pdftotext and python3"]
fn what_is_broken_is_seen() {
    let _busy = turns::busy();
    let whole = page();
    let (before, rest) = whole.split_once("<meta http-equiv=").unwrap();
    let without_policy = before.to_owned() + rest.split_once('\n').unwrap().1;
    let names: Vec<String> = (0..BROKEN.len()).map(|index| format!("broken-fleet-{index}")).collect();
    let cases: Vec<Case<'_>> = BROKEN
        .iter()
        .zip(&names)
        .map(|((kind, from, to), name)| {
            let page = if *kind == "console" { &whole } else { &without_policy };
            assert!(page.contains(from), "{from}");
            Case { name, page: page.replace(from, to), texts: texts() }
        })
        .collect();
    for (answer, (kind, _, to)) in look(&cases).iter().zip(BROKEN) {
        let kinds: Vec<&str> =
            answer["problems"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
        assert!(kinds.contains(&kind), "{to}: {answer:#}");
    }
}

/// Asks a browser about pages; everything in one go, because it starts slowly.
fn look(cases: &[Case<'_>]) -> Vec<Value> {
    tools::need(&["pdftotext"]);
    let chromium = tools::find(&CHROMIUM);
    let folder = tempfile::tempdir().unwrap();
    let listed: Vec<Value> = cases
        .iter()
        .map(|case| {
            let page = folder.path().join(format!("{}.html", case.name));
            fs::write(&page, &case.page).unwrap();
            let keep = !case.name.starts_with("broken");
            json!({"name": case.name, "page": page, "texts": case.texts, "keep": keep})
        })
        .collect();
    fs::write(folder.path().join("cases.json"), json!(listed).to_string()).unwrap();
    fs::create_dir_all(artefacts()).unwrap();
    let asked = tools::command("python3")
        .args([
            Path::new("tests/it/fleet/browser.py"),
            &chromium,
            &folder.path().join("cases.json"),
            &artefacts(),
        ])
        .output()
        .unwrap();
    assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
    let answers: Vec<Value> = serde_json::from_slice(&asked.stdout).unwrap();
    assert_eq!(answers.len(), cases.len());
    answers
}
