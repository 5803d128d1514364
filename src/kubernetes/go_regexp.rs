// SPDX-License-Identifier: Apache-2.0
//! Whether Go's package regexp compiles an expression, without its limits of size.
//!
//! Source: regexp/syntax/parse.go of Go, with the flags of `regexp.Compile` (`syntax.Perl`).

use std::sync::LazyLock;

use crate::embedded;

/// How often an expression may be repeated, nested repetitions multiplied.
const MOST_REPEATS: u32 = 1_000;
/// How deep groups may be nested.
const MOST_GROUPS: usize = 1_000;
const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "word", "xdigit",
];

/// Checks an expression.
///
/// # Errors
/// Go's message.
pub fn check(text: &str) -> Result<(), String> {
    let mut groups = vec![Group::default()];
    let mut rest = text;
    // The repetition just before, which another must not follow.
    let mut last_repeat = None;
    while let Some(letter) = rest.chars().next() {
        let before = rest;
        let mut repeat = None;
        let group = groups.last_mut().ok_or_else(|| fault("unexpected )", text))?;
        match letter {
            '(' => {
                let inner = Group { is_group: true, ..Group::default() };
                match rest.starts_with("(?") {
                    true => {
                        let (opens, behind) = perl_group(rest)?;
                        rest = behind;
                        if opens {
                            groups.push(inner);
                        }
                    }
                    false => {
                        rest = &rest[1..];
                        groups.push(inner);
                    }
                }
                if groups.len() > MOST_GROUPS {
                    return Err(fault("expression nests too deeply", text));
                }
            }
            ')' => {
                let repeats = group.most_repeats();
                if !group.is_group {
                    return Err(fault("unexpected )", text));
                }
                groups.pop();
                rest = &rest[1..];
                groups.last_mut().ok_or_else(|| fault("unexpected )", text))?.push(repeats);
            }
            '|' => {
                group.end_of_branch();
                rest = &rest[1..];
            }
            '*' | '+' | '?' => {
                rest = repeated(group, None, before, &rest[1..], last_repeat)?;
                repeat = Some(before);
            }
            '{' => match bounds(rest) {
                Some((least, most, behind)) => {
                    if least > MOST_REPEATS || most.is_some_and(|most| most > MOST_REPEATS || least > most) {
                        let shown = &before[..before.len() - behind.len()];
                        return Err(fault("invalid repeat count", shown));
                    }
                    rest = repeated(group, Some(most.unwrap_or(least)), before, behind, last_repeat)?;
                    repeat = Some(before);
                }
                None => {
                    group.push(1);
                    rest = &rest[1..];
                }
            },
            '[' => {
                rest = class(rest)?;
                group.push(1);
            }
            '\\' => rest = escaped(rest, group)?,
            other => {
                group.push(1);
                rest = &rest[other.len_utf8()..];
            }
        }
        last_repeat = repeat;
    }
    if groups.len() == 1 { Ok(()) } else { Err(fault("missing closing )", text)) }
}

fn fault(problem: &str, at: &str) -> String {
    format!("error parsing regexp: {problem}: `{at}`")
}

/// What has been read of a group.
#[derive(Default)]
struct Group {
    is_group: bool,
    /// How often the last item is repeated, itself or within; none at the start of a branch.
    last: Option<u32>,
    /// The most of all items before.
    most: u32,
}

impl Group {
    fn push(&mut self, repeats: u32) {
        self.most = self.most_repeats();
        self.last = Some(repeats);
    }

    fn end_of_branch(&mut self) {
        self.most = self.most_repeats();
        self.last = None;
    }

    fn most_repeats(&self) -> u32 {
        self.most.max(self.last.unwrap_or(1)).max(1)
    }
}

/// Repeats the last item (`parser.repeat`), `times` at most; none for `*`, `+` and `?`.
fn repeated<'a>(
    group: &mut Group,
    times: Option<u32>,
    before: &'a str,
    behind: &'a str,
    last_repeat: Option<&'a str>,
) -> Result<&'a str, String> {
    let behind = behind.strip_prefix('?').unwrap_or(behind);
    if let Some(last) = last_repeat {
        let shown = &last[..last.len() - behind.len()];
        return Err(fault("invalid nested repetition operator", shown));
    }
    let shown = &before[..before.len() - behind.len()];
    let Some(inner) = group.last else {
        return Err(fault("missing argument to repetition operator", shown));
    };
    let all = inner.saturating_mul(times.unwrap_or(1).max(1));
    if times.is_some_and(|times| times >= 2) && all > MOST_REPEATS {
        return Err(fault("invalid repeat count", shown));
    }
    group.last = Some(if times == Some(0) { 1 } else { all });
    Ok(behind)
}

