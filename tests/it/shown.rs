// SPDX-License-Identifier: Apache-2.0
//! What reaches a terminal and a log: nothing of a node commands a terminal, and no secret of it is shown. Every verb is run
//! on nodes with such bytes in every place.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::support::random::Random;
use crate::support::tools::report;
use crate::support::{binary, owner};

/// Another seed is tried with `K3S_HARDEN_SHOWN_SEED=7`; then each verb is run on each node. Without it, the verbs that only read
/// are run on every other one.
const SEED: u64 = 0x7368_6f77_6e21;

const ABOUT: [&str; 4] = ["--k3s-version", "1.33", "--role", "server"];
const DROP_INS: &str = "etc/rancher/k3s/config.yaml.d";
const OURS: &str = "etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml";

fn is_left_out(random: &mut Random) -> bool {
    random.below(2) == 0 && std::env::var_os("K3S_HARDEN_SHOWN_SEED").is_none()
}

fn random() -> Random {
    let seed = std::env::var("K3S_HARDEN_SHOWN_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(SEED);
    report(&format!("seed {seed}: K3S_HARDEN_SHOWN_SEED={seed}"));
    Random::new(seed)
}

fn put(root: &Path, path: impl AsRef<OsStr>, bytes: &[u8]) {
    let path = root.join(Path::new(path.as_ref()));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Returns the words of a verb that is about a server, with all of the log.
fn about<'a>(words: &[&'a str]) -> Vec<&'a str> {
    [words, &ABOUT[..], &["-vv"]].concat()
}

/// Runs a verb, and returns everything that it says.
fn said(root: &Path, words: &[&OsStr]) -> Vec<u8> {
    let mut command = binary();
    command.arg("--root").arg(root).args(["--owner", &owner()]).args(words);
    let output = command.output().unwrap();
    [output.stdout, output.stderr].concat()
}

