// SPDX-License-Identifier: Apache-2.0
//! Random scalars and documents, most of them close to what is valid.

/// xorshift64*: the same numbers for the same seed, everywhere.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.max(1))
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// Returns a number below `limit`.
    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    /// Tells yes in `percent` of a hundred cases.
    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    /// Returns up to `longest` pieces out of `alphabet` in a row, and at least one.
    fn string(&mut self, alphabet: &[&str], longest: usize) -> String {
        (0..=self.below(longest)).map(|_| self.pick(alphabet)).collect()
    }
}

const NUMERIC: [&str; 34] = [
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "0", "1", "7", "_", "_", "+", "-", ".", ".", "e", "E",
    "x", "b", "o", "0x", "0b", "0o", "a", "F", ":", "T", "Z", "e+", "e-",
];
const WORDS: [&str; 26] = [
    "true", "false", "yes", "no", "on", "off", "y", "n", "null", "~", "nil", "none", ".inf", "-.inf",
    "+.inf", ".nan", "inf", "nan", "<<", "=", "server", "a=b", "10Mi", "5m0s", "Infinity", "x-y",
];
const DATES: [&str; 12] = [
    "2001-12-14",
    "2001-1-2",
    "2001-12-14t21:59:43.10-05:00",
    "2001-12-14 21:59:43",
    "2001-12-14 21:59:43.10 -5",
    "2024-02-30",
    "2024-13-01",
    "1:30",
    "190:20:30.15",
    "12:30:45",
    "2024-01-01T00:00:00Z",
    "02024-01-01",
];
const TAGS: [&str; 22] = [
    "!!str",
    "!!int",
    "!!float",
    "!!bool",
    "!!binary",
    "!!null",
    "!!timestamp",
    "!!merge",
    "!!seq",
    "!!map",
    "!!set",
    "!",
    "!own",
    "!own/x.y",
    "!<tag:yaml.org,2002:int>",
    "!<own>",
    "!e!x",
    "!!INT",
    "!<!>",
    "!!",
    "!a%20b",
    "!<tag:yaml.org,2002:str>",
];
const LETTERS: [&str; 62] = [
    "a", "b", "k", "Z", "é", "ü", "漢", "字", "🦀", "\u{a0}", "\u{feff}", "\u{85}", "\u{2028}", "\u{2029}",
    "\u{7f}", "\u{9f}", "\u{fffe}", "\u{200b}", "\u{1}", " ", " ", " ", "\t", "#", " #", ":", ": ", ",", "?",
    "? ", "-", "- ", "[", "]", "{", "}", "&", "*", "!", "|", ">", "%", "@", "`", "'", "\"", "\\", "''",
    "\\n", "/", "=", "1", "0", "_", ".", "~", "<", "(", ";", "$", "+", "a b",
];
const ESCAPES: [&str; 40] = [
    "\\n",
    "\\t",
    "\\\\",
    "\\\"",
    "\\x41",
    "\\u00e9",
    "\\U0001F980",
    "\\ud800",
    "\\U00110000",
    "\\e",
    "\\a",
    "\\b",
    "\\f",
    "\\v",
    "\\r",
    "\\N",
    "\\_",
    "\\L",
    "\\P",
    "\\ ",
    "\\/",
    "\\'",
    "\\q",
    "\\x4",
    "\\\t",
    "a",
    "b",
    " ",
    "  ",
    "\t",
    "#",
    ": ",
    "yes",
    "1",
    "é",
    "'",
    ",",
    "[",
    "}",
    "漢",
];

