// SPDX-License-Identifier: Apache-2.0
//! The texts themselves: always the same, free of this machine, and marked as ours.

use k3s_harden::Role;
use k3s_harden::document::{RenderTarget, Rendered, has_header, paths};
use k3s_harden::k3s::DEFAULT_CONFIG;
use k3s_harden::node::RootedPath;

use super::support::{DATA_DIR, EVERYTHING, everything, find, minor, profile, rendered, target};

#[test]
fn rendering_twice_gives_the_same_bytes() {
    let again = everything();
    assert_eq!(again.len(), EVERYTHING.len());
    for (first, second) in EVERYTHING.iter().zip(&again) {
        assert_eq!((&first.from, &first.text), (&second.from, &second.text));
    }
}

/// Returns the absolute paths in `text` that are not a node's own.
fn foreign_paths(text: &str) -> Vec<&str> {
    let begins = |(at, _): &(usize, &str)| {
        let before = text[..*at].chars().next_back();
        before.is_none_or(|c| c.is_whitespace() || "\"'=,([`".contains(c))
    };
    let path = |(at, _): (usize, &'static str)| {
        let rest = &text[at..];
        rest.split(|c: char| c.is_whitespace() || "\"',)]`".contains(c)).next().unwrap_or(rest)
    };
    let files = paths(&RootedPath::fixed(DEFAULT_CONFIG), &RootedPath::fixed(DATA_DIR));
    // Paths of the API server are no paths of a machine.
    let others = [DATA_DIR, "/bin/sh", "/livez", "/readyz", "/healthz"];
    let known: Vec<&str> = files.iter().map(|(_, path)| path.as_str()).chain(others).collect();
    let found = text.match_indices('/').filter(begins).map(|(at, _)| path((at, "/")));
    found.filter(|path| !known.iter().any(|known| path.starts_with(known))).collect()
}

/// Returns the numbers in `text` that can be a year or the seconds since 1970.
fn times(text: &str) -> Vec<&str> {
    let numbers = text.split(|c: char| !c.is_ascii_digit());
    let is_time = |number: &&str| match number.len() {
        4 => (1970..2100).contains(&number.parse::<u32>().unwrap()),
        length => length >= 10,
    };
    numbers.filter(is_time).collect()
}

#[test]
fn nothing_of_this_machine_is_in_a_text() {
    let here = [env!("CARGO_MANIFEST_DIR").to_owned(), std::env::temp_dir().display().to_string()];
    for rendered in EVERYTHING.iter() {
        let (from, text) = (&rendered.from, &rendered.text);
        // The shebang is the interpreter of wherever the script is run.
        assert_eq!(foreign_paths(text.trim_start_matches("#!")), Vec::<&str>::new(), "{from}");
        assert_eq!(times(text), Vec::<&str>::new(), "{from}");
        assert!(!here.iter().any(|path| text.contains(path)), "{from}");
    }
    let text = "# Written at 1712345678, on 2024-05-01\n\
                - audit-policy-file=/home/me/audit.yaml, \"/tmp/x\" policy/v1";
    assert_eq!(foreign_paths(text), ["/home/me/audit.yaml", "/tmp/x"]);
    assert_eq!(times(text), ["1712345678", "2024"]);
}

#[test]
fn texts_are_lines_of_printable_ascii() {
    for rendered in EVERYTHING.iter() {
        let text = &rendered.text;
        let odd = text.chars().find(|c| !matches!(c, '\n' | ' '..='~'));
        assert_eq!(odd, None, "{}", rendered.from);
        assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{}", rendered.from);
        assert!(!text.lines().any(|line| line.ends_with(' ')), "{}", rendered.from);
        assert!(!text.contains("{{") && !text.contains("{%"), "{}", rendered.from);
    }
}

#[test]
fn every_text_begins_with_its_header() {
    let version = env!("CARGO_PKG_VERSION");
    for rendered in EVERYTHING.iter() {
        let (from, text) = (&rendered.from, &rendered.text);
        let mut lines = text.lines().skip_while(|line| line.starts_with("#!"));
        let [about, made, controls] = [(); 3].map(|()| lines.next().unwrap());
        assert!(about.starts_with("# ") && about.ends_with('.'), "{from}: {about}");
        assert!(controls.starts_with("# CIS ") && controls.contains(": "), "{from}: {controls}");
        let verb = if rendered.carried { "Rendered" } else { "Written" };
        assert!(
            made.starts_with(&format!("# {verb} by k3s-harden {version} from profile ")),
            "{from}: {made}"
        );
        let watched = made.ends_with(", which replaces changes made here.");
        assert!(watched != rendered.carried && made.ends_with('.'), "{from}: {made}");
        assert!(!lines.next().unwrap().starts_with("# CIS"), "{from}");
        // What is handed on is not watched where it ends up.
        assert_eq!(has_header(text.as_bytes()), !rendered.carried, "{from}");
    }
}

#[test]
fn the_header_names_profiles_benchmark_and_controls() {
    let documents = rendered(&profile(minor("1.33"), "strict", &[]), Role::Server);
    let audit = &find(&documents, "audit").unwrap().text;
    let made =
        format!("\n# Written by k3s-harden {} from profile cis-1.12 + strict,", env!("CARGO_PKG_VERSION"));
    assert!(audit.contains(&made), "{audit}");
    assert!(audit.contains("\n# CIS 1.12: 3.2.1\n"), "{audit}");
}

#[test]
fn what_a_user_wrote_is_not_ours() {
    let theirs = [
        "",
        "\n",
        "rules: []\n",
        "# The guide's own policy.\napiVersion: audit.k8s.io/v1\nkind: Policy\n",
        "# k3s-harden was here\n",
        "note: \"# Written by k3s-harden 0.1.0\"\n",
        " # Written by k3s-harden 0.1.0\n",
        "# Not written by k3s-harden 0.1.0\n",
        // Further down it is a quotation.
        "a: 1\nb: 2\nc: 3\nd: 4\n# Written by k3s-harden 0.1.0 from profile cis-1.12\n",
    ];
    for text in theirs {
        assert!(!has_header(text.as_bytes()), "{text}");
    }
    for rendered in EVERYTHING.iter().filter(|rendered| !rendered.carried) {
        let body: String = rendered.text.split_inclusive('\n').skip(3).collect();
        assert!(!has_header(body.as_bytes()), "{}", rendered.from);
    }
}

#[test]
fn a_users_audit_policy_is_kept_to_the_byte() {
    let policy = "apiVersion: audit.k8s.io/v1\nkind: Policy # ours\nrules: [{level: None}]";
    let target = RenderTarget { audit_policy: Some(policy.to_owned()), ..target(Role::Server) };
    let documents = Rendered::new(&profile(minor("1.33"), "cis", &[]), &target).documents;
    let text = &find(&documents, "audit").unwrap().text;
    assert!(has_header(text.as_bytes()) && text.ends_with(&format!("\n{policy}")), "{text}");
}

#[test]
fn another_data_directory_is_in_every_path() {
    for role in [Role::Server, Role::Agent] {
        let target = RenderTarget { data_dir: RootedPath::fixed("/srv/k3s"), ..target(role) };
        for document in Rendered::new(&profile(minor("1.33"), "strict", &[]), &target).documents {
            assert!(!document.text.contains("/var/lib"), "{}", document.text);
            let path = document.path.as_str();
            assert!(path.starts_with("/srv/k3s/server/") || path.starts_with("/etc/"), "{path}");
        }
    }
}
