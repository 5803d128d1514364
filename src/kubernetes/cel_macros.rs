// SPDX-License-Identifier: Apache-2.0
//! The macros of CEL: what `all`, `map`, `has` and the like are written out as before types are checked (parser/macro.go,
//! cel/library.go and ext/comprehensions.go of cel-go).

use super::cel_tree::{CelFold, CelLiteral, CelNode, call};
use super::cel_types::CelFault;

/// The variable that a fold collects in. No expression can name it.
const RESULT: &str = "@result";
/// Its older name, which no variable of a macro may have.
const OLD_RESULT: &str = "__result__";
/// The most parts of an expression that is written out twice.
const MAX_COPIED: usize = 1_000;
/// A variable that nothing looks at.
const UNUSED: &str = "#unused";

fn fails(message: &str) -> CelFault {
    CelFault::Fails(format!("Syntax error: {message}"))
}

fn name(text: &str) -> CelNode {
    CelNode::Name(text.to_owned())
}

fn result() -> CelNode {
    name(RESULT)
}

/// Returns the variable that an argument names.
fn variable(argument: &CelNode) -> Result<String, CelFault> {
    match argument {
        // A name that is no local one is not told from another here.
        CelNode::Name(name) if name.starts_with('.') => Err(CelFault::Unknown),
        CelNode::Name(name) if name == OLD_RESULT => {
            Err(fails("iteration variable overwrites accumulator variable"))
        }
        CelNode::Name(name) => Ok(name.clone()),
        _ => Err(fails("argument must be a simple name")),
    }
}

/// Writes a call of a macro out.
pub(super) fn expand(
    target: Option<CelNode>,
    macro_name: &str,
    mut arguments: Vec<CelNode>,
) -> Result<CelNode, CelFault> {
    let last = arguments.pop().ok_or(CelFault::Unknown)?;
    let Some(range) = target else { return has(last) };
    let variable_count = match (macro_name, arguments.len()) {
        ("all" | "exists" | "exists_one" | "existsOne", count) => count,
        ("transformList" | "transformMap" | "transformMapEntry", _) => 2,
        _ => 1,
    };
    let mut names = arguments.iter().take(variable_count).map(variable).collect::<Result<Vec<_>, _>>()?;
    let filter = arguments.into_iter().nth(variable_count);
    let second = if names.len() > 1 { names.pop() } else { None };
    let variable = names.pop().ok_or(CelFault::Unknown)?;
    if second.as_ref() == Some(&variable) {
        return Err(fails(&format!("duplicate variable name: {variable}")));
    }
    let literal = CelNode::Literal;
    let conditional = |filter: Option<CelNode>, step: CelNode| match filter {
        None => step,
        Some(filter) => call("_?_:_", vec![filter, step, result()]),
    };
    let collected = |item: CelNode| call("_+_", vec![result(), CelNode::List(vec![(false, item)])]);
    let (begin, step, end) = match macro_name {
        "all" => (literal(CelLiteral::Bool), call("_&&_", vec![result(), last]), result()),
        "exists" => (literal(CelLiteral::Bool), call("_||_", vec![result(), last]), result()),
        "exists_one" | "existsOne" => {
            let more = call("_+_", vec![result(), literal(CelLiteral::Int(1))]);
            let end = call("_==_", vec![result(), literal(CelLiteral::Int(1))]);
            (literal(CelLiteral::Int(0)), conditional(Some(last), more), end)
        }
        "map" | "transformList" => {
            (CelNode::List(Vec::new()), conditional(filter, collected(last)), result())
        }
        "filter" => {
            (CelNode::List(Vec::new()), conditional(Some(last), collected(name(&variable))), result())
        }
        "transformMap" => {
            let added = call("cel.@mapInsert", vec![result(), name(&variable), last]);
            (CelNode::Map(Vec::new()), conditional(filter, added), result())
        }
        "transformMapEntry" => {
            let added = call("cel.@mapInsert", vec![result(), last]);
            (CelNode::Map(Vec::new()), conditional(filter, added), result())
        }
        // It is written out twice: a chain of them doubles each time.
        "optMap" | "optFlatMap" if weight(&range) > MAX_COPIED => return Err(CelFault::Unknown),
        "optMap" | "optFlatMap" => return Ok(optional(&range, macro_name, &variable, last)),
        _ => return Err(CelFault::Unknown),
    };
    let result_name = RESULT.to_owned();
    Ok(CelNode::Fold(Box::new(CelFold { range, variable, second, result_name, begin, step, result: end })))
}

/// Returns how many parts an expression has.
fn weight(node: &CelNode) -> usize {
    let all = |nodes: &[CelNode]| nodes.iter().map(weight).sum::<usize>();
    1 + match node {
        CelNode::Literal(_) | CelNode::Name(_) | CelNode::Message(_) => 0,
        CelNode::Select(of, _) | CelNode::Has(of, _) | CelNode::SelectOptional(of, _) => weight(of),
        CelNode::Call { target, arguments, .. } => target.as_deref().map_or(0, weight) + all(arguments),
        CelNode::List(items) => items.iter().map(|(_, item)| weight(item)).sum(),
        CelNode::Map(pairs) => pairs.iter().map(|(_, key, value)| weight(key) + weight(value)).sum(),
        CelNode::Fold(fold) => {
            [&fold.range, &fold.begin, &fold.step, &fold.result].into_iter().map(weight).sum()
        }
    }
}

fn has(argument: CelNode) -> Result<CelNode, CelFault> {
    match argument {
        CelNode::Select(of, field) | CelNode::Has(of, field) => Ok(CelNode::Has(of, field)),
        _ => Err(fails("invalid argument to has() macro")),
    }
}

/// `optMap` and `optFlatMap`: the value of an optional under a name.
fn optional(target: &CelNode, macro_name: &str, variable: &str, of: CelNode) -> CelNode {
    let method = |name: &str| CelNode::Call {
        target: Some(Box::new(target.clone())),
        name: name.to_owned(),
        arguments: Vec::new(),
    };
    let bound = CelNode::Fold(Box::new(CelFold {
        range: CelNode::List(Vec::new()),
        variable: UNUSED.to_owned(),
        second: None,
        result_name: variable.to_owned(),
        begin: method("value"),
        step: name(variable),
        result: of,
    }));
    let some = if macro_name == "optMap" { call("optional.of", vec![bound]) } else { bound };
    call("_?_:_", vec![method("hasValue"), some, call("optional.none", Vec::new())])
}