/// A scalar as it stands behind `k: `.
pub(crate) fn scalar(dice: &mut Dice) -> String {
    match dice.below(20) {
        0..=5 => dice.string(&NUMERIC, 10),
        6 => number(dice),
        7..=8 => number(dice),
        9..=10 => word(dice),
        11 => dice.pick(&DATES).to_owned(),
        12 => {
            let date = dice.pick(&DATES).to_owned();
            let date = if dice.chance(50) { mutated(dice, &date, &NUMERIC) } else { date };
            if dice.chance(10) { format!("{date} ") } else { date }
        }
        13..=14 => quoted(dice),
        15..=16 => {
            let tag = dice.pick(&TAGS);
            let gap = dice.pick(&[" ", " ", " ", " ", "  ", "\t", ""]);
            let value = match dice.below(6) {
                0 => String::new(),
                1 => quoted(dice),
                2 => dice.string(&["YW", "Jj", "ZA", "=", "==", "\\n", "+", "/"], 5),
                _ => plain(dice),
            };
            format!("{tag}{gap}{value}")
        }
        _ => dice.string(&LETTERS, 9),
    }
}

fn plain(dice: &mut Dice) -> String {
    match dice.below(4) {
        0 => number(dice),
        1 => dice.string(&NUMERIC, 8),
        2 => dice.pick(&DATES).to_owned(),
        _ => word(dice),
    }
}

/// A word that means something, sometimes in another case or with something at its end.
fn word(dice: &mut Dice) -> String {
    let word = dice.pick(&WORDS);
    match dice.below(6) {
        0 => word.to_uppercase(),
        1 => {
            let upper = dice.below(word.len());
            let letters = word.char_indices();
            letters
                .map(|(at, letter)| if at == upper { letter.to_ascii_uppercase() } else { letter })
                .collect()
        }
        2 => {
            let mut letters = word.chars();
            letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
        }
        3 => mutated(dice, word, &LETTERS),
        _ => word.to_owned(),
    }
}

/// A number in one of its forms.
fn number(dice: &mut Dice) -> String {
    const DIGITS: [&str; 12] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "_", "00"];
    const LIMITS: [&str; 8] = [
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "0x7fffffffffffffff",
        "0xFFFFFFFFFFFFFFFF",
        "1e308",
        "1.8e308",
    ];
    let sign = dice.pick(&["", "", "", "+", "-"]);
    let body = match dice.below(8) {
        0 => format!("0{}", dice.string(&DIGITS, 5)),
        1 => format!("0x{}", dice.string(&["0", "9", "a", "F", "_", "g", "-"], 6)),
        2 => format!("0b{}", dice.string(&["0", "1", "1", "_", "2", "-", "+"], 6)),
        3 => format!("0o{}", dice.string(&DIGITS, 5)),
        4 => dice.pick(&LIMITS).to_owned(),
        5 => format!("{}.{}", dice.string(&DIGITS, 4), dice.string(&DIGITS, 4)),
        6 => format!(".{}", dice.string(&DIGITS, 4)),
        _ => dice.string(&DIGITS, 25),
    };
    let end = match dice.below(8) {
        0 => format!("e{}", dice.string(&DIGITS, 2)),
        1 => format!("E-{}", dice.string(&DIGITS, 2)),
        2 => format!("e+{}", dice.string(&DIGITS, 2)),
        3 => ".".to_owned(),
        _ => String::new(),
    };
    format!("{sign}{body}{end}")
}

fn quoted(dice: &mut Dice) -> String {
    let text = match dice.below(3) {
        0 => plain(dice),
        1 => dice.string(&ESCAPES, 6),
        _ => dice.string(&LETTERS, 6),
    };
    if dice.chance(50) {
        format!("'{}'", if dice.chance(80) { text.replace('\'', "''") } else { text })
    } else {
        format!("\"{text}\"")
    }
}

/// `text` with one piece of `alphabet` put in, or in place of a letter, or with a letter left out.
fn mutated(dice: &mut Dice, text: &str, alphabet: &[&str]) -> String {
    let mut letters: Vec<String> = text.chars().map(String::from).collect();
    let at = dice.below(letters.len() + 1);
    let piece = dice.pick(alphabet).to_owned();
    match dice.below(3) {
        0 => letters.insert(at, piece),
        1 if at < letters.len() => letters[at] = piece,
        _ if at < letters.len() => drop(letters.remove(at)),
        _ => letters.push(piece),
    }
    letters.concat()
}

