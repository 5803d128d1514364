// SPDX-License-Identifier: Apache-2.0
//! The constants of an expression that CEL evaluates when it makes a program of it, before anything asks for its value: with
//! some the program is not made.

use super::cel_tree::{CelLiteral, CelNode};
use super::cel_types::CelFault;
use super::flag_values;

/// Functions that are evaluated before the expression runs, where their argument is a literal.
const CONVERSIONS: [&str; 9] =
    ["bool", "bytes", "double", "duration", "dyn", "int", "string", "timestamp", "uint"];
/// Functions whose argument is a regular expression, or has another form that may be checked before.
const FORMS: [&str; 10] =
    ["matches", "find", "findAll", "format", "ip", "cidr", "quantity", "semver", "url", "format.named"];

/// Tells whether the compiler knows the value of an expression: a literal, a list or map of such, or the conversion of one
/// (`decOptimize` in interpreter/decorators.go of cel-go).
fn is_constant(node: &CelNode) -> bool {
    match node {
        CelNode::Literal(_) => true,
        CelNode::List(items) => items.iter().all(|(_, item)| is_constant(item)),
        CelNode::Map(pairs) => pairs.iter().all(|(_, key, value)| is_constant(key) && is_constant(value)),
        CelNode::Call { target: None, name, arguments } => {
            let is_kept = CONVERSIONS.contains(&name.trim_start_matches('.')) || name == "-_";
            is_kept && arguments.iter().all(is_constant)
        }
        _ => false,
    }
}

/// Checks the constants that a function evaluates before the expression runs. Of one that is no literal the value is not
/// followed.
pub(super) fn check(function: &str, target: Option<&CelNode>, arguments: &[CelNode]) -> Result<(), CelFault> {
    if function == "format" && target.is_some_and(is_constant) {
        return Err(CelFault::Unknown);
    }
    let is_conversion = CONVERSIONS.contains(&function);
    if function == "dyn" || !is_conversion && !FORMS.contains(&function) {
        return Ok(());
    }
    for argument in arguments.iter().filter(|argument| is_constant(argument)) {
        let CelNode::Literal(literal) = argument else { return Err(CelFault::Unknown) };
        match is_conversion {
            true => check_conversion(function, literal)?,
            false => check_form(function, literal)?,
        }
    }
    Ok(())
}

/// Checks the conversion of a literal.
/// (`ConvertToType` in common/types/{int,uint,double}.go of cel-go, and the ranges in overflow.go).
#[allow(clippy::cast_precision_loss, reason = "as cel-go compares them")]
fn check_conversion(function: &str, literal: &CelLiteral) -> Result<(), CelFault> {
    const BEHIND_UINT: f64 = 18_446_744_073_709_551_616.0;
    let overflow = |of: &str, fits: bool| {
        if fits { Ok(()) } else { Err(CelFault::NoProgram(format!("{of} overflow"))) }
    };
    let is_fine = match (function, literal) {
        ("int", CelLiteral::Uint(number)) => return overflow("integer", i64::try_from(*number).is_ok()),
        ("int", CelLiteral::Double(number)) => {
            return overflow("integer", *number > i64::MIN as f64 && *number < i64::MAX as f64);
        }
        ("uint", CelLiteral::Int(number)) => return overflow("unsigned integer", *number >= 0),
        ("uint", CelLiteral::Double(number)) => {
            return overflow("unsigned integer", *number >= 0.0 && *number < BEHIND_UINT);
        }
        ("double", CelLiteral::Int(_) | CelLiteral::Uint(_) | CelLiteral::Double(_))
        | ("int", CelLiteral::Int(_))
        | ("uint", CelLiteral::Uint(_)) => true,
        // Bytes need not be a text.
        ("string", CelLiteral::Bytes) => false,
        ("string", _) | ("bytes", CelLiteral::Text(_)) => true,
        ("duration", CelLiteral::Text(Some(text))) => flag_values::duration(text).is_some(),
        ("int" | "uint", CelLiteral::Text(Some(text))) => text.parse::<i32>().is_ok_and(|number| number >= 0),
        ("bool", CelLiteral::Text(Some(text))) => ["true", "false"].contains(&text.as_str()),
        _ => false,
    };
    if is_fine { Ok(()) } else { Err(CelFault::Unknown) }
}

/// Checks a literal that has to have a form, such as that of a regular expression.
fn check_form(function: &str, literal: &CelLiteral) -> Result<(), CelFault> {
    let (CelLiteral::Text(Some(text)), "matches" | "find" | "findAll") = (literal, function) else {
        return Err(CelFault::Unknown);
    };
    // An anchor at each end and dots change nothing.
    let inner = text.strip_prefix('^').unwrap_or(text);
    let inner = inner.strip_suffix('$').unwrap_or(inner);
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_/:@ ,=.".contains(letter);
    if inner.chars().all(is_plain) { Ok(()) } else { Err(CelFault::Unknown) }
}

#[cfg(test)]
mod tests {
    use super::super::cel_syntax::parse;
    use super::*;

    /// Checks the outermost call of an expression.
    fn checked(text: &str) -> Result<(), CelFault> {
        let CelNode::Call { target, name, arguments } = parse(text).unwrap() else { panic!("{text}") };
        check(&name, target.as_deref(), &arguments)
    }

    #[test]
    fn a_constant_that_may_have_no_value_is_unknown() {
        for text in [
            "string(dyn(null))",
            "string(dyn([]))",
            "string(b'a')",
            "int('x')",
            "int(dyn('1'))",
            "timestamp('2001')",
            "duration('1x')",
            "a.matches(dyn('['))",
            "matches('a', '[')",
            "a.matches('[')",
            "'%d'.format([a])",
            "quantity('1')",
            "uint(---1)",
        ] {
            assert_eq!(checked(text), Err(CelFault::Unknown), "{text}");
        }
        for text in [
            "string(dyn(a))",
            "string('a')",
            "dyn(null)",
            "dyn('a')",
            "int('1')",
            "int(a)",
            "duration('1h')",
            "bool('true')",
            "a.matches('^[a'.substring(0, 1))",
            "a.matches('^x.y$')",
            "size([])",
            "uint(0)",
            "uint(-0.0)",
            "int(-1)",
            "int(9223372036854775807u)",
            "int(-9.2e18)",
            "uint(1.8e19)",
            "double(-1)",
        ] {
            assert_eq!(checked(text), Ok(()), "{text}");
        }
        for text in [
            "uint(-1)",
            "uint(-0.5)",
            "uint(1.9e19)",
            "int(9223372036854775808u)",
            "int(-1e30)",
            "int(9223372036854775807.0)",
            "int(0xffffffffffffffffu)",
        ] {
            assert!(matches!(checked(text), Err(CelFault::NoProgram(_))), "{text}");
        }
    }
}
