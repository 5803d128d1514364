// SPDX-License-Identifier: Apache-2.0
//! Expressions of CEL, as far as they can be judged without its compiler.

use super::cel_types::{self, CelFault, CelType, FieldType};

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

/// What Kubernetes lets an expression look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CelVariable {
    /// The claims of a token, which have any type: `claims`.
    Claims,
    /// The user that claims are mapped to: `user`.
    User,
    /// The request of a SubjectAccessReview: `request`.
    Request,
}

/// What an expression has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CelResult {
    /// A value of any type.
    Any,
    /// True or false, by its type.
    Bool,
}

/// `buildUserType` in pkg/authentication/cel of k8s.io/apiserver.
const USER: &[(&str, Option<FieldType>)] = &[
    ("username", Some(FieldType::Text)),
    ("uid", Some(FieldType::Text)),
    ("groups", Some(FieldType::Texts)),
    ("extra", Some(FieldType::Extra)),
];
/// `buildRequestType` in pkg/authorization/cel of k8s.io/apiserver.
const REQUEST: &[(&str, Option<FieldType>)] = &[
    ("resourceAttributes", Some(FieldType::Object(RESOURCE))),
    ("nonResourceAttributes", Some(FieldType::Object(NON_RESOURCE))),
    ("user", Some(FieldType::Text)),
    ("groups", Some(FieldType::Texts)),
    ("extra", Some(FieldType::Extra)),
    ("uid", Some(FieldType::Text)),
];
const RESOURCE: &[(&str, Option<FieldType>)] = &[
    ("namespace", Some(FieldType::Text)),
    ("verb", Some(FieldType::Text)),
    ("group", Some(FieldType::Text)),
    ("version", Some(FieldType::Text)),
    ("resource", Some(FieldType::Text)),
    ("subresource", Some(FieldType::Text)),
    ("name", Some(FieldType::Text)),
    // With a feature gate.
    ("fieldSelector", None),
    ("labelSelector", None),
];
const NON_RESOURCE: &[(&str, Option<FieldType>)] =
    &[("path", Some(FieldType::Text)), ("verb", Some(FieldType::Text))];

/// Judges an expression that looks at a variable and has to be something.
#[must_use]
pub fn judge(text: &str, variable: CelVariable, wanted: CelResult) -> CelVerdict {
    if let Some(reason) = syntax_fault(text) {
        return CelVerdict::Fails(reason);
    }
    let variable = match variable {
        CelVariable::Claims => ("claims", CelType::Map(Box::new(CelType::Dyn))),
        CelVariable::User => ("user", CelType::Object(USER)),
        CelVariable::Request => ("request", CelType::Object(REQUEST)),
    };
    match cel_types::type_of(text, (variable.0, &variable.1)) {
        Err(CelFault::Fails(reason)) => CelVerdict::Fails(reason),
        Err(CelFault::Unknown) => CelVerdict::Unknown,
        Ok(CelType::Bool) => CelVerdict::Compiles,
        Ok(_) if wanted == CelResult::Any => CelVerdict::Compiles,
        Ok(CelType::Some) => CelVerdict::Unknown,
        Ok(_) => CelVerdict::Fails("must evaluate to bool".to_owned()),
    }
}

/// Names that no variable may have.
const RESERVED: [&str; 21] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "var",
    "void",
    "while",
];

/// Tells whether a text may be the name of a variable.
#[must_use]
pub fn is_identifier(text: &str) -> bool {
    let is_word = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_word && !text.is_empty() && !text.as_bytes()[0].is_ascii_digit() && !RESERVED.contains(&text)
}