/// What may go wrong in a document.
const NOISE: [&str; 40] = [
    "\t", "\t", " ", " ", " ", "\n", "\n", "\n\n", "#", " #", " # x\n", ":", ": ", " :", "- ", "-", "? ",
    "?", ",", "[", "]", "{", "}", "&a ", "*a ", "*a", "&a", "!!str ", "! ", "|", ">", "'", "\"", "%", "@",
    "\r", "\u{85}", "\u{feff}", "---", "...",
];

/// A file.
pub(crate) fn document(dice: &mut Dice) -> String {
    let mut text = match dice.below(40) {
        0 => flow(dice, 2),
        1 => format!("{}\n", scalar(dice)),
        2 => list(dice, 0, 2),
        _ => mapping(dice, 0, 3),
    };
    if dice.chance(25) {
        for _ in 0..=dice.below(2) {
            text = mutated(dice, &text, &NOISE);
        }
    }
    if dice.chance(10) {
        let mark = dice.pick(&[
            "---\n",
            "---\n",
            "--- \n",
            "--- # x\n",
            "---\t\n",
            "--- ",
            "---\n---\n",
            "--- !!map\n",
            "---a\n",
        ]);
        text = format!("{mark}{text}");
        if dice.chance(40) {
            let directive = dice.pick(&[
                "%YAML 1.1\n",
                "%YAML 1.1 # x\n",
                "%YAML 1.2\n",
                "%YAML 1.1\n%YAML 1.1\n",
                "%TAG !e! tag:yaml.org,2002:\n",
                "%TAG ! tag:own,2000:\n",
                "%TAG !! tag:own,2000:\n",
                "%OWN x\n",
                "%YAML\n",
                "%YAML 1.10\n",
                "%TAG !e! !\n",
                "%TAG e x\n",
            ]);
            text = format!("{directive}{text}");
        }
    }
    if dice.chance(10) {
        let end = dice.pick(&[
            "...\n",
            "... # x\n",
            "---\n",
            "... x\n",
            "--- x\n",
            "...\n...\n",
            "---\n]\n",
            "...\n%YAML 1.2\n---\n",
        ]);
        text.push_str(end);
        if dice.chance(50) {
            text.push_str(&mapping(dice, 0, 1));
        }
    }
    if dice.chance(5) {
        text = text.trim_end_matches('\n').to_owned();
    }
    match dice.below(30) {
        0 | 1 => text.replace('\n', "\r\n"),
        2 => text.replace('\n', "\r"),
        3 => format!("\u{feff}{text}"),
        _ => text,
    }
}

const KEYS: [&str; 30] = [
    "a",
    "b",
    "c",
    "debug",
    "token",
    "tls-san",
    "tls-san+",
    "kubelet-arg",
    "kubelet-arg+",
    "node-label",
    "disable",
    "data-dir",
    "a",
    "1",
    "0x10",
    "yes",
    "no",
    "~",
    "null",
    "1.5",
    "'q'",
    "\"<<\"",
    "\"q+\"",
    "key with space",
    "a:b",
    "é",
    "2001-12-14",
    "''",
    "-a",
    "?a",
];

fn mapping(dice: &mut Dice, indent: usize, depth: usize) -> String {
    let mut text = String::new();
    for _ in 0..=dice.below(if depth == 3 { 6 } else { 3 }) {
        between(dice, &mut text, indent);
        let pad = " ".repeat(indent);
        match dice.below(40) {
            0 => text += &format!("{pad}? {}\n{pad}: {}", dice.pick(&KEYS), value(dice, indent, depth)),
            1 => text += &format!("{pad}? {}\n", dice.pick(&KEYS)),
            2 | 3 => {
                let merged = match dice.below(8) {
                    0 => flow(dice, 1),
                    1 => "[*a, *b]".to_owned(),
                    2 => "[*a, {b: 1}]".to_owned(),
                    3 => scalar(dice),
                    4 => "*b".to_owned(),
                    _ => "*a".to_owned(),
                };
                text += &format!(
                    "{pad}{}: {merged}\n",
                    dice.pick(&["<<", "<<", "<<", "!!merge <<", "'<<'", "! <<"])
                );
            }
            4 => text += &format!("{pad}{}: {}\n", flow(dice, 1), plain(dice)),
            5 => {
                text += &format!(
                    "{pad}{}{}: {}",
                    dice.pick(&["&a ", "!!str ", "&b", "! ", "*a "]),
                    dice.pick(&KEYS),
                    value(dice, indent, depth)
                );
            }
            6 => text += &format!("{pad}{}: {}", scalar(dice), value(dice, indent, depth)),
            7 => text += &format!("{pad}{}:{}", dice.pick(&KEYS), value(dice, indent, depth)),
            _ => {
                let colon = dice.pick(&[": ", ": ", ": ", ": ", ": ", ": ", " : ", ":  ", ":\t"]);
                text += &format!("{pad}{}{colon}{}", dice.pick(&KEYS), value(dice, indent, depth));
            }
        }
    }
    text
}

