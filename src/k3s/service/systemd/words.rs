// SPDX-License-Identifier: Apache-2.0
//! The words of a command line or of a list of assignments as systemd splits them (systemd v252,
//! src/basic/extract-word.c, cunescape_one of src/basic/escape.c, replace_env_argv of src/basic/env-util.c).

/// Which syntax a directive has for its words. Quotes are always removed.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::k3s) struct WordRules {
    /// `\x20`, `\s` and the like are unescaped; else a backslash only protects the next character.
    pub(in crate::k3s) unescape: bool,
    /// An unknown escape keeps its backslash.
    pub(in crate::k3s) keep_unknown: bool,
    /// Unbalanced quotes end with the text.
    pub(in crate::k3s) relax: bool,
}

impl WordRules {
    /// `Environment=`, `UnsetEnvironment=`.
    pub(in crate::k3s) const ASSIGNMENTS: Self = Self { unescape: true, keep_unknown: false, relax: false };
    /// `PassEnvironment=`.
    pub(in crate::k3s) const NAMES: Self = Self { unescape: false, keep_unknown: false, relax: false };
    /// The value of a variable that is a word of its own.
    const VARIABLE: Self = Self { unescape: false, keep_unknown: false, relax: true };
}

/// The rest of a text whose words are taken one by one.
#[derive(Debug, Clone, Copy)]
pub(in crate::k3s) struct UnitWords<'t>(Option<&'t [u8]>);

impl<'t> UnitWords<'t> {
    pub(in crate::k3s) fn of(text: &'t str) -> Self {
        Self(Some(text.as_bytes()))
    }

    /// Returns what is left; it begins with a word.
    pub(in crate::k3s) fn rest(&self) -> &'t [u8] {
        self.0.unwrap_or_default()
    }

    /// Leaves bytes out, and the blanks behind them.
    pub(in crate::k3s) fn skip(&mut self, bytes: usize) {
        let rest = &self.rest()[bytes..];
        let blanks = rest.iter().take_while(|byte| is_blank(**byte)).count();
        self.0 = Some(&rest[blanks..]);
    }

    /// Returns the next word of a command line: if it has an unknown escape, its backslashes are kept.
    pub(in crate::k3s) fn next_of_command(&mut self) -> Result<Option<String>, Unbalanced> {
        let rules = WordRules { unescape: true, ..WordRules::default() };
        let before = *self;
        self.next(rules).or_else(|Unbalanced| {
            *self = before;
            self.next(WordRules { keep_unknown: true, ..rules })
        })
    }

    /// Returns the next word. K3s shows bytes that are no UTF-8 as this does.
    pub(in crate::k3s) fn next(&mut self, rules: WordRules) -> Result<Option<String>, Unbalanced> {
        let Some(text) = self.0 else { return Ok(None) };
        let mut at = text.iter().take_while(|byte| is_blank(**byte)).count();
        if at == text.len() {
            self.0 = None;
            return Ok(None);
        }
        let mut word = Vec::new();
        let mut quote = None;
        let ended = loop {
            let Some(&byte) = text.get(at) else {
                if quote.is_some() && !rules.relax {
                    return Err(Unbalanced);
                }
                break None;
            };
            at += 1;
            match (quote, byte) {
                (_, b'\\') => match text.get(at) {
                    None if rules.keep_unknown && (quote.is_none() || rules.relax) => {
                        word.push(b'\\');
                        break None;
                    }
                    None if rules.relax => break None,
                    None => return Err(Unbalanced),
                    Some(&escaped) if rules.unescape => {
                        if let Some(length) = unescape(&text[at..], &mut word) {
                            at += length;
                        } else if rules.keep_unknown {
                            word.extend([b'\\', escaped]);
                            at += 1;
                        } else {
                            return Err(Unbalanced);
                        }
                    }
                    Some(&escaped) => {
                        word.push(escaped);
                        at += 1;
                    }
                },
                (Some(open), _) if byte == open => quote = None,
                (None, b'"' | b'\'') => quote = Some(byte),
                (None, _) if is_blank(byte) => {
                    at += text[at..].iter().take_while(|byte| is_blank(**byte)).count();
                    break (at < text.len()).then_some(at);
                }
                _ => word.push(byte),
            }
        };
        self.0 = ended.map(|at| &text[at..]);
        Ok(Some(String::from_utf8_lossy(&word).into_owned()))
    }
}

/// Quotes that do not end, or an escape that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::k3s) struct Unbalanced;

fn is_blank(byte: u8) -> bool {
    super::lines::BLANKS.contains(&char::from(byte))
}

/// Adds what an escape behind its backslash stands for; returns its length.
fn unescape(text: &[u8], word: &mut Vec<u8>) -> Option<usize> {
    let plain = match text.first()? {
        b'a' => 7,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 11,
        b's' => b' ',
        byte @ (b'\\' | b'"' | b'\'') => *byte,
        b'x' => {
            word.push(number(text.get(1..3)?, 16).and_then(|code| u8::try_from(code).ok())?);
            return Some(3);
        }
        b'u' => {
            encode(number(text.get(1..5)?, 16)?, word);
            return Some(5);
        }
        b'U' => {
            let letter =
                char::from_u32(number(text.get(1..9)?, 16)?).filter(|letter| !is_no_letter(*letter))?;
            encode(u32::from(letter), word);
            return Some(9);
        }
        b'0'..=b'7' => {
            word.push(number(text.get(..3)?, 8).and_then(|code| u8::try_from(code).ok())?);
            return Some(3);
        }
        _ => return None,
    };
    word.push(plain);
    Some(1)
}