fn words<'a>(words: &'a [&'a str]) -> Vec<&'a OsStr> {
    words.iter().copied().map(OsStr::new).collect()
}

/// Bytes that command a terminal, or change what is seen.
fn hostile(random: &mut Random) -> Vec<u8> {
    const PIECES: [&[u8]; 16] = [
        b"\x1b]0;owned\x07",
        b"\x1b[2J",
        b"\x1b[99m",
        b"\x1b]52;c;ZXZpbA==\x07",
        b"\x9b2J",
        "\u{9b}2J".as_bytes(),
        "\u{202e}".as_bytes(),
        "\u{2066}".as_bytes(),
        b"\x7f",
        b"\r",
        b"\x08\x08",
        b"\x0b",
        b"\xff\xfe",
        b"\x00",
        "\u{85}".as_bytes(),
        b"plain",
    ];
    let mut bytes = Vec::new();
    for _ in 0..2 + random.below(5) {
        match random.below(4) {
            0 => bytes.push(u8::try_from(random.below(256)).unwrap()),
            _ => bytes.extend(PIECES[random.below(PIECES.len())]),
        }
    }
    bytes
}

/// The same as the name of a file.
fn hostile_name(random: &mut Random) -> OsString {
    let bytes = [hostile(random), b"\nK3s starts.\n\t".to_vec()].concat();
    OsString::from_vec(bytes.into_iter().filter(|byte| !matches!(byte, 0 | b'/')).collect())
}

/// The same as a string in YAML: every byte as an escape.
fn in_yaml(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().fold(String::new(), |text, letter| format!("{text}\\U{:08x}", u32::from(letter)))
}

/// A place of a node with hostile bytes in it. Returns the words that the verbs need besides.
type Place = fn(&Path, &mut Random) -> Vec<OsString>;

const PLACES: &[(&str, Place)] = &[
    ("a file that is replaced", |root, random| {
        let text = [b"kernel.panic = 1 ", hostile(random).as_slice(), b"\n"].concat();
        put(root, "etc/sysctl.d/90-kubelet.conf", &text);
        Vec::new()
    }),
    ("our own files", |root, random| {
        for file in ["audit.yaml", "psa.yaml", "manifests/policy.yaml"] {
            put(root, format!("var/lib/rancher/k3s/server/{file}"), &hostile(random));
        }
        put(root, OURS, &[b"# ", hostile(random).as_slice(), b"\n"].concat());
        Vec::new()
    }),
    ("the target of a symlink", |root, random| {
        fs::create_dir_all(root.join("var/lib/rancher/k3s/server")).unwrap();
        symlink(hostile_name(random), root.join("var/lib/rancher/k3s/server/psa.yaml")).unwrap();
        Vec::new()
    }),
    ("the name of a drop-in", |root, random| {
        let name = [hostile_name(random).as_bytes(), b".yaml"].concat();
        put(
            root,
            Path::new(DROP_INS).join(OsStr::from_bytes(&name)),
            b"kube-apiserver-arg+: [profiling=maybe]\n",
        );
        Vec::new()
    }),
    ("a value of the configuration", |root, random| {
        let value = in_yaml(&hostile(random));
        let text = format!(
            "node-label: [\"a={value}\"]\n\"{value}\": \"{value}\"\nkube-apiserver-arg: [\"profiling={value}\", \"{value}=x\"]\n"
        );
        put(root, "etc/rancher/k3s/config.yaml", text.as_bytes());
        Vec::new()
    }),
    ("a configuration that is no YAML", |root, random| {
        put(root, "etc/rancher/k3s/config.yaml", &[b"a: ", hostile(random).as_slice(), b": [\n"].concat());
        Vec::new()
    }),
    ("lines of a unit", |root, random| {
        let text = [
            b"[Service]\nExecStart=/usr/local/bin/k3s server --node-label a=",
            hostile(random).as_slice(),
            b" --",
            &hostile(random),
            b"\nEnvironment=\"K3S_NODE_NAME=",
            &hostile(random),
            b"\"\n",
            &hostile(random),
            b"\n",
        ]
        .concat();
        put(root, "etc/systemd/system/k3s.service", &text);
        Vec::new()
    }),
    ("the name of a drop-in of a unit", |root, random| {
        put(root, "etc/systemd/system/k3s.service", b"[Service]\nExecStart=/usr/local/bin/k3s server\n");
        let name = [hostile_name(random).as_bytes(), b".conf"].concat();
        let below = Path::new("etc/systemd/system/k3s.service.d").join(OsStr::from_bytes(&name));
        put(root, below, b"[Service]\nEnvironment=K3S_NODE_LABEL=x\nExecStart=/bin/k3s\nX\n");
        Vec::new()
    }),
    ("names of files of K3s", |root, random| {
        for folder in ["tls", "manifests", "logs", "../agent/etc/kubelet.conf.d", "../agent"] {
            let name = [hostile_name(random).as_bytes(), b".crt"].concat();
            let folder = Path::new("var/lib/rancher/k3s/server").join(folder);
            put(root, folder.join(OsStr::from_bytes(&name)), b"x");
            let name = [hostile_name(random).as_bytes(), b".conf"].concat();
            put(root, folder.join(OsStr::from_bytes(&name)), &hostile(random));
        }
        Vec::new()
    }),
    ("the name of a file of kernel parameters", |root, random| {
        let name = [hostile_name(random).as_bytes(), b".conf"].concat();
        put(root, Path::new("etc/sysctl.d").join(OsStr::from_bytes(&name)), b"vm.overcommit_memory = 0\n");
        Vec::new()
    }),
    ("what the node is called, and what it installs", |root, random| {
        put(root, "etc/hostname", &hostile(random));
        put(root, "etc/machine-id", &hostile(random));
        put(
            root,
            "etc/rancher/k3s/registries.yaml",
            format!("mirrors: \"{}\"\n", in_yaml(&hostile(random))).as_bytes(),
        );
        Vec::new()
    }),
    ("settings", |root, random| {
        let value = in_yaml(&hostile(random));
        put(
            root,
            "settings.yaml",
            format!("settings: {{pod_max_pids: \"{value}\", \"{value}\": 1}}\n").as_bytes(),
        );
        vec!["--settings".into(), root.join("settings.yaml").into()]
    }),
    ("a profile", |root, random| {
        let value = in_yaml(&hostile(random));
        let file = root.join(hostile_name(random));
        fs::write(
            &file,
            format!("name: \"{value}\"\ndescription: \"{value}\"\nsettings: {{\"{value}\": 1}}\n"),
        )
        .unwrap();
        vec!["--profile".into(), file.into()]
    }),
    ("an argument", |_, random| {
        let bytes: Vec<u8> = hostile(random).into_iter().filter(|byte| *byte != 0).collect();
        vec!["--set".into(), OsString::from_vec([b"pod_max_pids=", bytes.as_slice()].concat())]
    }),
    ("the record of a run", |root, random| {
        put(root, Path::new("var/lib/k3s-harden/runs").join(hostile_name(random)), &hostile(random));
        Vec::new()
    }),
];

/// The verbs, those that change something last.
fn verbs(root: &Path) -> Vec<Vec<OsString>> {
    let journal = root.join("journal.log");
    let of = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
    let about = |words: &[&str]| of(&[words, &ABOUT[..]].concat());
    vec![
        about(&["plan"]),
        about(&["preflight"]),
        about(&["effective-config"]),
        [about(&["verify"]), vec!["--journal".into(), journal.clone().into()]].concat(),
        about(&["verify", "--as", "kube-bench"]),
        about(&["verify", "--format", "junit"]),
        about(&["explain", "1.2.15"]),
        about(&["plan", "--format", "json"]),
        of(&["profile", "list"]),
        of(&["history"]),
        about(&["apply", "--no-preflight"]),
        of(&["history"]),
        of(&["rollback"]),
        of(&["uninstall"]),
    ]
}

/// Returns the first character that may not reach a terminal. Colours are those of k3s-harden; a new line is its own.
fn forbidden(text: &str) -> Option<char> {
    const COLOURS: [&str; 13] =
        ["0", "1", "2", "31", "32", "33", "34", "36", "1;31", "1;32", "1;33", "1;35", "1;36"];
    let mut pieces = text.split("\x1b[");
    let mut rest = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        match piece.split_once('m').filter(|(colour, _)| COLOURS.contains(colour)) {
            Some((_, shown)) => rest.push_str(shown),
            None => return Some('\x1b'),
        }
    }
    rest.chars().find(|letter| {
        (letter.is_control() && *letter != '\n') || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    })
}

