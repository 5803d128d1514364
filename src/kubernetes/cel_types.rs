// SPDX-License-Identifier: Apache-2.0
//! The types of CEL's expressions, as far as variables, operators and a few functions of Kubernetes' environment tell them.
//! What is not known here is for the compiler: no verdict is a guess.
//!
//! Source: checker and parser of cel-go, and pkg/cel/environment of k8s.io/apiserver.

/// The type of an expression that compiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CelType {
    /// Any type: that of a claim.
    Dyn,
    /// One of the others; only the compiler knows which.
    Some,
    Bool,
    Text,
    Int,
    List(Box<CelType>),
    /// A map from texts.
    Map(Box<CelType>),
    /// An object with these fields; none for the type of a field that not every API server has.
    Object(&'static [(&'static str, Option<FieldType>)]),
}

/// The type of an object's field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldType {
    Text,
    Texts,
    Extra,
    Object(&'static [(&'static str, Option<FieldType>)]),
}

/// Why an expression has no type here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CelFault {
    /// It does not compile.
    Fails(String),
    /// Only the compiler knows.
    Unknown,
}

type Typed<T = CelType> = Result<T, CelFault>;

/// Names that are types or begin the names of functions: no undeclared variables.
const OTHER_NAMES: [&str; 30] = [
    "base64",
    "bool",
    "bytes",
    "cel",
    "cidr",
    "double",
    "duration",
    "dyn",
    "format",
    "google",
    "int",
    "ip",
    "json",
    "k8s",
    "kubernetes",
    "list",
    "lists",
    "map",
    "math",
    "net",
    "null_type",
    "optional",
    "optional_type",
    "sets",
    "string",
    "strings",
    "timestamp",
    "type",
    "uint",
    "url",
];
/// Deepest nesting that is read.
const MAX_DEPTH: usize = 40;

#[derive(Debug, Clone, PartialEq, Eq)]
enum CelToken {
    Name(String),
    Int,
    Text(String),
    Sign(&'static str),
}

/// Signs, the longer ones first.
const SIGNS: [&str; 23] = [
    "&&", "||", "==", "!=", "<=", ">=", ".?", "[?", "(", ")", "[", "]", "{", "}", ".", ",", "?", ":", "!",
    "<", ">", "+", "-",
];

/// Returns the type of an expression with one variable.
pub(super) fn type_of(text: &str, variable: (&str, &CelType)) -> Typed {
    let mut reader = CelReader { tokens: tokens(text)?, at: 0, depth: 0, variables: Vec::new() };
    reader.variables.push((variable.0.to_owned(), variable.1.clone()));
    let found = reader.expression()?;
    match reader.tokens.get(reader.at) {
        None => Ok(found),
        Some(CelToken::Name(name)) => Err(extraneous(name)),
        Some(CelToken::Text(_)) => Err(extraneous("a text")),
        Some(CelToken::Int) => Err(extraneous("a number")),
        Some(_) => Err(CelFault::Unknown),
    }
}

fn extraneous(what: &str) -> CelFault {
    CelFault::Fails(format!("Syntax error: mismatched input: {what} follows a whole expression"))
}

fn tokens(text: &str) -> Typed<Vec<CelToken>> {
    let mut found = Vec::new();
    let mut rest = text.trim_start_matches([' ', '\t', '\n', '\r']);
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    while let Some(first) = rest.chars().next() {
        let length = if first.is_ascii_alphabetic() || first == '_' {
            let length = rest.find(|letter| !is_word(letter)).unwrap_or(rest.len());
            // A prefix makes another kind of text.
            if rest[length..].starts_with(['"', '\'']) {
                return Err(CelFault::Unknown);
            }
            found.push(CelToken::Name(rest[..length].to_owned()));
            length
        } else if first.is_ascii_digit() {
            let length = rest.find(|letter| !is_word(letter) && letter != '.').unwrap_or(rest.len());
            let is_plain = rest[..length].parse::<i64>().is_ok() && (length == 1 || first != '0');
            if !is_plain {
                return Err(CelFault::Unknown);
            }
            found.push(CelToken::Int);
            length
        } else if matches!(first, '"' | '\'') {
            let Some(length) = rest[1..].find(first) else { return Err(CelFault::Unknown) };
            let content = &rest[1..=length];
            if content.contains(['\\', '\n', '\r']) || rest[length + 2..].starts_with(first) {
                return Err(CelFault::Unknown);
            }
            found.push(CelToken::Text(content.to_owned()));
            length + 2
        } else {
            let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign)).ok_or(CelFault::Unknown)?;
            found.push(CelToken::Sign(sign));
            sign.len()
        };
        rest = rest[length..].trim_start_matches([' ', '\t', '\n', '\r']);
    }
    Ok(found)
}

