// SPDX-License-Identifier: Apache-2.0
//! The page of supported versions: minors, profiles, benchmarks.

use super::markdown::{NOTHING, Page, code, link, plain};
use crate::build_info;
use crate::profile::{ProfileDocument, built_in_names};
use crate::scanner::{self, Scanner};
use crate::version::KubernetesMinor;

/// Returns the page.
pub(super) fn page() -> Page {
    let mut page = Page::new(
        "versions.md",
        "Supported versions",
        "The Kubernetes minors that k3s-harden knows, the profile and benchmark that each gets, and the benchmark that a scanner takes.",
    );
    page.paragraph(&format!(
        "The tables were last held against their sources on {}. `k3s-harden --version --verbose` tells this of a binary.",
        build_info::data_date()
    ));
    let rows = KubernetesMinor::supported().into_iter().map(|minor| {
        let profile = minor.default_profile().unwrap_or_default();
        let benchmark = ProfileDocument::built_in(&profile).and_then(|document| document.benchmark);
        vec![
            minor.to_string(),
            code(&profile),
            benchmark.map_or_else(
                || NOTHING.to_owned(),
                |benchmark| link(&format!("CIS {benchmark}"), &format!("controls-cis-{benchmark}.md")),
            ),
            scanner::default_benchmark(Scanner::KubeBench, minor).to_owned(),
            scanner::default_benchmark(Scanner::SecurityScan, minor).to_owned(),
        ]
    });
    page.table(&["Kubernetes", "profile", "benchmark", "kube-bench takes", "security-scan takes"], rows);
    page.heading("Built-in profiles");
    let documents = built_in_names().into_iter().filter_map(ProfileDocument::built_in);
    page.table(
        &["profile", "for Kubernetes", "what it is"],
        documents.map(|document| {
            vec![
                code(&document.name),
                document.kubernetes.unwrap_or_default().to_string(),
                plain(document.description.as_deref().unwrap_or_default()),
            ]
        }),
    );
    page.heading("Benchmarks of the scanners");
    page.paragraph("`k3s-harden verify --as SCANNER --benchmark NAME` takes them.");
    page.table(
        &["scanner", "benchmarks for K3s"],
        [Scanner::KubeBench, Scanner::SecurityScan]
            .into_iter()
            .map(|scanner| vec![scanner.to_string(), scanner::benchmarks(scanner).join(", ")]),
    );
    page
}

/// Returns the minors that a benchmark is the default of, in words.
pub(super) fn minors_of(benchmark: &str) -> String {
    let profile = format!("cis-{benchmark}");
    let is_default = |minor: &KubernetesMinor| minor.default_profile().is_ok_and(|name| name == profile);
    let minors: Vec<KubernetesMinor> = KubernetesMinor::supported().into_iter().filter(is_default).collect();
    in_words(&minors)
}

/// Returns minors as ranges, such as `1.23, 1.25 to 1.37`; a dash for none.
pub(super) fn in_words(minors: &[KubernetesMinor]) -> String {
    let mut ranges: Vec<(KubernetesMinor, KubernetesMinor)> = Vec::new();
    for minor in minors {
        match ranges.last_mut() {
            Some((_, last)) if last.next() == *minor => *last = *minor,
            _ => ranges.push((*minor, *minor)),
        }
    }
    let words = ranges.iter().map(|(first, last)| match last.number() - first.number() {
        0 => first.to_string(),
        1 => format!("{first}, {last}"),
        _ => format!("{first} to {last}"),
    });
    let words: Vec<String> = words.collect();
    if words.is_empty() { NOTHING.to_owned() } else { words.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minors_are_told_as_ranges() {
        let minors: Vec<KubernetesMinor> = [23, 25, 26, 27].map(KubernetesMinor::new).to_vec();
        assert_eq!(in_words(&minors), "1.23, 1.25 to 1.27");
        assert_eq!(in_words(&[]), NOTHING);
    }
}