fn list(dice: &mut Dice, indent: usize, depth: usize) -> String {
    let mut text = String::new();
    for _ in 0..=dice.below(3) {
        between(dice, &mut text, indent);
        let dash = dice.pick(&["- ", "- ", "- ", "- ", "-  ", "-\t", "-\n", "- - ", "- ? "]);
        let item = match dice.below(8) {
            0 if depth > 0 => mapping(dice, indent + 2, depth - 1).trim_start_matches(' ').to_owned(),
            1 | 2 => value(dice, indent, depth),
            _ => format!("{}{}", scalar(dice), end(dice)),
        };
        text += &format!("{}{dash}{item}", " ".repeat(indent));
    }
    text
}

/// What may stand between two lines.
fn between(dice: &mut Dice, text: &mut String, indent: usize) {
    match dice.below(30) {
        0 => text.push_str("# comment\n"),
        1 => text.push('\n'),
        2 => *text += &format!("{}# x: y\n", " ".repeat(indent)),
        3 => *text += &" ".repeat(dice.below(4)),
        4 if dice.chance(30) => text.push_str("\t\n"),
        5 if dice.chance(30) => text.push_str("  \t# x\n"),
        _ => {}
    }
}

fn end(dice: &mut Dice) -> &'static str {
    dice.pick(&[
        "\n", "\n", "\n", "\n", "\n", "\n", "\n", " \n", " # x\n", "#x\n", "\t\n", "\t# x\n", "  \n\n",
    ])
}

/// A value with what follows it, up to the end of its line.
fn value(dice: &mut Dice, indent: usize, depth: usize) -> String {
    let below = " ".repeat(indent + [1, 2, 2, 2, 4][dice.below(5)]);
    match dice.below(24) {
        0 | 1 => end(dice).to_owned(),
        2 | 3 if depth > 0 => {
            let head = dice.pick(&["", "", "", "&a", "&b ", "!!map", "!own", "# x", " ", "\t"]);
            format!("{head}\n{}", mapping(dice, below.len(), depth - 1))
        }
        4..=6 if depth > 0 => {
            let head = dice.pick(&["", "", "", "", "&a", "&b ", "!!seq", "# x"]);
            let below = [indent, below.len()][dice.below(2)];
            format!("{head}\n{}", list(dice, below, depth - 1))
        }
        7..=9 => format!("{}{}", flow(dice, 2), end(dice)),
        10..=11 => block(dice, indent),
        12 => folded(dice, &below, indent),
        13 => format!("{}{}", multi(dice, &below), end(dice)),
        14 => format!("&{} {}{}", dice.pick(&["a", "b", "a-1", "a.b", "é", "a"]), scalar(dice), end(dice)),
        15 => format!("*{}{}", dice.pick(&["a", "b", "a", "c", ""]), end(dice)),
        16 => format!("&{} {}{}", dice.pick(&["a", "b"]), flow(dice, 2), end(dice)),
        _ => format!("{}{}", scalar(dice), end(dice)),
    }
}

