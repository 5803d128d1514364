// SPDX-License-Identifier: Apache-2.0
//! The grammar of CEL: an expression as a tree, with its macros written out (parser/gen/CEL.g4 and parser/parser.go of
//! cel-go).

use super::cel_functions;
use super::cel_macros;
use super::cel_tokens::{self, CelText, CelToken};
use super::cel_tree::{CelLiteral, CelNode, call};
use super::cel_types::CelFault;

/// Deepest nesting that is read; the compiler's own limit is 250.
const MAX_DEPTH: usize = 60;
/// Longest chain that is read, such as `a.b.c` or `1 + 2 + 3`, with the chains around it; for the compiler each link is one
/// level deeper.
const MAX_LINKS: usize = 250 - MAX_DEPTH - 10;
/// Longest expression that is read, in letters; the compiler's own limit is 100 000.
const MAX_LETTERS: usize = 20_000;
/// Names that no variable and no function may have.
const RESERVED: [&str; 17] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "namespace",
    "package",
    "return",
    "var",
    "void",
    "while",
];
/// Words that are no names.
const WORDS: [&str; 4] = ["false", "in", "null", "true"];

/// Tells whether a text may be the name of a variable.
pub(super) fn is_identifier(text: &str) -> bool {
    let is_word = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let begins = text.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
    is_word && begins && !RESERVED.contains(&text) && !WORDS.contains(&text)
}

/// Reads an expression.
pub(super) fn parse(text: &str) -> Result<CelNode, CelFault> {
    if text.chars().count() > MAX_LETTERS {
        return Err(CelFault::Unknown);
    }
    let tokens = cel_tokens::tokens(text)?;
    let mut parser = CelParser { tokens, at: 0, depth: 0, links: 0 };
    let found = parser.expression()?;
    if parser.at < parser.tokens.len() { Err(parser.mismatched()) } else { Ok(found) }
}

struct CelParser {
    tokens: Vec<CelToken>,
    at: usize,
    depth: usize,
    /// The links of the chains that are being read.
    links: usize,
}

type Parsed<T = CelNode> = Result<T, CelFault>;

impl CelParser {
    fn mismatched(&self) -> CelFault {
        let what = match self.tokens.get(self.at) {
            None => "<EOF>",
            Some(CelToken::Name(name)) => name,
            Some(CelToken::Sign(sign)) => sign,
            Some(CelToken::Text(_) | CelToken::Bytes) => "a text",
            Some(_) => "a number",
        };
        CelFault::Fails(format!("Syntax error: mismatched input '{what}'"))
    }

    fn is_sign(&self, at: usize, wanted: &str) -> bool {
        matches!(self.tokens.get(at), Some(CelToken::Sign(sign)) if *sign == wanted)
    }

