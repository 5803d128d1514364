//! Expressions of CEL, as far as they can be judged without its compiler.

/// What is known of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CelVerdict {
    /// It compiles.
    Compiles,
    /// It does not, for this reason.
    Fails(String),
    /// Only the compiler knows.
    Unknown,
}

/// Judges an expression. `free` are variables without a schema: any field of theirs compiles, and has any type.
#[must_use]
pub fn judge(text: &str, free: &[&str]) -> CelVerdict {
    if let Some(reason) = syntax_fault(text) {
        return CelVerdict::Fails(reason);
    }
    let is_field = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && part.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
            && !RESERVED.contains(&part)
    };
    let mut parts = text.trim().split('.');
    let is_known = parts.next().is_some_and(|root| free.contains(&root));
    let fields: Vec<&str> = parts.collect();
    if is_known && !fields.is_empty() && fields.iter().all(|part| is_field(part)) {
        return CelVerdict::Compiles;
    }
    CelVerdict::Unknown
}

/// Words that are no names (cel-spec, doc/langdef.md).
const RESERVED: [&str; 4] = ["false", "in", "null", "true"];

/// Returns why no parser takes a text: a bracket or a quote without its end, or nothing at all.
fn syntax_fault(text: &str) -> Option<String> {
    if text.trim().is_empty() {
        return Some("Syntax error: there is no expression".to_owned());
    }
    let mut open = Vec::new();
    let mut letters = text.chars().peekable();
    let mut previous = ' ';
    while let Some(letter) = letters.next() {
        match letter {
            '/' if letters.peek() == Some(&'/') => {
                // A comment ends with its line.
                letters.by_ref().take_while(|letter| *letter != '\n').for_each(drop);
            }
            '(' | '[' | '{' => open.push(letter),
            ')' | ']' | '}' => {
                let fits =
                    matches!((open.pop(), letter), (Some('('), ')') | (Some('['), ']') | (Some('{'), '}'));
                if !fits {
                    return Some(format!("Syntax error: mismatched input '{letter}'"));
                }
            }
            '"' | '\'' => {
                let is_raw = matches!(previous, 'r' | 'R');
                if !skip_string(&mut letters, letter, is_raw) {
                    return Some(format!("Syntax error: token recognition error at: '{letter}'"));
                }
            }
            _ => {}
        }
        previous = letter;
    }
    open.pop().map(|bracket| format!("Syntax error: '{bracket}' is not closed"))
}

/// Reads to the end of a string whose first quote is read; false if it has no end.
fn skip_string(letters: &mut std::iter::Peekable<std::str::Chars<'_>>, quote: char, is_raw: bool) -> bool {
    let mut ahead = letters.clone();
    let is_long = ahead.next() == Some(quote) && ahead.next() == Some(quote);
    if is_long {
        letters.next();
        letters.next();
    }
    let mut quotes = 0;
    while let Some(letter) = letters.next() {
        quotes = if letter == quote { quotes + 1 } else { 0 };
        match letter {
            '\\' if !is_raw => {
                letters.next();
            }
            '\n' if !is_long => return false,
            _ if letter == quote && (!is_long || quotes == 3) => return true,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_quotes_and_plain_fields_are_judged() {
        for text in ["claims.sub", " claims.a.b_c ", "claims.email_verified"] {
            assert_eq!(judge(text, &["claims"]), CelVerdict::Compiles, "{text}");
        }
        for text in
            ["", " ", "claims.sub(", "claims.sub)", "(claims.a]", "claims.a + 'x", "\"a\nb\"", "'''a''"]
        {
            assert!(matches!(judge(text, &["claims"]), CelVerdict::Fails(_)), "{text:?}");
        }
        for text in [
            "claims",
            "user.name",
            "claims.a == 'x)'",
            "'''a\n'b'''",
            r"r'\' + claims.a",
            r"'\'' + claims.a",
            "claims.a // (",
            "claims.in",
            "claims.",
        ] {
            assert_eq!(judge(text, &["claims"]), CelVerdict::Unknown, "{text:?}");
        }
    }
}