/// Reads `{n}`, `{n,}` or `{n,m}`; none if it is no repetition, but a brace.
fn bounds(text: &str) -> Option<(u32, Option<u32>, &str)> {
    let (inner, behind) = text.strip_prefix('{')?.split_once('}')?;
    let number = |text: &str| {
        let is_number = !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && (text.len() == 1 || !text.starts_with('0'));
        // A number too large is one above every bound.
        is_number.then(|| text.parse().unwrap_or(u32::MAX))
    };
    match inner.split_once(',') {
        None => number(inner).map(|times| (times, Some(times), behind)),
        Some((least, "")) => Some((number(least)?, None, behind)),
        Some((least, most)) => Some((number(least)?, Some(number(most)?), behind)),
    }
}

/// Reads what begins with `(?`: whether it opens a group, and the rest.
fn perl_group(text: &str) -> Result<(bool, &str), String> {
    if let Some(named) = text.strip_prefix("(?P<").or_else(|| text.strip_prefix("(?<")) {
        let (name, behind) = named.split_once('>').ok_or_else(|| fault("invalid named capture", text))?;
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        if name.is_empty() || !name.chars().all(is_name) {
            let shown = &text[..text.len() - behind.len()];
            return Err(fault("invalid named capture", shown));
        }
        return Ok((true, behind));
    }
    let (mut is_negative, mut has_flag) = (false, false);
    let mut rest = &text[2..];
    loop {
        let mut letters = rest.chars();
        let letter = letters.next();
        rest = letters.as_str();
        match letter {
            Some('i' | 'm' | 's' | 'U') => has_flag = true,
            Some('-') if !is_negative => (is_negative, has_flag) = (true, false),
            Some(end @ (':' | ')')) if !is_negative || has_flag => return Ok((end == ':', rest)),
            _ => {
                let shown = &text[..text.len() - rest.len()];
                return Err(fault("invalid or unsupported Perl syntax", shown));
            }
        }
    }
}

/// Reads what begins with a backslash outside of a class.
fn escaped<'a>(text: &'a str, group: &mut Group) -> Result<&'a str, String> {
    if let Some(quoted) = text.strip_prefix("\\Q") {
        let (literal, behind) = quoted.split_once("\\E").unwrap_or((quoted, ""));
        literal.chars().for_each(|_| group.push(1));
        return Ok(behind);
    }
    group.push(1);
    if text.starts_with("\\C") {
        return Err(fault("invalid escape sequence", "\\C"));
    }
    if let Some(behind) = shorthand(text)? {
        return Ok(behind);
    }
    let is_assertion = ["\\A", "\\z", "\\b", "\\B"].iter().any(|mark| text.starts_with(mark));
    if is_assertion { Ok(&text[2..]) } else { escape(text).map(|(_, behind)| behind) }
}

/// Reads a class that an escape names, `\d` or `\p{Greek}`; none if it is none.
fn shorthand(text: &str) -> Result<Option<&str>, String> {
    let mut letters = text.strip_prefix('\\').unwrap_or_default().chars();
    match letters.next() {
        Some('d' | 'D' | 's' | 'S' | 'w' | 'W') => return Ok(Some(letters.as_str())),
        Some('p' | 'P') => {}
        _ => return Ok(None),
    }
    let behind = letters.as_str();
    let (name, behind) = match behind.strip_prefix('{') {
        Some(braced) => braced.split_once('}').ok_or_else(|| fault("invalid character class range", text))?,
        None => behind.split_at(behind.chars().next().map_or(0, char::len_utf8)),
    };
    if is_unicode_class(name.strip_prefix('^').unwrap_or(name)) {
        return Ok(Some(behind));
    }
    Err(fault("invalid character class range", &text[..text.len() - behind.len()]))
}

fn is_unicode_class(name: &str) -> bool {
    static CLASSES: LazyLock<Vec<String>> = LazyLock::new(|| embedded::table("unicode-classes"));
    CLASSES.iter().any(|known| known == name)
}

/// Reads one letter behind a backslash (`parseEscape`), and the rest.
fn escape(text: &str) -> Result<(char, &str), String> {
    let mut letters = text[1..].chars();
    let Some(letter) = letters.next() else {
        return Err(fault("trailing backslash at end of expression", ""));
    };
    let behind = letters.as_str();
    let is_octal = |letter: char| letter.is_digit(8);
    let octal = |digits: &str| u32::from_str_radix(digits, 8).ok().and_then(char::from_u32);
    let read = match letter {
        '0'..='7' if letter == '0' || behind.starts_with(is_octal) => {
            let more = behind.chars().take(2).take_while(|letter| is_octal(*letter)).count();
            octal(&text[1..2 + more]).map(|letter| (letter, &behind[more..]))
        }
        'x' => match behind.strip_prefix('{') {
            Some(braced) => braced.split_once('}').and_then(|(digits, behind)| Some((hex(digits)?, behind))),
            None => behind.get(..2).and_then(|digits| Some((hex(digits)?, &behind[2..]))),
        },
        'a' => Some(('\u{7}', behind)),
        'f' => Some(('\u{c}', behind)),
        'n' => Some(('\n', behind)),
        'r' => Some(('\r', behind)),
        't' => Some(('\t', behind)),
        'v' => Some(('\u{b}', behind)),
        other => (other.is_ascii() && !other.is_ascii_alphanumeric()).then_some((other, behind)),
    };
    read.ok_or_else(|| fault("invalid escape sequence", &text[..text.len() - behind.len()]))
}