#[test]
fn nothing_of_a_node_commands_a_terminal() {
    let mut random = random();
    for (place, lay) in PLACES {
        let folder = tempfile::tempdir().unwrap();
        let more = lay(folder.path(), &mut random);
        put(
            folder.path(),
            "journal.log",
            &[b"level=info msg=\"Running kube-apiserver --", hostile(&mut random).as_slice(), b"\"\n"]
                .concat(),
        );
        for verb in verbs(folder.path()) {
            let changes = ["apply", "rollback", "uninstall"].iter().any(|name| verb[0] == *name);
            if !changes && is_left_out(&mut random) {
                continue;
            }
            let style: &[&str] = match random.below(3) {
                0 => &["--color", "always"],
                1 => &["--color", "never", "-vv"],
                _ => &["--color", "always", "-vv", "--log-format", "json"],
            };
            let has_about = verb.iter().any(|word| word == "--role");
            let more: &[OsString] = if has_about { &more } else { &[] };
            let whole: Vec<&OsStr> =
                verb.iter().chain(more).map(OsString::as_os_str).chain(words(style)).collect();
            let bytes = said(folder.path(), &whole);
            let text = String::from_utf8(bytes);
            let text =
                text.unwrap_or_else(|error| panic!("{place}: {whole:?}: bytes that are no text: {error}"));
            assert!(!text.is_empty(), "{place}: {whole:?} says nothing");
            assert_eq!(forbidden(&text), None, "{place}: {whole:?}: {text:?}");
            assert!(!text.contains("\nK3s starts.\n\\t"), "{place}: {whole:?}: a line of its own: {text}");
        }
    }
}

