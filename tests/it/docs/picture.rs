// SPDX-License-Identifier: Apache-2.0
//! The picture in README: a terminal with what the program prints. `K3S_HARDEN_BLESS=1` draws it anew.

use std::fmt::Write as _;
use std::fs;

use super::transcripts::Machine;

const PICTURE: &str = "docs/terminal.svg";
/// The columns of the terminal. A longer line is cut.
const COLUMNS: usize = 104;
/// The size of a character cell, in pixels of the picture.
const CELL: (f32, f32) = (7.8, 18.0);
/// The commands, and how many lines of the beginning and the end of each output are shown.
const COMMANDS: [(&str, usize, usize); 3] = [
    ("k3s-harden apply --k3s-version v1.33.4+k3s1", 0, 6),
    ("k3s-harden preflight", 0, 1),
    ("k3s-harden verify --only-findings", 11, 4),
];

/// Returns a line as XML: its colours are classes.
fn drawn(line: &str) -> String {
    let mut text = String::new();
    let (mut open, mut column) = (false, 0);
    for (index, part) in line.split('\x1b').enumerate() {
        let part = match part.split_once('m').filter(|_| index > 0) {
            Some((codes, rest)) => {
                text += if open { "</tspan>" } else { "" };
                let codes = codes.trim_start_matches('[');
                open = codes != "0";
                if open {
                    let classes: Vec<String> = codes.split(';').map(|code| format!("c{code}")).collect();
                    let _infallible = write!(text, "<tspan class=\"{}\">", classes.join(" "));
                }
                rest
            }
            None => part,
        };
        for character in part.chars() {
            column += 1;
            match character {
                _ if column > COLUMNS => {}
                _ if column == COLUMNS => text.push('…'),
                '&' => text += "&amp;",
                '<' => text += "&lt;",
                '>' => text += "&gt;",
                other => text.push(other),
            }
        }
    }
    text + if open { "</tspan>" } else { "" }
}

fn picture() -> String {
    let machine = Machine::new();
    let mut lines = Vec::new();
    for (command, first, last) in COMMANDS {
        let printed = machine.run(&format!("{command} --color always"));
        assert!(
            printed.len() > first + last,
            "{command} prints less than what is shown:\n{}",
            printed.join("\n")
        );
        lines.push(format!("<tspan class=\"c90\">$</tspan> <tspan class=\"c1\">sudo {command}</tspan>"));
        lines.extend(printed[..first].iter().map(|line| drawn(line)));
        lines.push("<tspan class=\"c90\">…</tspan>".to_owned());
        lines.extend(printed[printed.len() - last..].iter().map(|line| drawn(line)));
        lines.push(String::new());
    }
    lines.pop();
    let (wide, high) = CELL;
    let (width, height) = (wide * COLUMNS as f32 + 32.0, high * lines.len() as f32 + 32.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" role=\"img\" aria-label=\"apply, preflight and verify in a terminal\">\n\
         <style>\n\
         rect {{ fill: #0d1117 }}\n\
         text {{ fill: #e6edf3; font: 13px ui-monospace, Menlo, Consolas, \"DejaVu Sans Mono\", monospace; white-space: pre }}\n\
         .c1 {{ font-weight: 600 }}\n\
         .c31 {{ fill: #ff7b72 }} .c32 {{ fill: #56d364 }} .c33 {{ fill: #e3b341 }} .c35 {{ fill: #d2a8ff }} .c36 {{ fill: #76e3ea }} .c90 {{ fill: #8b949e }}\n\
         </style>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\"/>\n"
    );
    for (index, line) in lines.iter().enumerate().filter(|(_, line)| !line.is_empty()) {
        let y = high * index as f32 + 28.0;
        let _infallible = writeln!(svg, "<text x=\"16\" y=\"{y:.0}\" xml:space=\"preserve\">{line}</text>");
    }
    svg + "</svg>\n"
}

#[test]
fn the_picture_shows_what_is_printed() {
    let drawn = picture();
    if std::env::var_os("K3S_HARDEN_BLESS").is_some() {
        fs::write(PICTURE, &drawn).unwrap();
    }
    let kept = fs::read_to_string(PICTURE).unwrap();
    assert!(
        kept == drawn,
        "{PICTURE} shows other lines than the program prints; K3S_HARDEN_BLESS=1 draws it anew:\n{drawn}"
    );
}
