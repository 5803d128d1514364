// SPDX-License-Identifier: Apache-2.0
//! Files as people write them for private registries, with a mistake in most.

use crate::support::random::Random;

const HOSTS: [&str; 8] =
    ["docker.io", "\"*\"", "registry.example:5000", "'a'", "10.0.0.1:5000", "yes", "1", "quay.io"];
const URLS: [&str; 6] =
    ["https://m.example", "\"https://m.example/v2\"", "'http://10.0.0.1:5000'", "m", "~", "5000"];
const TEXTS: [&str; 9] = ["u", "1234", "yes", "\"\"", "~", "'x y'", "0640", "1.5", "2024-01-02"];
const BOOLEANS: [&str; 10] = ["true", "false", "yes", "off", "\"true\"", "1", "maybe", "~", "True", "n"];
/// Values that stand in the wrong place.
const ODD: [&str; 14] = [
    "[]",
    "{}",
    "[x]",
    "{a: b}",
    "hello",
    "~",
    "",
    "5",
    "true",
    "\"\"",
    "[[a]]",
    "[{a: b}]",
    "{a: [b]}",
    "a long text that a message cuts",
];
const KEYS: [&str; 12] = [
    "mirrors",
    "configs",
    "auths",
    "mirror",
    "Mirrors",
    "endpoint",
    "endpoints",
    "rewrite",
    "auth",
    "tls",
    "ca_file",
    "username",
];

/// Something that is written into the file.
enum Written {
    Line(String),
    Block(String, Vec<Written>),
}

pub(crate) fn registries(random: &mut Random) -> String {
    let mut file = Vec::new();
    for _ in 0..1 + random.below(3) {
        let block = match random.below(7) {
            0..=2 => Written::Block("mirrors".into(), entries(random, mirror)),
            3..=4 => Written::Block("configs".into(), entries(random, config)),
            5 => Written::Block("auths".into(), entries(random, auth)),
            _ => Written::Line(format!("{}: {}", pick(random, &KEYS), pick(random, &ODD))),
        };
        file.push(block);
    }
    let step = 1 + random.below(4);
    let mut text = String::new();
    file.iter().for_each(|written| write(&mut text, written, 0, step));
    for _ in 0..random.below(3) {
        text = mutated(random, &text);
    }
    text
}

fn pick<'a>(random: &mut Random, from: &[&'a str]) -> &'a str {
    from[random.below(from.len())]
}

fn entries(random: &mut Random, entry: fn(&mut Random) -> Vec<Written>) -> Vec<Written> {
    (0..1 + random.below(2)).map(|_| Written::Block(pick(random, &HOSTS).into(), entry(random))).collect()
}

fn mirror(random: &mut Random) -> Vec<Written> {
    let endpoint = match random.below(4) {
        0 => Written::Line(format!("endpoint: [{}, {}]", pick(random, &URLS), pick(random, &URLS))),
        1 => Written::Line(format!("endpoint: {}", pick(random, &URLS))),
        _ => {
            let items = (0..1 + random.below(2)).map(|_| Written::Line(format!("- {}", pick(random, &URLS))));
            Written::Block("endpoint".into(), items.collect())
        }
    };
    let mut lines = vec![endpoint];
    match random.below(4) {
        0 => lines.push(Written::Line(format!("rewrite: {{\"^x\": {}}}", pick(random, &TEXTS)))),
        1 => {
            let pair = Written::Line(format!("\"(.*)\": {}", pick(random, &TEXTS)));
            lines.push(Written::Block("rewrite".into(), vec![pair]));
        }
        2 => lines.push(Written::Line(format!("{}: {}", pick(random, &KEYS), pick(random, &ODD)))),
        _ => {}
    }
    lines
}

fn config(random: &mut Random) -> Vec<Written> {
    let mut blocks = Vec::new();
    if random.below(3) > 0 {
        blocks.push(Written::Block("auth".into(), auth(random)));
    }
    if random.below(3) > 0 || blocks.is_empty() {
        let file =
            format!("{}: {}", ["ca_file", "cert_file", "key_file"][random.below(3)], pick(random, &TEXTS));
        let check = format!("insecure_skip_verify: {}", pick(random, &BOOLEANS));
        blocks.push(Written::Block("tls".into(), vec![Written::Line(file), Written::Line(check)]));
    }
    blocks
}

fn auth(random: &mut Random) -> Vec<Written> {
    let names = ["username", "password", "auth", "identity_token", "identitytoken"];
    (0..1 + random.below(3))
        .map(|_| Written::Line(format!("{}: {}", pick(random, &names), pick(random, &TEXTS))))
        .collect()
}

fn write(text: &mut String, written: &Written, indent: usize, step: usize) {
    let margin = " ".repeat(indent);
    match written {
        Written::Line(line) => text.push_str(&format!("{margin}{line}\n")),
        Written::Block(key, inner) => {
            text.push_str(&format!("{margin}{key}:\n"));
            inner.iter().for_each(|written| write(text, written, indent + step, step));
        }
    }
}

/// The file with a change in one line.
fn mutated(random: &mut Random, text: &str) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if lines.is_empty() {
        return text.to_owned();
    }
    let at = random.below(lines.len());
    let line = lines[at].clone();
    let key = line.split_once(':').map(|(key, _)| key.to_owned());
    match (random.below(12), key) {
        (0..=3, Some(key)) => lines[at] = format!("{key}: {}", pick(random, &ODD)),
        (4, _) => lines[at] = format!(" {line}"),
        (5, _) => lines[at] = line.trim_start().to_owned(),
        (6, _) => drop(lines.remove(at)),
        (7, _) => lines.insert(at, line),
        (8, _) => lines[at] = line.replacen(':', "", 1),
        (9, Some(key)) => {
            lines[at] = format!("{}{}: {}", indent_of(&key), pick(random, &KEYS), pick(random, &ODD));
        }
        (10, _) => lines[at] = format!("{line} # a remark"),
        (11, _) => lines[at] = format!("{line}]"),
        _ => lines.insert(at, "# a remark".to_owned()),
    }
    lines.join("\n") + "\n"
}

fn indent_of(key: &str) -> String {
    " ".repeat(key.len() - key.trim_start().len())
}