#[test]
fn the_checker_knows_what_is_forbidden() {
    assert_eq!(forbidden("a\n\x1b[1;31mb\x1b[0m\n"), None);
    for bad in ["\x1b[99m", "\x1b]0;x\x07", "\u{9b}", "a\tb", "\r", "\u{7f}", "\u{202e}"] {
        assert!(forbidden(bad).is_some(), "{bad:?}");
    }
}

/// A secret of its own for each round. Some of its signs mean something in YAML.
fn secret(random: &mut Random) -> String {
    const SIGNS: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    const INSIDE: &[u8] = b"_-.:+~^abcdefgh";
    let mut secret = String::from("S");
    for at in 0..12 + random.below(20) {
        let signs = if at % 4 == 2 { INSIDE } else { SIGNS };
        secret.push(char::from(signs[random.below(signs.len())]));
    }
    secret + "Z"
}

/// Files with `SECRET` in them, as users write them.
const WRITTEN: &[(&str, &str)] = &[
    (OURS, "token: SECRET\n"),
    (OURS, "agent-token: \"SECRET\"\nnode-label: [a=b]\n"),
    (OURS, "{token: 'SECRET', debug: true}\n"),
    (OURS, "token: |\n  SECRET\n"),
    (OURS, "token: \"SEC\\\n  SECRET\"\n"),
    (OURS, "# token: SECRET\n"),
    (OURS, "#K3S_TOKEN=SECRET\ndebug: true\n"),
    (OURS, "datastore-endpoint: \"mysql://u:SECRET@tcp(h:3306)/db\"\n"),
    (
        OURS,
        "datastore-endpoint: postgres://u:SECRET@h/db\netcd-s3-secret-key: SECRET\netcd-s3-access-key: SECRET\n",
    ),
    (OURS, "x: &s SECRET\ntoken: *s\n"),
    (OURS, "token: !!int SECRET\n"),
    (OURS, "kube-apiserver-arg+: [oidc-client-secret=SECRET]\n"),
    (OURS, "token: SECRET\nbroken: [\n"),
    (OURS, "vpn-auth: name=tailscale,joinKey=SECRET\n"),
    ("etc/rancher/k3s/config.yaml", "token: SECRET\n"),
    ("etc/rancher/k3s/config.yaml", "agent-token: !!float SECRET\n"),
    ("etc/rancher/k3s/config.yaml", "token: !!bool \"SECRET\"\n"),
    ("etc/rancher/k3s/config.yaml", "token: *SECRET\n"),
    ("etc/rancher/k3s/config.yaml", "token: SECRET\nkube-apiserver-arg: {a: [}\n"),
    ("etc/rancher/k3s/config.yaml", "datastore-endpoint: \"http://u:SECRET@h%zz/db\"\n"),
    ("etc/rancher/k3s/config.yaml.d/10.yaml", "token+: [SECRET, SECRET]\nt: SECRET\n"),
    ("etc/rancher/k3s/registries.yaml", "configs: {h: {auth: {password: [SECRET]}}}\n"),
    ("etc/rancher/k3s/registries.yaml", "configs: {h: {auth: SECRET}}\n"),
    ("etc/sysctl.d/90-kubelet.conf", "# K3S_TOKEN=SECRET\nkernel.panic = 1\n"),
    (
        "etc/systemd/system/k3s.service",
        "[Service]\nExecStart=/usr/local/bin/k3s server --token SECRET --debug\n",
    ),
    (
        "etc/systemd/system/k3s.service",
        "[Service]\nExecStart=/usr/local/bin/k3s server -tSECRET --no-such-flag\n",
    ),
    (
        "etc/systemd/system/k3s.service",
        "[Service]\nEnvironment=\"K3S_TOKEN=SECRET\"\nExecStart=/usr/local/bin/k3s server\n",
    ),
    ("var/lib/rancher/k3s/server/psa.yaml", "token: SECRET\n"),
    ("var/lib/rancher/k3s/server/audit.yaml", "K3S_AGENT_TOKEN='SECRET'\n"),
];

