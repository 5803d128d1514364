// SPDX-License-Identifier: Apache-2.0
//! Random services: units, drop-ins and environment files with everything that systemd has rules for.

use std::fmt::Write as _;

use crate::support::random::Random;

/// A service, with the files that belong to it alone.
#[derive(Debug, Clone)]
pub(crate) struct UnitCase {
    /// The name of its unit.
    pub(crate) unit: String,
    pub(crate) files: Vec<(String, Content)>,
}

/// What lies at a path.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    Text(String),
    Link(String),
}

/// Variables that the services set and use.
pub(crate) const VARIABLES: [&str; 6] = ["A", "B", "K3S_C", "D_1", "E", "COMMON"];

/// A drop-in that all services have.
pub(crate) const COMMON: (&str, &str) =
    ("etc/systemd/system/service.d/50-common.conf", "[Service]\nEnvironment=COMMON=all E=common\n");

const PREFIXES: [&str; 12] = ["", "", "", "", "-", "@", ":", "+", "!", "!!", "@:", "-:"];
const WORDS: [&str; 56] = [
    "--debug",
    "--a=b",
    "'--a b'",
    "\"--c=\\\"d\\\"\"",
    "\\x41b",
    "a\\sb",
    "x\\ty",
    "%n",
    "50%%",
    "%p",
    "%N",
    "%i",
    "%j",
    "%J",
    "%P",
    "%I",
    "%-",
    "%",
    "%S/%t",
    "%h",
    "%u%U",
    "%C%L%E",
    "%T%V",
    "$A",
    "${A}",
    "x${B}y",
    "$$",
    "$$A",
    "$A-b",
    "${A:-x}",
    "${NONE}z",
    "$NONE",
    "$B",
    "--l=$A",
    "\\;",
    "';'",
    "#x",
    "é",
    "\\u00e9",
    "''",
    "\\q",
    "\\101",
    "\\x0",
    "\"a'b\"",
    "a'b c'd",
    "-",
    "\"x\\\\y\"",
    "$",
    "${A",
    "a\\\"b",
    "--k=${D_1}",
    "$K3S_C",
    "$E",
    "${COMMON}",
    "%Y",
    "%f",
];
/// Words that make systemd refuse or ignore the line, or end the command.
const ODD_WORDS: [&str; 6] = ["'unbalanced", "%z", ";", "\\", "; /usr/bin/true", "\"a"];
const GAPS: [&str; 12] = [
    " ",
    " ",
    " ",
    "  ",
    "\t",
    " \\\n",
    " \\\n    ",
    " \\\n# a comment\n  ",
    " \\\n; b \\\n ",
    " \\\n#\\\n# c\n",
    "\\\n ",
    " \\\n  # --commented=out\n",
];
const VALUES: [&str; 18] = [
    "1",
    "'b c'",
    "--x --y",
    "\"d\\\"e\"",
    "f\\\"g",
    "",
    "a 'b c' d",
    "%n",
    "%%",
    "\\x20h",
    "x\\",
    "$A",
    "#i",
    "é",
    "'j",
    "k;l",
    "--m=1 '--n=2 3'",
    "\\\\o",
];
const FILE_LINES: [&str; 26] = [
    "A=1",
    "B='b c'",
    "K3S_C=\"d\\\"e\\n\"",
    "export D_1=x",
    " A = y ",
    "E=a\\",
    "# c",
    "; d",
    "# e \\\n;x",
    "",
    "no",
    "B=x y  z ",
    "1A=x",
    "D_1=--o '--p q'",
    "A=\"multi",
    "line\"",
    "B='x'y",
    "E=é#f",
    "K3S_C=a\\\\b",
    "A=$B",
    "D_1=\"a\\\nb\"",
    "E= 'x' \"y\"",
    "B=\\\"q\\\"",
    "A=",
    "=x",
    "E=a'b'",
];

struct Dice<'r>(&'r mut Random);

