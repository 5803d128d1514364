// SPDX-License-Identifier: Apache-2.0
//! Expressions of CEL, as far as they can be judged without its compiler.

use super::cel_check::{self, CelFunctions, CelScope};
pub use super::cel_functions::{macros, rows};
use super::cel_syntax;
use super::cel_types::{CelFault, CelObject, CelType, FieldType};
use crate::version::KubernetesMinor;

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

pub(super) const TEXT: FieldType = FieldType::Simple("string");
/// `buildUserType` in pkg/authentication/cel of k8s.io/apiserver.
pub(super) static USER: CelObject = CelObject {
    name: "kubernetes.UserInfo",
    fields: &[
        ("username", Some(TEXT)),
        ("uid", Some(TEXT)),
        ("groups", Some(FieldType::Texts)),
        ("extra", Some(FieldType::Extra)),
    ],
};
/// `buildRequestType` in pkg/authorization/cel of k8s.io/apiserver.
static REQUEST: CelObject = CelObject {
    name: "kubernetes.SubjectAccessReviewSpec",
    fields: &[
        ("resourceAttributes", Some(FieldType::Object(&RESOURCE))),
        ("nonResourceAttributes", Some(FieldType::Object(&NON_RESOURCE))),
        ("user", Some(TEXT)),
        ("groups", Some(FieldType::Texts)),
        ("extra", Some(FieldType::Extra)),
        ("uid", Some(TEXT)),
    ],
};
static RESOURCE: CelObject = CelObject {
    name: "kubernetes.ResourceAttributes",
    fields: &[
        ("namespace", Some(TEXT)),
        ("verb", Some(TEXT)),
        ("group", Some(TEXT)),
        ("version", Some(TEXT)),
        ("resource", Some(TEXT)),
        ("subresource", Some(TEXT)),
        ("name", Some(TEXT)),
        // With a feature gate.
        ("fieldSelector", None),
        ("labelSelector", None),
    ],
};
static NON_RESOURCE: CelObject = CelObject {
    name: "kubernetes.NonResourceAttributes",
    fields: &[("path", Some(TEXT)), ("verb", Some(TEXT))],
};
/// A minor that has every function of the oldest ones.
const ANY_MINOR: KubernetesMinor = KubernetesMinor::new(36);

/// Judges an expression that looks at a variable and has to be something.
#[must_use]
pub fn judge(text: &str, variable: CelVariable, wanted: CelResult) -> CelVerdict {
    if text.trim().is_empty() {
        return CelVerdict::Fails("Syntax error: there is no expression".to_owned());
    }
    let (name, of) = match variable {
        CelVariable::Claims => ("claims", CelType::map(CelType::text(), CelType::Dyn)),
        CelVariable::User => ("user", CelType::Object(&USER)),
        CelVariable::Request => ("request", CelType::Object(&REQUEST)),
    };
    let variables = vec![(name.to_owned(), of)];
    let scope = CelScope { minor: ANY_MINOR, functions: CelFunctions::Oldest, variables, fields: None };
    match cel_check::type_of(text, &scope) {
        Err(CelFault::Fails(reason) | CelFault::NoProgram(reason)) => CelVerdict::Fails(reason),
        Err(CelFault::Unknown) => CelVerdict::Unknown,
        Ok(of) if wanted == CelResult::Any || of == CelType::bool() => CelVerdict::Compiles,
        Ok(of) => CelVerdict::Fails(format!("must evaluate to bool but got {of}")),
    }
}

/// Tells whether a text may be the name of a variable.
#[must_use]
pub fn is_identifier(text: &str) -> bool {
    cel_syntax::is_identifier(text)
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
            ("'''a\n'b'''", Claims, Any),
            (r"r'\' + claims.a", Claims, Any),
            (r"'\'' + claims.a", Claims, Any),
            ("claims.a // (", Claims, Any),
            ("claims.map(k, k).size() > 0", Claims, Bool),
        ] {
            assert_eq!(judge(text, variable, wanted), CelVerdict::Compiles, "{text}");
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
            ("claims.in", Claims, Any),
            ("claims.a ? claims.b : true", Claims, Bool),
            ("1 == 1.0", Claims, Bool),
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
            ("claims.?sub.orValue('')", Claims, Any),
            ("claims.a.matches('[')", Claims, Bool),
            ("[claims.a, 'x']", Claims, Any),
            ("math.greatest(1, 2)", Claims, Any),
            ("duration('1s')", Claims, Any),
            ("request.resourceAttributes.fieldSelector.rawSelector == ''", Request, Bool),
        ] {
            assert_eq!(judge(text, variable, wanted), CelVerdict::Unknown, "{text:?}");
        }
    }
}
