// SPDX-License-Identifier: Apache-2.0
//! An expression of CEL as a tree, with its macros written out.

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum CelNode {
    Literal(CelLiteral),
    /// A name; a dot before it says that it is no local one.
    Name(String),
    Select(Box<CelNode>, String),
    /// `has(a.b)`.
    Has(Box<CelNode>, String),
    /// `a.?b`.
    SelectOptional(Box<CelNode>, String),
    /// A call of a function, or of a method of a target. Operators are functions.
    Call {
        target: Option<Box<CelNode>>,
        name: String,
        arguments: Vec<CelNode>,
    },
    /// The elements, each with whether it is optional.
    List(Vec<(bool, CelNode)>),
    Map(Vec<(bool, CelNode, CelNode)>),
    /// A message of a type.
    Message(String),
    Fold(Box<CelFold>),
}

/// A literal.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum CelLiteral {
    Null,
    Bool,
    Int(i64),
    Uint(u64),
    Double(f64),
    /// A text; none if it has escapes.
    Text(Option<String>),
    Bytes,
}

/// What `all`, `map` and the like are written out as.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CelFold {
    pub(super) range: CelNode,
    pub(super) variable: String,
    pub(super) second: Option<String>,
    pub(super) result_name: String,
    pub(super) begin: CelNode,
    pub(super) step: CelNode,
    pub(super) result: CelNode,
}

/// Returns a call of a function.
pub(super) fn call(name: &str, arguments: Vec<CelNode>) -> CelNode {
    CelNode::Call { target: None, name: name.to_owned(), arguments }
}
