// SPDX-License-Identifier: Apache-2.0
//! The page for auditors, without a browser; `tests/it/reports/browser.py` opens it in one.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use k3s_harden::output::{ReportOrigin, html};
use k3s_harden::verify::Status;

use super::sample::{TAKEN, forecast, hostile, hostile_origin, report};

/// What is between `from` and `to`, each time.
pub(crate) fn between<'a>(text: &'a str, from: &str, to: &str) -> Vec<&'a str> {
    text.split(from).skip(1).map(|rest| rest.split(to).next().unwrap()).collect()
}

/// The tags of a page, in order, without their attributes.
fn tags(page: &str) -> Vec<&str> {
    let body = page.split_once("<body>").unwrap().1.split_once("<script>").unwrap().0;
    between(body, "<", ">").into_iter().map(|tag| tag.split(' ').next().unwrap()).collect()
}

#[test]
fn it_has_all_that_the_report_has() {
    let report = report();
    let page = html(&report, &TAKEN);
    for verdict in &report.verdicts {
        let card =
            between(&page, &format!("<details class=\"control\" id=\"c-{}\"", verdict.id), "</details>");
        let [card] = card[..] else { panic!("{}: {card:?}", verdict.id) };
        let escaped = |text: &str| text.replace('&', "&amp;").replace('\'', "&#39;");
        for text in [&verdict.title, &verdict.expected, &verdict.actual, &verdict.name] {
            assert!(card.contains(&escaped(text)), "{}: {text}", verdict.id);
        }
        // A command between backticks is marked, to be copied.
        for (index, part) in verdict.remedy.lines().flat_map(|line| line.split('`').enumerate()) {
            let part = escaped(part);
            let shown = if index % 2 == 1 { format!("<code class=\"command\">{part}</code>") } else { part };
            assert!(card.contains(&shown), "{}: {shown}", verdict.id);
        }
        for place in verdict.evidence.iter().filter_map(|evidence| evidence.place.as_ref()) {
            assert!(
                card.contains(&format!("<code class=\"place\">{place}</code>")),
                "{}: {place}",
                verdict.id
            );
        }
        let is_open = card.split_once('>').unwrap().0.ends_with(" open");
        let to_do = matches!(verdict.status, Status::Fail | Status::Warn | Status::Unknown)
            && verdict.waiver.is_none();
        assert_eq!(is_open, to_do, "{}", verdict.id);
        assert_eq!(card.contains("<dt>Waived</dt>"), verdict.waiver.is_some(), "{}", verdict.id);
    }
    for text in [
        "42.8 %",
        "2026-11-25 09:00:00 UTC",
        "node-1",
        "v1.33.4+k3s1",
        "0.2.0",
        "84d89877f0d4041e",
        "the waiver for 1.2.19 has expired",
    ] {
        assert!(page.contains(text), "{text}");
    }
    assert!(!page.contains("Forecast."));
    assert!(html(&forecast(), &TAKEN).contains("Forecast."));
}

#[test]
fn a_page_without_anything_to_tell_is_a_page() {
    let mut empty = report();
    empty.verdicts.clear();
    empty.findings.clear();
    let page = html(&empty, &ReportOrigin::default());
    assert!(page.contains("no score") && page.ends_with("</html>\n"));
}

#[test]
fn what_comes_from_the_node_is_text() {
    let page = html(&hostile(), &hostile_origin());
    assert!(!page.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}' || c == '\u{fffe}'));
    assert!(!page.contains("<img"));
    assert_eq!(page.matches("</script>").count(), 1);
    assert!(page.contains(r"&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;\u{1b}[2J"));
    // Whatever the texts are, the elements are the same.
    let mut harmless = hostile();
    for verdict in &mut harmless.verdicts {
        for text in [&mut verdict.title, &mut verdict.expected, &mut verdict.actual, &mut verdict.remedy] {
            "text".clone_into(text);
        }
        for evidence in &mut verdict.evidence {
            "seen".clone_into(&mut evidence.text);
        }
    }
    assert_eq!(tags(&page), tags(&html(&harmless, &TAKEN)));
}

#[test]
fn it_loads_nothing() {
    let page = html(&hostile(), &TAKEN);
    let head = page.split_once("<style>").unwrap().0;
    assert!(head.contains("default-src 'none'") && !head.contains("unsafe"));
    for tag in between(&page, "<", ">") {
        for attribute in [" src=", " srcset=", " style=", " on", "@import", "url("] {
            assert!(!tag.contains(attribute), "{tag}");
        }
    }
    for address in between(&page, "href=\"", "\"") {
        assert!(address.starts_with('#'), "{address}");
    }
}

/// The hashes of the policy, which a browser compares.
#[test]
fn its_policy_lets_its_own_style_and_script_in() {
    let page = html(&report(), &TAKEN);
    for (tag, directive) in [("style", "style-src"), ("script", "script-src")] {
        let [text] = between(&page, &format!("<{tag}>"), &format!("</{tag}>"))[..] else {
            panic!("one {tag}")
        };
        let policy = format!("{directive} 'sha256-{}'", sha256(text));
        assert!(page.contains(&policy), "the template has to say: {policy}");
    }
}

/// coreutils' SHA-256, as a policy writes it.
pub(crate) fn sha256(text: &str) -> String {
    let mut child = Command::new("sha256sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("coreutils is there");
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let hex = &output[..64];
    let bits = (0..64).fold(String::new(), |mut bits, at| {
        write!(bits, "{:04b}", u8::from_str_radix(&hex[at..=at], 16).unwrap()).unwrap();
        bits
    });
    let digits: Vec<char> = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['+', '/']).collect();
    // 256 bits are 42 digits and 4 bits, which are filled up to 6.
    let padded = bits + "00";
    let base64: String =
        (0..43).map(|at| digits[usize::from_str_radix(&padded[at * 6..at * 6 + 6], 2).unwrap()]).collect();
    base64 + "="
}