    fn take(&mut self, wanted: &[&'static str]) -> Option<&'static str> {
        let Some(CelToken::Sign(sign)) = self.tokens.get(self.at) else { return None };
        let sign = *sign;
        wanted.contains(&sign).then(|| {
            self.at += 1;
            sign
        })
    }

    fn need(&mut self, sign: &'static str) -> Parsed<()> {
        self.take(&[sign]).map(|_| ()).ok_or_else(|| self.mismatched())
    }

    /// Takes a name that is no word of the grammar.
    fn name(&mut self) -> Parsed<String> {
        match self.tokens.get(self.at) {
            Some(CelToken::Name(name)) if !WORDS.contains(&name.as_str()) => {
                let name = name.clone();
                self.at += 1;
                Ok(name)
            }
            _ => Err(self.mismatched()),
        }
    }

    fn expression(&mut self) -> Parsed {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(CelFault::Unknown);
        }
        let mut found = self.either()?;
        if self.take(&["?"]).is_some() {
            let one = self.either()?;
            self.need(":")?;
            let other = self.expression()?;
            found = call("_?_:_", vec![found, one, other]);
        }
        self.depth -= 1;
        Ok(found)
    }

    fn either(&mut self) -> Parsed {
        let mut terms = vec![self.both()?];
        while self.take(&["||"]).is_some() {
            terms.push(self.both()?);
        }
        Ok(joined("_||_", terms))
    }

    fn both(&mut self) -> Parsed {
        let mut terms = vec![self.relation()?];
        while self.take(&["&&"]).is_some() {
            terms.push(self.relation()?);
        }
        Ok(joined("_&&_", terms))
    }

    /// Reads a chain.
    fn chain(&mut self, read: fn(&mut Self) -> Parsed) -> Parsed {
        let around = self.links;
        let found = read(self)?;
        self.links = around;
        Ok(found)
    }

    /// Counts a link of a chain.
    fn link(&mut self) -> Parsed<()> {
        self.links += 1;
        if self.links > MAX_LINKS { Err(CelFault::Unknown) } else { Ok(()) }
    }

    fn relation(&mut self) -> Parsed {
        self.chain(Self::relations)
    }

    fn relations(&mut self) -> Parsed {
        let mut found = self.sum()?;
        loop {
            self.link()?;
            let name = if let Some(sign) = self.take(&["==", "!=", "<=", ">=", "<", ">"]) {
                format!("_{sign}_")
            } else if self.tokens.get(self.at) == Some(&CelToken::Name("in".to_owned())) {
                self.at += 1;
                "@in".to_owned()
            } else {
                return Ok(found);
            };
            let other = self.sum()?;
            found = call(&name, vec![found, other]);
        }
    }

    fn sum(&mut self) -> Parsed {
        self.chain(Self::sums)
    }

    fn sums(&mut self) -> Parsed {
        let mut found = self.product()?;
        while let Some(sign) = self.take(&["+", "-"]) {
            self.link()?;
            let other = self.product()?;
            found = call(&format!("_{sign}_"), vec![found, other]);
        }
        Ok(found)
    }

    fn product(&mut self) -> Parsed {
        self.chain(Self::products)
    }

    fn products(&mut self) -> Parsed {
        let mut found = self.unary()?;
        while let Some(sign) = self.take(&["*", "/", "%"]) {
            self.link()?;
            let other = self.unary()?;
            found = call(&format!("_{sign}_"), vec![found, other]);
        }
        Ok(found)
    }

    fn unary(&mut self) -> Parsed {
        for (sign, name) in [("!", "!_"), ("-", "-_")] {
            let begin = self.at;
            while self.take(&[sign]).is_some() {}
            let count = self.at - begin;
            if count == 0 {
                continue;
            }
            if (sign, count) == ("-", 1) && self.is_signed_number() {
                // The dash belongs to the number.
                self.at = begin;
                return self.member();
            }
            let found = self.member()?;
            // An even number of signs is taken away without a look at the type.
            return Ok(if count.is_multiple_of(2) { found } else { call(name, vec![found]) });
        }
        self.member()
    }

    /// Tells whether a number comes that may have a sign.
    fn is_signed_number(&self) -> bool {
        matches!(self.tokens.get(self.at), Some(CelToken::Int(_) | CelToken::Double(_)))
    }

    fn member(&mut self) -> Parsed {
        self.chain(Self::members)
    }

    fn members(&mut self) -> Parsed {
        let mut found = self.primary()?;
        loop {
            self.link()?;
            if self.take(&["."]).is_some() {
                let is_optional = self.take(&["?"]).is_some();
                let name = self.name()?;
                found = if is_optional {
                    CelNode::SelectOptional(Box::new(found), name)
                } else if self.take(&["("]).is_some() {
                    let arguments = self.arguments()?;
                    call_or_macro(Some(found), name, arguments)?
                } else {
                    CelNode::Select(Box::new(found), name)
                };
            } else if self.take(&["["]).is_some() {
                let name = if self.take(&["?"]).is_some() { "_[?_]" } else { "_[_]" };
                let index = self.expression()?;
                self.need("]")?;
                found = call(name, vec![found, index]);
            } else {
                return Ok(found);
            }
        }
    }

    fn primary(&mut self) -> Parsed {
        if self.take(&["-"]).is_some() {
            if !self.is_signed_number() {
                return Err(self.mismatched());
            }
            // One that is too large may still fit with its sign.
            return match self.tokens.get(self.at) {
                Some(CelToken::Int(None)) => Err(CelFault::Unknown),
                _ => Ok(negative(self.primary()?)),
            };
        }
        let dot = self.is_sign(self.at, ".");
        let token = self.tokens.get(self.at + usize::from(dot)).cloned();
        match token {
            Some(CelToken::Name(name)) if !WORDS.contains(&name.as_str()) => {
                self.at += usize::from(dot);
                return self.named(dot);
            }
            _ if dot => {
                self.at += 1;
                return Err(self.mismatched());
            }
            None => return Err(self.mismatched()),
            _ => {}
        }
        let literal = |literal| Ok(CelNode::Literal(literal));
        self.at += 1;
        match self.tokens[self.at - 1].clone() {
            CelToken::Int(Some(number)) => literal(CelLiteral::Int(number)),
            CelToken::Int(None) => Err(CelFault::Fails("Syntax error: invalid int literal".to_owned())),
            CelToken::Uint(number) => literal(CelLiteral::Uint(number)),
            CelToken::Double(number) if number.is_finite() => literal(CelLiteral::Double(number)),
            CelToken::Double(_) => Err(CelFault::Fails("Syntax error: invalid double literal".to_owned())),
            CelToken::Text(CelText::Known(text)) => literal(CelLiteral::Text(Some(text))),
            CelToken::Text(CelText::Escaped) => literal(CelLiteral::Text(None)),
            CelToken::Bytes => literal(CelLiteral::Bytes),
            CelToken::Name(name) if name == "null" => literal(CelLiteral::Null),
            CelToken::Name(name) if name != "in" => literal(CelLiteral::Bool),
            CelToken::Sign("(") => {
                let found = self.expression()?;
                self.need(")")?;
                Ok(found)
            }
            CelToken::Sign("[") => self.list(),
            CelToken::Sign("{") => self.map(),
            _ => {
                self.at -= 1;
                Err(self.mismatched())
            }
        }
    }

    /// Reads what begins with a name: it, a call, or a message of its type.
    fn named(&mut self, dot: bool) -> Parsed {
        let mut end = self.at + 1;
        while self.is_sign(end, ".") && matches!(self.tokens.get(end + 1), Some(CelToken::Name(_))) {
            end += 2;
        }
        if self.is_sign(end, "{") {
            let names = self.tokens[self.at..end].iter().filter_map(|token| match token {
                CelToken::Name(name) => Some(name.as_str()),
                _ => None,
            });
            let name = names.collect::<Vec<_>>().join(".");
            self.at = end + 1;
            return self.message(name);
        }
        let name = self.name()?;
        let is_reserved = RESERVED.contains(&name.as_str());
        let name = if dot { format!(".{name}") } else { name };
        let found = if self.take(&["("]).is_some() {
            let arguments = self.arguments()?;
            call_or_macro(None, name.clone(), arguments)?
        } else {
            CelNode::Name(name.clone())
        };
        match is_reserved {
            true => Err(CelFault::Fails(format!("Syntax error: reserved identifier: {name}"))),
            false => Ok(found),
        }
    }

    fn arguments(&mut self) -> Parsed<Vec<CelNode>> {
        let mut found = Vec::new();
        if self.take(&[")"]).is_some() {
            return Ok(found);
        }
        loop {
            found.push(self.expression()?);
            if self.take(&[","]).is_none() {
                self.need(")")?;
                return Ok(found);
            }
        }
    }

    fn list(&mut self) -> Parsed {
        let mut found = Vec::new();
        while !self.is_sign(self.at, "]") && !self.is_sign(self.at, ",") {
            let is_optional = self.take(&["?"]).is_some();
            found.push((is_optional, self.expression()?));
            if !self.is_sign(self.at, ",") || self.is_sign(self.at + 1, "]") {
                break;
            }
            self.at += 1;
            if self.is_sign(self.at, ",") {
                return Err(self.mismatched());
            }
        }
        self.take(&[","]);
        self.need("]")?;
        Ok(CelNode::List(found))
    }

    fn map(&mut self) -> Parsed {
        let mut found = Vec::new();
        while !self.is_sign(self.at, "}") && !self.is_sign(self.at, ",") {
            let is_optional = self.take(&["?"]).is_some();
            let key = self.expression()?;
            self.need(":")?;
            found.push((is_optional, key, self.expression()?));
            if !self.is_sign(self.at, ",") || self.is_sign(self.at + 1, "}") {
                break;
            }
            self.at += 1;
            if self.is_sign(self.at, ",") {
                return Err(self.mismatched());
            }
        }
        self.take(&[","]);
        self.need("}")?;
        Ok(CelNode::Map(found))
    }

    /// Reads the fields of a message, which are not judged.
    fn message(&mut self, name: String) -> Parsed {
        while !self.is_sign(self.at, "}") && !self.is_sign(self.at, ",") {
            self.take(&["?"]);
            self.name()?;
            self.need(":")?;
            self.expression()?;
            if !self.is_sign(self.at, ",") || self.is_sign(self.at + 1, "}") {
                break;
            }
            self.at += 1;
        }
        self.take(&[","]);
        self.need("}")?;
        Ok(CelNode::Message(name))
    }
}

fn joined(name: &str, mut terms: Vec<CelNode>) -> CelNode {
    let one = if terms.len() == 1 { terms.pop() } else { None };
    one.unwrap_or_else(|| call(name, terms))
}

fn call_or_macro(target: Option<CelNode>, name: String, arguments: Vec<CelNode>) -> Parsed {
    if cel_functions::is_macro(&name, target.is_some(), arguments.len()) {
        return cel_macros::expand(target, &name, arguments);
    }
    Ok(CelNode::Call { target: target.map(Box::new), name, arguments })
}

/// Returns a number with its sign.
fn negative(node: CelNode) -> CelNode {
    match node {
        CelNode::Literal(CelLiteral::Int(number)) => CelNode::Literal(CelLiteral::Int(-number)),
        CelNode::Literal(CelLiteral::Double(number)) => CelNode::Literal(CelLiteral::Double(-number)),
        other => other,
    }
}