impl Dice<'_> {
    fn one<'c>(&mut self, choices: &[&'c str]) -> &'c str {
        choices[self.0.below(choices.len())]
    }

    /// One time in `of`.
    fn hits(&mut self, of: usize) -> bool {
        self.0.below(of) == 0
    }

    fn command(&mut self) -> String {
        if self.hits(12) {
            return self.wrapped();
        }
        let mut text = format!("{}/usr/local/bin/k3s", self.one(&PREFIXES));
        if text.contains('@') {
            text.push_str(" k3s");
        }
        text.push_str(self.one(&GAPS));
        text.push_str("server");
        for _ in 0..self.0.below(6) {
            text.push_str(self.one(&GAPS));
            text.push_str(if self.hits(25) { self.one(&ODD_WORDS) } else { self.one(&WORDS) });
        }
        if self.hits(20) {
            text.push_str(self.one(&[" \\ \n --lost", "\\\n\n --lost", " \\", "  ", " \\\n"]));
        }
        text
    }

    fn wrapped(&mut self) -> String {
        let k3s = "/usr/local/bin/k3s server";
        match self.0.below(6) {
            0 => format!("/bin/sh -c 'exec {k3s} --a \"b c\"'"),
            1 => format!("/bin/sh -ec \"A=w exec {k3s} --x='y z' >/dev/null 2>&1\""),
            2 => format!("/usr/bin/env A=w B='x y' {k3s} $A"),
            3 => format!("/usr/bin/env -u A -- {k3s} ${{B}}"),
            4 => format!("/bin/sh -c '{k3s} $A --b | cat'"),
            _ => format!("/usr/bin/env -i E=w /bin/sh -c 'exec {k3s} a\\\\ b'"),
        }
    }

    fn assignments(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..1 + self.0.below(3) {
            let (name, value) = (self.one(&VARIABLES[..5]), self.one(&VALUES));
            let quoted = ["", "'", "\""][self.0.below(3)];
            let _infallible = match self.0.below(12) {
                0 => write!(text, "{name} "),
                1 => write!(text, "9{name}=x "),
                _ => write!(text, "{quoted}{name}={value}{quoted} "),
            };
        }
        text
    }

    /// Directives of a service but its command.
    fn directives(&mut self, folder: &str, files: &mut Vec<(String, Content)>) -> String {
        let mut text = String::new();
        for _ in 0..self.0.below(4) {
            let line = match self.0.below(14) {
                0..5 => format!("Environment={}", self.assignments()),
                5 => "Environment=".to_owned(),
                6..9 => {
                    let name = self.one(&["a.env", "b.env"]);
                    files.push((format!("{folder}/{name}"), Content::Text(self.environment_file())));
                    let name = self.one(&["a.env", name, "[ab].env", "*.env"]);
                    format!("EnvironmentFile={}/{folder}/{name}", self.one(&["-", "-", ""]))
                }
                9 => format!("EnvironmentFile=-/{folder}/missing"),
                10 => format!(
                    "UnsetEnvironment={} {}",
                    self.one(&VARIABLES),
                    self.one(&["A=1", "B=", "9", "'E'"])
                ),
                11 => format!(
                    "WorkingDirectory={}",
                    self.one(&["/tmp", "-/missing", "~", "", "-no", "/usr//lib/."])
                ),
                12 => self
                    .one(&["Type=oneshot", "Type=exec", "Type=no", "; Type=no", "Nothing", "=x"])
                    .to_owned(),
                _ => "[Unit]\nEnvironment=A=unit\n[Service]\nUnknown=1".to_owned(),
            };
            let _infallible = writeln!(text, "{line}");
        }
        if self.hits(30) {
            let _infallible = writeln!(text, "EnvironmentFile=/{folder}/missing");
        }
        text
    }

    fn environment_file(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..1 + self.0.below(6) {
            let line = self.one(&FILE_LINES);
            let _infallible = writeln!(text, "{line}");
        }
        text
    }
}

/// Returns a service with a number of its own.
pub(crate) fn unit(random: &mut Random, number: usize) -> UnitCase {
    let mut dice = Dice(random);
    let mut files = Vec::new();
    let folder = format!("etc/cases/{number}");
    let (unit, file, own_prefix) = match dice.0.below(8) {
        0 => (format!("k3s{number}@a-b\\x2dc.service"), format!("k3s{number}@.service"), None),
        _ => {
            let unit = format!("k3s-n{number}-main.service");
            (unit.clone(), unit, Some(format!("k3s-n{number}-.service.d")))
        }
    };
    let folders = ["etc/systemd/system", "etc/systemd/system", "usr/lib/systemd/system"];
    let home = dice.one(&folders).to_owned();

    let mut text = format!("[Unit]\nDescription=Case {number}\n\n[Service]\n");
    text.push_str(&dice.directives(&folder, &mut files));
    let _infallible = writeln!(text, "ExecStart={}", dice.command());
    if dice.hits(12) {
        let reset = if dice.hits(2) { "ExecStart=\n" } else { "" };
        let _infallible = writeln!(text, "{reset}ExecStart={}", dice.command());
    }
    text.push_str(&dice.directives(&folder, &mut files));
    match dice.0.below(20) {
        0 => text = text.replace('\n', "\r\n"),
        1 => text.insert(0, '\u{feff}'),
        2 => text = text.trim_end().to_owned(),
        _ => {}
    }
    files.push((format!("{home}/{file}"), Content::Text(text)));
    if dice.hits(10) && home.starts_with("etc") {
        // Another unit of the name, which the first folder hides.
        let hidden = "[Service]\nExecStart=/usr/local/bin/k3s server --hidden\n".to_owned();
        files.push((format!("usr/lib/systemd/system/{file}"), Content::Text(hidden)));
    }
    for _ in 0..dice.0.below(3) {
        let mut text = "[Service]\n".to_owned();
        text.push_str(&dice.directives(&folder, &mut files));
        if dice.hits(3) {
            let reset = if dice.hits(6) { "" } else { "ExecStart=\n" };
            let _infallible = writeln!(text, "{reset}ExecStart={}", dice.command());
        }
        let own = format!("{unit}.d");
        let of_file = format!("{file}.d");
        let below = match &own_prefix {
            Some(prefix) => dice.one(&[&own, prefix]).to_owned(),
            None => dice.one(&[&own, &of_file]).to_owned(),
        };
        let name = dice.one(&["10-a.conf", "60-b.conf", "60-b.conf.off", ".70-c.conf"]);
        let path = format!("{}/{below}/{name}", dice.one(&folders));
        if files.iter().all(|(other, _)| *other != path) {
            let content =
                if dice.hits(8) { Content::Link("/dev/null".to_owned()) } else { Content::Text(text) };
            files.push((path, content));
        }
    }
    files.push((
        format!("etc/systemd/system/all.target.wants/{unit}"),
        Content::Link(format!("/{home}/{file}")),
    ));
    UnitCase { unit, files }
}
