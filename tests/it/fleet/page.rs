// SPDX-License-Identifier: Apache-2.0
//! The page of many nodes, without a browser.

use super::sample::{FLEET, Folder, fleet, report};
use crate::reports::html::{between, sha256};

fn page() -> String {
    let done = fleet().merge(&[&["--format", "html"], &FLEET[..]].concat());
    assert_eq!((done.code, done.stderr.as_str()), (2, ""));
    done.stdout
}

#[test]
fn it_has_each_node_control_and_file() {
    let page = page();
    for text in [
        "on 5 nodes",
        "web-1",
        "web-3",
        "db-1-old.json",
        "cut.json",
        "it ends too early",
        "event-rate-limit",
        "2 nodes, as web-2",
        "v1.33.4+k3s1, not started",
        "machines with different machine ids",
    ] {
        assert!(page.contains(text), "{text}");
    }
    // A row for each control of both benchmarks, a column for each group.
    let rows = between(&page, "<th scope=\"row\"><span class=\"number\">", "</tr>");
    assert!(rows.len() >= 131, "{}", rows.len());
    for row in &rows {
        assert_eq!(row.matches("<td").count(), 4, "{row}");
    }
    let audit = rows.iter().find(|row| row.contains(">audit-log-path<")).unwrap();
    let cells = between(audit, "<td class=\"", "</td>");
    assert_eq!(cells, ["fail\">F", "fail\">F", "pass\">•", "pass\">•"]);
    let waived = rows.iter().find(|row| row.contains(">pod-max-pids<")).unwrap();
    assert!(waived.contains("<td class=\"manual\">w</td>"), "{waived}");
}

#[test]
fn it_loads_nothing_and_lets_its_own_styles_and_script_in() {
    let page = page();
    for tag in between(&page, "<", ">") {
        for attribute in [" src=", " srcset=", " style=", " on", "@import", "url("] {
            assert!(!tag.contains(attribute), "{tag}");
        }
    }
    for address in between(&page, "href=\"", "\"") {
        assert!(address.starts_with('#'), "{address}");
    }
    let styles = between(&page, "<style>", "</style>");
    let scripts = between(&page, "<script>", "</script>");
    assert_eq!((styles.len(), scripts.len()), (2, 1));
    let hashes =
        |texts: &[&str]| texts.iter().map(|text| format!("'sha256-{}'", sha256(text))).collect::<Vec<_>>();
    let policy =
        format!("style-src {}; script-src {};", hashes(&styles).join(" "), hashes(&scripts).join(" "));
    assert!(page.contains(&policy), "the template has to say: {policy}");
}

/// With more groups than a browser shows as columns, the others stand below, and the page says so.
#[test]
fn many_groups_are_all_there() {
    let names: Vec<String> =
        k3s_harden::verify::controls("1.12").unwrap().into_iter().map(|it| it.name).collect();
    let mut folder = Folder::new();
    let mut files = vec!["--format".to_owned(), "html".to_owned()];
    for (number, name) in names.iter().enumerate().take(125) {
        let file = format!("{number}.json");
        folder = folder.report(&file, &report(&format!("node-{number:03}"), "1.12", &[(name, "fail")]));
        files.push(file);
    }
    let page = folder.merge(&files.iter().map(String::as_str).collect::<Vec<_>>()).stdout;
    assert!(page.contains("The last 5 groups are left out here"));
    assert_eq!(page.matches("<details class=\"control find\" id=\"g-").count(), 125);
    assert_eq!(page.matches(">node-124<").count(), 2, "in its group and in the list");
}