/// Tells whether an expression selects a field of a variable: `hasSelectExp` in pkg/apis/apiserver/validation of
/// k8s.io/apiserver. What stands in texts does not count.
#[must_use]
pub fn selects(text: &str, variable: &str, field: &str) -> bool {
    let mut quote = None;
    let code: String = text
        .chars()
        .filter(|letter| {
            match quote {
                Some(begin) if *letter == begin => quote = None,
                None if matches!(letter, '"' | '\'') => quote = Some(*letter),
                None => return !letter.is_whitespace(),
                Some(_) => {}
            }
            false
        })
        .collect();
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let select = format!("{variable}.{field}");
    code.match_indices(&select).any(|(at, _)| {
        !code[..at].ends_with(|before: char| is_word(before) || before == '.')
            && !code[at + select.len()..].starts_with(is_word)
    })
}

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

    use CelResult::{Any, Bool};
    use CelVariable::{Claims, Request, User};

    #[test]
    fn what_is_known_compiles() {
        for (text, variable, wanted) in [
            ("claims.sub", Claims, Any),
            (" claims.a.b_c ", Claims, Any),
            ("claims", Claims, Any),
            ("'a'", Claims, Any),
            ("1 + 1", Claims, Any),
            ("claims.sub + 'x'", Claims, Any),
            ("claims.sub + claims.x + 'y'", Claims, Any),
            ("claims.email_verified ? 'a' : 'b'", Claims, Any),
            ("claims.a == 'x)'", Claims, Bool),
            ("has(claims.sub) && !(claims.a in ['b', \"c\"])", Claims, Bool),
            ("claims['a'].exists(x, x == 1 || x.y)", Claims, Bool),
            ("true", Claims, Bool),
            ("!user.username.startsWith('system:')", User, Bool),
            ("user.groups.all(g, g != 'a' && size(g) > 3)", User, Bool),
            ("'a' in user.extra && 'b' in user.extra['a']", User, Bool),
            ("request.resourceAttributes.namespace == 'a'", Request, Bool),
            ("has(request.resourceAttributes)", Request, Bool),
        ] {
            // A sum with a claim has a type that only the compiler knows.
            let expected = match text {
                "claims.sub + claims.x + 'y'" => CelVerdict::Unknown,
                _ => CelVerdict::Compiles,
            };
            assert_eq!(judge(text, variable, wanted), expected, "{text}");
        }
    }

    #[test]
    fn what_is_surely_wrong_fails() {
        for (text, variable, wanted) in [
            ("", Claims, Any),
            (" ", Claims, Any),
            ("claims.sub(", Claims, Any),
            ("claims.sub)", Claims, Any),
            ("(claims.a]", Claims, Any),
            ("claims.a + 'x", Claims, Any),
            ("\"a\nb\"", Claims, Any),
            ("'''a''", Claims, Any),
            ("claims.sub + ", Claims, Any),
            ("claims.", Claims, Any),
            ("claims claims", Claims, Any),
            ("user.name", Claims, Any),
            ("x.y", Claims, Any),
            ("claims.sub", Claims, Bool),
            ("'a'", Claims, Bool),
            ("user.name == 'a'", User, Bool),
            ("user.username.x", User, Any),
            ("user.username == 1", User, Bool),
            ("user.groups.all(g, h)", User, Bool),
            ("!user.uid", User, Bool),
            ("request.nope", Request, Bool),
            ("request.user", Request, Bool),
            ("1", Request, Bool),
        ] {
            let verdict = judge(text, variable, wanted);
            assert!(matches!(verdict, CelVerdict::Fails(_)), "{text:?}: {verdict:?}");
        }
    }

    #[test]
    fn selections_are_seen_outside_of_texts() {
        for text in ["claims.email", "claims.x ? claims . email : ''", "has(claims.email)"] {
            assert!(selects(text, "claims", "email"), "{text}");
        }
        for text in ["claims.email_verified", "'claims.email'", "myclaims.email", "claims.x.email"] {
            assert!(!selects(text, "claims", "email"), "{text}");
        }
    }

    #[test]
    fn the_rest_is_for_the_compiler() {
        for (text, variable, wanted) in [
            ("'''a\n'b'''", Claims, Any),
            (r"r'\' + claims.a", Claims, Any),
            (r"'\'' + claims.a", Claims, Any),
            ("claims.a // (", Claims, Any),
            ("claims.in", Claims, Any),
            ("claims.?sub.orValue('')", Claims, Any),
            ("claims.a ? claims.b : true", Claims, Bool),
            ("claims.a.matches('[')", Claims, Bool),
            ("1 == 1.0", Claims, Bool),
            ("math.greatest(1, 2)", Claims, Any),
            ("duration('1s')", Claims, Any),
            ("request.resourceAttributes.fieldSelector.rawSelector == ''", Request, Bool),
        ] {
            assert_eq!(judge(text, variable, wanted), CelVerdict::Unknown, "{text:?}");
        }
    }
}
