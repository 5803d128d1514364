// SPDX-License-Identifier: Apache-2.0
//! What the binary is and knows, as text and as JSON (docs/schema/version.json).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::origin::FORMAT_VERSION;
use super::screen::{ScreenText, Style};
use crate::apply::{JOURNAL_FORMAT, JOURNAL_FORMATS};
use crate::build_info::{COMMIT, TARGET, VERSION, data_date};
use crate::scanner::{self, Scanner};
use crate::verify::benchmarks;
use crate::version::KubernetesMinor;

const SCANNERS: [Scanner; 2] = [Scanner::KubeBench, Scanner::SecurityScan];

/// Returns what the binary is and knows, a fact a line; the first line is that of `--version` alone.
#[must_use]
pub fn version_text() -> ScreenText {
    let minors = KubernetesMinor::supported();
    let (first, last) = (minors.first(), minors.last());
    let range = first.zip(last).map(|(first, last)| format!("{first} to {last}")).unwrap_or_default();
    let mut rows = vec![
        ("commit".to_owned(), COMMIT.to_owned()),
        ("target".to_owned(), TARGET.to_owned()),
        ("Kubernetes".to_owned(), range),
        ("CIS benchmarks".to_owned(), benchmarks().join(", ")),
    ];
    rows.extend(SCANNERS.map(|scanner| (format!("{scanner} has"), scanner::benchmarks(scanner).join(", "))));
    rows.push(("data of".to_owned(), data_date()));
    rows.push((
        "journal".to_owned(),
        format!("writes {JOURNAL_FORMAT}, reads {}", JOURNAL_FORMATS.join(", ")),
    ));
    rows.push(("JSON".to_owned(), FORMAT_VERSION.to_owned()));
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 1;
    let mut text = ScreenText::new(Style::Plain);
    text.line(format!("k3s-harden {VERSION}"));
    for (name, value) in rows {
        text.line(format!("{:width$} {value}", format!("{name}:")));
    }
    text
}

/// Returns what the binary is and knows.
#[must_use]
pub fn version_json() -> Value {
    let scanners: BTreeMap<String, Vec<&str>> =
        SCANNERS.into_iter().map(|scanner| (scanner.to_string(), scanner::benchmarks(scanner))).collect();
    json!({
        "format_version": FORMAT_VERSION,
        "version": VERSION,
        "commit": COMMIT,
        "target": TARGET,
        "kubernetes": KubernetesMinor::supported(),
        "benchmarks": benchmarks(),
        "scanner_benchmarks": scanners,
        "data_date": data_date(),
        "journal_format": JOURNAL_FORMAT,
        "journal_formats_read": JOURNAL_FORMATS,
    })
}