fn hex(digits: &str) -> Option<char> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u32::from_str_radix(digits, 16).ok().filter(|_| is_number)?;
    // Go takes surrogates, which no letter matches.
    (number <= 0x10_ffff).then(|| char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER))
}

/// Reads a class in brackets, and returns the rest.
fn class(text: &str) -> Result<&str, String> {
    let mut rest = &text[1..];
    rest = rest.strip_prefix('^').unwrap_or(rest);
    let mut is_first = true;
    while is_first || !rest.starts_with(']') {
        is_first = false;
        if let Some((name, behind)) = rest.strip_prefix("[:").and_then(|inner| inner.split_once(":]")) {
            if !POSIX.contains(&name.strip_prefix('^').unwrap_or(name)) {
                return Err(fault("invalid character class range", &format!("[:{name}:]")));
            }
            rest = behind;
            continue;
        }
        if let Some(behind) = shorthand(rest)? {
            rest = behind;
            continue;
        }
        let range = rest;
        let (low, behind) = class_letter(rest, text)?;
        rest = behind;
        if let Some(upper) = rest.strip_prefix('-').filter(|upper| !upper.starts_with(']')) {
            if upper.is_empty() {
                continue;
            }
            let (high, behind) = class_letter(upper, text)?;
            if high < low {
                let shown = &range[..range.len() - behind.len()];
                return Err(fault("invalid character class range", shown));
            }
            rest = behind;
        }
    }
    Ok(&rest[1..])
}

fn class_letter<'a>(text: &'a str, class: &str) -> Result<(char, &'a str), String> {
    match text.chars().next() {
        None => Err(fault("missing closing ]", class)),
        Some('\\') => escape(text),
        Some(letter) => Ok((letter, &text[letter.len_utf8()..])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_compile_as_gos_do() {
        for good in [
            "",
            "^a$",
            "//a(:|$)",
            "(?i)//x(:|$)",
            "^(?P<n>a)$",
            "(?<n>a)",
            "(?P<n>a)(?P<n>b)",
            "(?i:a)",
            "(?i-s)a",
            "a{2}",
            "a{,2}",
            "a{1000}",
            "x{",
            "[a-z]",
            "[]a]",
            "[^]a]",
            "[[:alpha:]]",
            "[[:^digit:]]",
            r"\d\w\s\b\A\z",
            r"\Qa*\E*",
            r"\p{Greek}\pN\PL\p{^L}",
            r"[\p{Greek}\d]",
            r"\_\-",
            r"\07\101\x41\x{10FFFF}",
            "(|a)+",
            "a??",
            "[a-b-c]",
            "(?s)a",
            "^(a|b)*$",
            "é+",
            "(a{10}){100}",
            "a**b".get(..2).unwrap(),
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, says) in [
            ("[", "missing closing ]: `[`"),
            ("*", "missing argument to repetition operator: `*`"),
            ("a**", "invalid nested repetition operator: `**`"),
            ("a??+", "invalid nested repetition operator: `??+`"),
            ("(a", "missing closing ): `(a`"),
            ("a)", "unexpected ): `a)`"),
            ("a{1001}", "invalid repeat count: `{1001}`"),
            ("a{2,1}", "invalid repeat count: `{2,1}`"),
            ("(a{100}){100}", "invalid repeat count: `{100}`"),
            ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
            ("(?-)a", "invalid or unsupported Perl syntax: `(?-)`"),
            ("(?P<>a)", "invalid named capture: `(?P<>`"),
            (r"\8", r"invalid escape sequence: `\8`"),
            (r"\1", r"invalid escape sequence: `\1`"),
            (r"\Z", r"invalid escape sequence: `\Z`"),
            ("\\", "trailing backslash at end of expression: ``"),
            (r"\p{Nope}", r"invalid character class range: `\p{Nope}`"),
            ("[z-a]", "invalid character class range: `z-a`"),
            ("[[:nope:]]", "invalid character class range: `[:nope:]`"),
            ("a|*", "missing argument to repetition operator: `*`"),
            ("(*)", "missing argument to repetition operator: `*`"),
        ] {
            assert_eq!(check(bad), Err(format!("error parsing regexp: {says}")), "{bad}");
        }
    }
}