/// A literal or folded scalar.
fn block(dice: &mut Dice, indent: usize) -> String {
    let header = dice.pick(&[
        "|", ">", "|", ">", "|-", ">-", "|+", ">+", "|2", ">1-", "|-1", "|0", ">+2", "|9", "| # x", "|#x",
        "| x", ">\t", "!!str |", "&a >",
    ]);
    let pad = indent + 1 + dice.below(3);
    let mut text = format!("{header}\n");
    for _ in 0..dice.below(6) {
        text += &match dice.below(10) {
            0 => "\n".to_owned(),
            1 => format!("{}\n", " ".repeat(dice.below(6))),
            2 => format!("{}more\n", " ".repeat(pad + 1 + dice.below(3))),
            3 => format!("{}\tx\n", " ".repeat(pad - dice.below(2))),
            4 if dice.chance(30) => format!("{}# x\n", " ".repeat(indent)),
            5 => format!("{}yes  \n", " ".repeat(pad)),
            _ => format!("{}{}\n", " ".repeat(pad), dice.string(&LETTERS, 5)),
        };
    }
    text
}

/// A plain scalar of several lines.
fn folded(dice: &mut Dice, below: &str, indent: usize) -> String {
    let mut text = format!("{}\n", dice.pick(&["a", "1", "yes", "a b", "- a", "x#y"]));
    for _ in 0..=dice.below(3) {
        let pad = match dice.below(10) {
            0 => " ".repeat(indent),
            1 => "\t".to_owned(),
            2 => format!("{below}\t"),
            _ => below.to_owned(),
        };
        let line = dice
            .pick(&["b", "c d", "2", "- e", "# x", "k: v", "a:b", "\"q\"", "", "x # y", "&a", "[z]", "? q"]);
        text += &format!("{pad}{line}{}", dice.pick(&["\n", "\n", " \n", "\t\n", "\n\n"]));
    }
    text
}

/// A quoted scalar of several lines.
fn multi(dice: &mut Dice, below: &str) -> String {
    let quote = dice.pick(&["'", "\""]);
    let mut text = quote.to_owned();
    for _ in 0..=dice.below(3) {
        text += dice.pick(&["a", "b ", "  c", "\\", "# x", "k: v", "", "1\t", "\t", "---", "''", "\\n"]);
        text += dice.pick(&["\n", "\n", "\n\n", " \n", "\u{2028}"]);
        text += dice.pick(&[below, below, "", "\t", "  "]);
    }
    text + dice.pick(&["z", "", " "]) + quote
}

/// A collection in brackets.
fn flow(dice: &mut Dice, depth: usize) -> String {
    let gap = |dice: &mut Dice| dice.pick(&["", "", "", " ", " ", "\n ", "\n", " # x\n", "\t", "\n\t"]);
    let simple = |dice: &mut Dice| match dice.below(8) {
        0 => scalar(dice),
        1 => quoted(dice),
        2 => plain(dice),
        3 => dice
            .pick(&[
                "*a", "&a x", "!!str 1", "!own x", "", "&b", "a b", "a:b", "a#b", "a?b", ":a", "?a", "-a",
                "-",
            ])
            .to_owned(),
        4 => dice.string(&LETTERS, 3),
        _ => dice.pick(&["a", "b", "yes", "1", "x=y", "0640", "server"]).to_owned(),
    };
    let map = dice.chance(50);
    let mut text = if map { "{" } else { "[" }.to_owned();
    for index in 0..dice.below(5) {
        if index > 0 {
            text += dice.pick(&[",", ", ", ", ", ", ", " , ", ",,"]);
        }
        text += gap(dice);
        let item = if depth > 0 && dice.chance(20) { flow(dice, depth - 1) } else { simple(dice) };
        if map || dice.chance(12) {
            let key = if dice.chance(80) { dice.pick(&KEYS).to_owned() } else { simple(dice) };
            let question = dice.pick(&["", "", "", "", "", "", "", "? "]);
            text += &format!(
                "{question}{key}{}{item}",
                dice.pick(&[": ", ": ", ": ", ": ", " : ", ":", ":\n ", ""])
            );
        } else {
            text += &item;
        }
        text += gap(dice);
    }
    text += dice.pick(&["", "", "", "", ","]);
    text + if map { "}" } else { "]" }
}