/// Reads digits of a base; 0 is none, because a NUL is not allowed.
fn number(digits: &[u8], base: u32) -> Option<u32> {
    let number = digits.iter().try_fold(0_u32, |number, digit| {
        number.checked_mul(base)?.checked_add(char::from(*digit).to_digit(base)?)
    })?;
    (number != 0).then_some(number)
}

/// unichar_is_valid of src/basic/utf8.c.
fn is_no_letter(letter: char) -> bool {
    let code = u32::from(letter);
    (0xfdd0..=0xfdef).contains(&code) || code & 0xfffe == 0xfffe
}

/// Adds the UTF-8 of a code point, also of a surrogate.
fn encode(code: u32, word: &mut Vec<u8>) {
    if let Some(letter) = char::from_u32(code) {
        word.extend(letter.encode_utf8(&mut [0; 4]).as_bytes());
    } else {
        word.extend("\u{fffd}".as_bytes());
    }
}

/// Puts the values of variables into a command line: `$NAME` as a word of its own becomes the words of its value, `${NAME}`
/// inside a word becomes the value, `$$` is a dollar sign.
pub(in crate::k3s) fn expand(words: &[String], value: &mut dyn FnMut(&str) -> Option<String>) -> Vec<String> {
    let mut expanded = Vec::new();
    for word in words {
        match word.strip_prefix('$').filter(|name| !name.starts_with(['{', '$'])) {
            Some(name) => {
                let value = if name.is_empty() { None } else { value(name) }.unwrap_or_default();
                let mut words = UnitWords::of(&value);
                while let Ok(Some(word)) = words.next(WordRules::VARIABLE) {
                    expanded.push(word);
                }
            }
            None => expanded.push(inside(word, value)),
        }
    }
    expanded
}

fn inside(word: &str, value: &mut dyn FnMut(&str) -> Option<String>) -> String {
    let mut done = String::new();
    let mut rest = word;
    while let Some(at) = rest.find('$') {
        let (before, behind) = (&rest[..at], &rest[at + 1..]);
        done.push_str(before);
        if let Some(behind) = behind.strip_prefix('$') {
            done.push('$');
            rest = behind;
            continue;
        }
        // A colon inside of the braces is a syntax that units do not have.
        let named = behind.strip_prefix('{').and_then(|named| {
            let end = named.find(['}', ':'])?;
            named[end..].starts_with('}').then(|| (&named[..end], &named[end + 1..]))
        });
        match named {
            Some((name, behind)) => {
                if !name.is_empty() {
                    done.push_str(&value(name).unwrap_or_default());
                }
                rest = behind;
            }
            None => {
                // What follows a dollar sign that means nothing is plain text.
                let skipped = 1 + behind.chars().next().map_or(0, char::len_utf8);
                done.push_str(&rest[at..at + skipped]);
                rest = &rest[at + skipped..];
            }
        }
    }
    done + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(text: &str) -> Result<Vec<String>, Unbalanced> {
        let mut words = UnitWords::of(text);
        let mut all = Vec::new();
        while let Some(word) = words.next_of_command()? {
            all.push(word);
        }
        Ok(all)
    }

    #[test]
    fn words_of_a_command_have_quotes_and_escapes() {
        let of = |text| command(text).unwrap();
        assert_eq!(of("a  'b c'd \"e\\\"f\" '' g"), ["a", "b cd", "e\"f", "", "g"]);
        assert_eq!(
            of(r"a\x20b c\sd \t \u00e4\U0001f600 \101 'x\'y'"),
            ["a b", "c d", "\t", "ä😀", "A", "x'y"]
        );
        // An unknown escape, and a backslash at the end, stay as they are.
        assert_eq!(of(r"\q\x20 \x0 \000 a\"), [r"\q ", r"\x0", r"\000", r"a\"]);
        assert_eq!(command("a 'b"), Err(Unbalanced));
        assert_eq!(command("a 'b\\"), Err(Unbalanced));
    }

    #[test]
    fn other_directives_have_other_rules() {
        let first = |text, rules| UnitWords::of(text).next(rules);
        assert_eq!(first(r"\q", WordRules::ASSIGNMENTS), Err(Unbalanced));
        assert_eq!(first(r"a\qb\s", WordRules::NAMES), Ok(Some("aqbs".to_owned())));
        assert_eq!(first("'a b", WordRules::VARIABLE), Ok(Some("a b".to_owned())));
    }

    #[test]
    fn variables_are_expanded_as_systemd_expands_them() {
        let words: Vec<String> = [
            "$ROLE",
            "${A}-${NO}x",
            "--b=$A",
            "$NO",
            "$ARGS",
            "$$A",
            "${A:-x}",
            "${A",
            "$A-b",
            "$",
            "x$",
            "${}y",
            "$1",
        ]
        .map(str::to_owned)
        .to_vec();
        let expanded = expand(&words, &mut |name| match name {
            "ROLE" => Some("server".to_owned()),
            "A" => Some("a b".to_owned()),
            "ARGS" => Some("--c '--d=e f' \\g 'h".to_owned()),
            _ => None,
        });
        assert_eq!(
            expanded,
            ["server", "a b-x", "--b=$A", "--c", "--d=e f", "g", "h", "$A", "${A:-x}", "${A", "x$", "y"]
        );
    }
}