struct CelReader {
    tokens: Vec<CelToken>,
    at: usize,
    depth: usize,
    variables: Vec<(String, CelType)>,
}

fn no_overload(sign: &str) -> CelFault {
    CelFault::Fails(format!("found no matching overload for '{sign}'"))
}

/// A condition: `Fails` only for a type that is surely none.
fn need_bool(found: &CelType, sign: &str) -> Typed<()> {
    match found {
        CelType::Bool | CelType::Dyn => Ok(()),
        CelType::Text | CelType::Int => Err(no_overload(sign)),
        _ => Err(CelFault::Unknown),
    }
}

/// Compares two types that have to be the same one.
fn need_same(one: &CelType, other: &CelType, sign: &str) -> Typed<()> {
    let is_simple = |of: &CelType| matches!(of, CelType::Text | CelType::Int | CelType::Bool);
    match (one, other) {
        (CelType::Some, _) | (_, CelType::Some) => Err(CelFault::Unknown),
        (CelType::Dyn, _) | (_, CelType::Dyn) => Ok(()),
        _ if one == other => Ok(()),
        _ if is_simple(one) && is_simple(other) => Err(no_overload(sign)),
        _ => Err(CelFault::Unknown),
    }
}

impl CelReader {
    fn sign(&mut self, wanted: &[&'static str]) -> Option<&'static str> {
        let Some(CelToken::Sign(sign)) = self.tokens.get(self.at) else { return None };
        let sign = *sign;
        wanted.contains(&sign).then(|| {
            self.at += 1;
            sign
        })
    }

    fn need(&mut self, sign: &'static str) -> Typed<()> {
        self.sign(&[sign]).map(|_| ()).ok_or(CelFault::Unknown)
    }

    fn name(&mut self) -> Option<String> {
        let Some(CelToken::Name(name)) = self.tokens.get(self.at) else { return None };
        let name = name.clone();
        self.at += 1;
        Some(name)
    }

    fn expression(&mut self) -> Typed {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(CelFault::Unknown);
        }
        let found = self.either()?;
        let found = if self.sign(&["?"]).is_some() {
            let one = self.either()?;
            self.need(":")?;
            let other = self.expression()?;
            need_bool(&found, "_?_:_")?;
            match one == other {
                true => one,
                false if one == CelType::Dyn || other == CelType::Dyn => CelType::Some,
                false => return Err(CelFault::Unknown),
            }
        } else {
            found
        };
        self.depth -= 1;
        Ok(found)
    }

    fn either(&mut self) -> Typed {
        let mut found = self.both()?;
        while self.sign(&["||"]).is_some() {
            let other = self.both()?;
            need_bool(&found, "_||_")?;
            need_bool(&other, "_||_")?;
            found = CelType::Bool;
        }
        Ok(found)
    }

    fn both(&mut self) -> Typed {
        let mut found = self.relation()?;
        while self.sign(&["&&"]).is_some() {
            let other = self.relation()?;
            need_bool(&found, "_&&_")?;
            need_bool(&other, "_&&_")?;
            found = CelType::Bool;
        }
        Ok(found)
    }

    fn relation(&mut self) -> Typed {
        let mut found = self.sum()?;
        loop {
            if let Some(sign) = self.sign(&["==", "!="]) {
                let other = self.sum()?;
                need_same(&found, &other, sign)?;
            } else if let Some(sign) = self.sign(&["<", "<=", ">", ">="]) {
                let other = self.sum()?;
                need_same(&found, &other, sign)?;
                let is_ordered = |of: &CelType| matches!(of, CelType::Text | CelType::Int | CelType::Dyn);
                if !is_ordered(&found) || !is_ordered(&other) {
                    return Err(CelFault::Unknown);
                }
            } else if self.tokens.get(self.at) == Some(&CelToken::Name("in".to_owned())) {
                self.at += 1;
                match self.sum()? {
                    CelType::Dyn => {}
                    CelType::List(item) => need_same(&found, &item, "in")?,
                    CelType::Map(_) => need_same(&found, &CelType::Text, "in")?,
                    CelType::Text | CelType::Int | CelType::Bool => return Err(no_overload("@in")),
                    CelType::Some | CelType::Object(_) => return Err(CelFault::Unknown),
                }
            } else {
                return Ok(found);
            }
            found = CelType::Bool;
        }
    }

    fn sum(&mut self) -> Typed {
        let mut found = self.unary()?;
        while let Some(sign) = self.sign(&["+", "-"]) {
            let other = self.unary()?;
            found = match (&found, &other) {
                (CelType::Int, CelType::Int) => CelType::Int,
                (CelType::Text, CelType::Text) if sign == "+" => CelType::Text,
                (CelType::Text | CelType::Int | CelType::Bool, CelType::Bool)
                | (CelType::Bool, CelType::Text | CelType::Int)
                | (CelType::Text, CelType::Int)
                | (CelType::Int, CelType::Text) => return Err(no_overload(sign)),
                (CelType::Dyn | CelType::Some, CelType::Text | CelType::Int)
                | (CelType::Text | CelType::Int, CelType::Dyn | CelType::Some)
                | (CelType::Dyn, CelType::Dyn)
                    if sign == "+" && found != CelType::Some && other != CelType::Some =>
                {
                    CelType::Some
                }
                _ => return Err(CelFault::Unknown),
            };
        }
        Ok(found)
    }

    fn unary(&mut self) -> Typed {
        if self.sign(&["!"]).is_some() {
            let found = self.member()?;
            need_bool(&found, "!_")?;
            return Ok(CelType::Bool);
        }
        if self.sign(&["-"]).is_some() {
            return match self.member()? {
                CelType::Int => Ok(CelType::Int),
                CelType::Text | CelType::Bool => Err(no_overload("-_")),
                _ => Err(CelFault::Unknown),
            };
        }
        self.member()
    }

    fn member(&mut self) -> Typed {
        let mut found = self.primary()?;
        loop {
            if self.sign(&["."]).is_some() {
                let Some(name) = self.name() else {
                    return Err(match self.tokens.get(self.at) {
                        None => {
                            CelFault::Fails("Syntax error: no viable alternative at input '.'".to_owned())
                        }
                        Some(_) => CelFault::Unknown,
                    });
                };
                if ["false", "in", "null", "true"].contains(&name.as_str()) {
                    return Err(CelFault::Unknown);
                }
                found = if self.sign(&["("]).is_some() {
                    self.method(&found, &name)?
                } else {
                    field_of(&found, &name)?
                };
            } else if self.sign(&["["]).is_some() {
                let index = self.expression()?;
                self.need("]")?;
                found = match (found, index) {
                    (CelType::List(item), CelType::Int) => *item,
                    (CelType::Map(value), CelType::Text) => *value,
                    (CelType::Dyn, CelType::Text | CelType::Int) => CelType::Dyn,
                    _ => return Err(CelFault::Unknown),
                };
            } else {
                return Ok(found);
            }
        }
    }

    fn primary(&mut self) -> Typed {
        let Some(token) = self.tokens.get(self.at).cloned() else {
            return Err(CelFault::Fails("Syntax error: mismatched input '<EOF>'".to_owned()));
        };
        self.at += 1;
        match token {
            CelToken::Int => Ok(CelType::Int),
            CelToken::Text(_) => Ok(CelType::Text),
            CelToken::Sign("(") => {
                let found = self.expression()?;
                self.need(")")?;
                Ok(found)
            }
            CelToken::Sign("[") => self.list(),
            CelToken::Sign(_) => Err(CelFault::Unknown),
            CelToken::Name(name) => self.named(&name),
        }
    }

    fn list(&mut self) -> Typed {
        let first = self.expression()?;
        while self.sign(&[","]).is_some() {
            if self.expression()? != first {
                return Err(CelFault::Unknown);
            }
        }
        self.need("]")?;
        match first {
            CelType::Text | CelType::Int | CelType::Bool => Ok(CelType::List(Box::new(first))),
            _ => Err(CelFault::Unknown),
        }
    }

    fn named(&mut self, name: &str) -> Typed {
        if ["true", "false"].contains(&name) {
            return Ok(CelType::Bool);
        }
        if self.sign(&["("]).is_some() {
            return self.function(name);
        }
        if let Some((_, of)) = self.variables.iter().rev().find(|(known, _)| known == name) {
            return Ok(of.clone());
        }
        let is_other = ["in", "null"].contains(&name) || OTHER_NAMES.contains(&name);
        // A capital letter begins the name of a message.
        match is_other || name.starts_with(|first: char| first.is_ascii_uppercase()) {
            true => Err(CelFault::Unknown),
            false => Err(CelFault::Fails(format!("undeclared reference to '{name}' (in container '')"))),
        }
    }

    fn function(&mut self, name: &str) -> Typed {
        match name {
            "has" => {
                let begin = self.at;
                self.expression()?;
                let is_select = self.at >= begin + 3
                    && matches!(self.tokens.get(self.at - 1), Some(CelToken::Name(_)))
                    && self.tokens.get(self.at - 2) == Some(&CelToken::Sign("."));
                // The last of a longer expression may be a selection as well.
                let is_path = self.tokens[begin..self.at]
                    .iter()
                    .all(|token| matches!(token, CelToken::Name(_) | CelToken::Sign(".")));
                self.need(")")?;
                if is_select && is_path { Ok(CelType::Bool) } else { Err(CelFault::Unknown) }
            }
            "size" => {
                let of = self.expression()?;
                self.need(")")?;
                match of {
                    CelType::Text | CelType::List(_) | CelType::Map(_) | CelType::Dyn => Ok(CelType::Int),
                    CelType::Int | CelType::Bool => Err(no_overload("size")),
                    CelType::Some | CelType::Object(_) => Err(CelFault::Unknown),
                }
            }
            _ => Err(CelFault::Unknown),
        }
    }

    fn method(&mut self, of: &CelType, name: &str) -> Typed {
        match (name, of) {
            ("startsWith" | "endsWith" | "contains", CelType::Text | CelType::Dyn) => {
                let with = self.expression()?;
                self.need(")")?;
                if matches!(with, CelType::Text | CelType::Dyn) {
                    Ok(CelType::Bool)
                } else {
                    Err(CelFault::Unknown)
                }
            }
            ("size", CelType::Text | CelType::List(_) | CelType::Map(_)) => {
                self.need(")")?;
                Ok(CelType::Int)
            }
            ("lowerAscii" | "upperAscii" | "trim", CelType::Text) => {
                self.need(")")?;
                Ok(CelType::Text)
            }
            ("all" | "exists" | "exists_one", CelType::List(_) | CelType::Map(_) | CelType::Dyn) => {
                let item = match of {
                    CelType::List(item) => (**item).clone(),
                    CelType::Map(_) => CelType::Text,
                    _ => CelType::Dyn,
                };
                let Some(variable) = self.name() else { return Err(CelFault::Unknown) };
                self.need(",")?;
                if ["true", "false", "null", "in"].contains(&variable.as_str()) {
                    return Err(CelFault::Unknown);
                }
                self.variables.push((variable, item));
                let condition = self.expression()?;
                self.variables.pop();
                self.need(")")?;
                need_bool(&condition, "_&&_")?;
                Ok(CelType::Bool)
            }
            _ => Err(CelFault::Unknown),
        }
    }
}

fn field_of(of: &CelType, name: &str) -> Typed {
    match of {
        CelType::Dyn => Ok(CelType::Dyn),
        CelType::Map(value) => Ok((**value).clone()),
        CelType::Object(fields) => match fields.iter().find(|(known, _)| *known == name) {
            None => Err(CelFault::Fails(format!("undefined field '{name}'"))),
            Some((_, None)) => Err(CelFault::Unknown),
            Some((_, Some(of))) => Ok(of.of_value()),
        },
        CelType::Text | CelType::Int | CelType::Bool | CelType::List(_) => Err(CelFault::Fails(format!(
            "a value that is no object does not support field selection: '{name}'"
        ))),
        CelType::Some => Err(CelFault::Unknown),
    }
}

impl FieldType {
    fn of_value(self) -> CelType {
        let texts = || CelType::List(Box::new(CelType::Text));
        match self {
            Self::Text => CelType::Text,
            Self::Texts => texts(),
            Self::Extra => CelType::Map(Box::new(texts())),
            Self::Object(fields) => CelType::Object(fields),
        }
    }
}
