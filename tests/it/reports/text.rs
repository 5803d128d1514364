// SPDX-License-Identifier: Apache-2.0
//! For people.

use k3s_harden::output::{Style, TextOptions, verify_text};
use k3s_harden::verify::{Status, VerifyReport};

use super::sample::{TAKEN, forecast, hostile, hostile_origin, report};

const PLAIN: TextOptions =
    TextOptions { style: Style::Plain, width: None, summary: false, only_findings: false };

/// The text, with escapes to be read.
fn text(report: &VerifyReport, options: TextOptions) -> String {
    verify_text(report, &TAKEN, &options).as_str().replace('\x1b', "ESC")
}

#[test]
fn plain() {
    insta::assert_snapshot!(text(&report(), PLAIN));
}

#[test]
fn a_forecast_in_colour_on_a_terminal() {
    let options = TextOptions { style: Style::Coloured, width: Some(80), ..PLAIN };
    insta::assert_snapshot!(text(&forecast(), options));
}

#[test]
fn on_a_narrow_terminal() {
    insta::assert_snapshot!(text(&report(), TextOptions { width: Some(40), ..PLAIN }));
}

#[test]
fn only_findings() {
    insta::assert_snapshot!(text(&forecast(), TextOptions { only_findings: true, ..PLAIN }));
}

#[test]
fn the_summary() {
    let wide = text(&report(), TextOptions { summary: true, ..PLAIN });
    let narrow = text(&report(), TextOptions { summary: true, width: Some(40), ..PLAIN });
    insta::assert_snapshot!(format!("{wide}\n--- 40 columns ---\n{narrow}"));
}

#[test]
fn only_a_long_word_is_wider_than_the_terminal() {
    for columns in [0, 40, 41, 57, 80, 132] {
        let text = text(&report(), TextOptions { width: Some(columns), ..PLAIN });
        let columns = columns.max(40);
        for line in text.lines().filter(|line| line.chars().count() > columns) {
            let words = line.trim_start().trim_start_matches(|c: char| c.is_ascii_alphabetic()).trim_start();
            assert!(!words.contains(' ') || words.starts_with("- "), "{columns} columns: {line:?}");
        }
    }
}

#[test]
fn nothing_is_lost_by_wrapping_or_colour() {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let plain = words(&text(&report(), PLAIN));
    assert_eq!(words(&text(&report(), TextOptions { width: Some(40), ..PLAIN })), plain);
    let coloured = verify_text(&report(), &TAKEN, &TextOptions { style: Style::Coloured, ..PLAIN });
    let bare: String = coloured
        .as_str()
        .split("\x1b[")
        .map(|part| part.split_once('m').map_or(part, |(_, rest)| rest))
        .collect();
    assert_eq!(words(&bare), plain);
}

#[test]
fn nobody_writes_but_us() {
    let text = verify_text(&hostile(), &hostile_origin(), &PLAIN).to_string();
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    assert!(!text.contains('\u{202e}'));
    assert!(text.contains(r"\u{1b}[2J"));
}

#[test]
fn a_perfect_node_and_one_of_which_nothing_is_known() {
    let mut perfect = report();
    perfect.verdicts.retain(|verdict| verdict.status == Status::Pass);
    perfect.findings.clear();
    insta::assert_snapshot!(text(&perfect, TextOptions { only_findings: true, ..PLAIN }), @"
    server at /: Kubernetes 1.33, CIS 1.11
    node node-1, K3s v1.33.4+k3s1, at 2026-11-25T09:00:00Z, by k3s-harden 0.2.0, machine id sha256:84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882

    3 controls: 3 pass.
    Score: 100 % (pass / (pass + fail + warn); manual, not applicable and unknown are not counted).
    ");
    let mut unknown = report();
    unknown.verdicts.retain(|verdict| verdict.status == Status::Unknown);
    unknown.findings.clear();
    insta::assert_snapshot!(text(&unknown, TextOptions { summary: true, ..PLAIN }), @"
    server at /: Kubernetes 1.33, CIS 1.11
    node node-1, K3s v1.33.4+k3s1, at 2026-11-25T09:00:00Z, by k3s-harden 0.2.0, machine id sha256:84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882

                          pass fail warn manual n/a unknown
    4.1  Worker files        0    0    0      0   0       1
    5.6  General policies    0    0    0      0   0       1
    all                      0    0    0      0   0       2

    2 controls: 2 unknown.
    No score: no control passes or fails.
    ");
}