#[test]
fn no_secret_is_shown() {
    let mut random = random();
    for (path, text) in WRITTEN {
        let secret = secret(&mut random);
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        put(root, path, text.replace("SECRET", &secret).as_bytes());
        let saved = root.join("saved.plan");
        let check = |what: &str, bytes: &[u8]| {
            let text_of = String::from_utf8_lossy(bytes).into_owned();
            assert!(!text_of.contains(&secret), "{path} {text:?}, {secret}: {what}: {text_of}");
        };
        let run = |typed: &[&str]| check(&typed.join(" "), &said(root, &words(typed)));
        run(&about(&["plan"]));
        run(&about(&["plan", "--format", "json", "--out", saved.to_str().unwrap()]));
        check("the saved plan", &fs::read(&saved).unwrap_or_default());
        for verb in [
            &["preflight"][..],
            &["preflight", "--format", "json"],
            &["verify"],
            &["verify", "--format", "json"],
            &["effective-config", "--format", "json"],
            &["explain", "1.2.15"],
        ] {
            if !is_left_out(&mut random) {
                run(&about(verb));
            }
        }
        run(&about(&["apply", "--no-preflight", "--format", "json"]));
        run(&["history", "--format", "json"]);
        for record in records(root) {
            check("the record of a run", &fs::read(record).unwrap());
        }
        // Somebody writes it again: nothing is undone, and what differs is shown.
        put(root, path, text.replace("SECRET", &secret).as_bytes());
        run(&["rollback"]);
        run(&["uninstall"]);
        run(&about(&["apply", "--no-preflight"]));
        run(&["uninstall", "--force", "--format", "json"]);
    }
}

fn records(root: &Path) -> Vec<PathBuf> {
    let runs = fs::read_dir(root.join("var/lib/k3s-harden/runs")).into_iter().flatten();
    runs.map(|run| run.unwrap().path().join("journal.json")).filter(|path| path.exists()).collect()
}

/// A plan that is saved shows no secret, and still knows when the secret has changed.
#[test]
fn a_saved_plan_knows_a_secret_by_its_digest() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let saved = root.join("saved.plan");
    let plan = [&["plan", "--out", saved.to_str().unwrap()][..], &ABOUT[..]].concat();
    put(root, OURS, b"token: one\n");
    said(root, &words(&plan));
    put(root, OURS, b"token: two\n");
    let output = said(root, &words(&["apply", saved.to_str().unwrap(), "--no-preflight"]));
    let text = String::from_utf8(output).unwrap();
    assert!(text.contains("the node has changed since the plan was saved"), "{text}");
    put(root, OURS, b"token: one\n");
    let output = said(root, &words(&["apply", saved.to_str().unwrap(), "--no-preflight"]));
    let text = String::from_utf8(output).unwrap();
    assert!(text.contains("updated /etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml"), "{text}");
}

/// Nothing else opens the terminal: what these two files write is a `ScreenText`, or the bytes of a document.
#[test]
fn two_files_write_to_the_terminal() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let writes = |path: &Path| {
        let text = fs::read_to_string(path).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap();
        ["io::stdout", "io::stderr"].iter().any(|name| text.contains(name))
    };
    let all = crate::support::walk(&root).into_iter().map(|(path, _)| path);
    let found: Vec<PathBuf> =
        all.filter(|path| root.join(path).is_file() && writes(&root.join(path))).collect();
    assert_eq!(found, ["cli/log.rs", "cli/ui.rs"].map(PathBuf::from));
}
