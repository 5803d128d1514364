// SPDX-License-Identifier: Apache-2.0
//! The type of an expression, by cel-go's own rules (checker/checker.go), and the checks that follow it: of literals, and of
//! lists and maps whose elements differ. What is not known here is for the compiler: no verdict is a guess.

use super::cel_constants;
use super::cel_functions;
use super::cel_syntax;
use super::cel_tokens::{self, CelToken};
use super::cel_tree::{CelFold, CelLiteral, CelNode};
use super::cel_types::{CelFault, CelType, Substitutions, most_general};
use crate::version::KubernetesMinor;

/// Names that are types or begin the names of messages: no undeclared variables.
const TYPE_NAMES: [&str; 22] = [
    "any",
    "bool",
    "bytes",
    "cel",
    "double",
    "duration",
    "dyn",
    "google",
    "int",
    "k8s",
    "kubernetes",
    "list",
    "map",
    "net",
    "null_type",
    "optional",
    "optional_type",
    "string",
    "timestamp",
    "type",
    "uint",
    "wrappers",
];

/// What an expression can see.
#[derive(Debug, Clone)]
pub(super) struct CelScope {
    /// The minor whose functions it may call.
    pub(super) minor: KubernetesMinor,
    /// Which of them are known.
    pub(super) functions: CelFunctions,
    /// Its variables; the name may have dots.
    pub(super) variables: Vec<(String, CelType)>,
    /// The object `variables` of a policy that has some: the fields that are known so far.
    pub(super) fields: Option<Vec<(String, Option<CelType>)>>,
}

/// The functions that are known of a minor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CelFunctions {
    /// All.
    All,
    /// Those that every minor with expressions has. A call of another one is for the compiler.
    Oldest,
}

/// The functions and macros that every minor has; operators are others.
const OLDEST: [&str; 13] = [
    "all",
    "contains",
    "endsWith",
    "exists",
    "exists_one",
    "filter",
    "has",
    "lowerAscii",
    "map",
    "size",
    "startsWith",
    "trim",
    "upperAscii",
];

/// The name of the object whose fields are a policy's own variables.
const COMPOSED: &str = "variables";

type Checked<T = CelType> = Result<T, CelFault>;

/// Returns the type of an expression.
pub(super) fn type_of(text: &str, scope: &CelScope) -> Checked {
    let node = cel_syntax::parse(text)?;
    if scope.functions == CelFunctions::Oldest && !is_of_oldest(text)? {
        return Err(CelFault::Unknown);
    }
    let mut checker =
        CelChecker { scope, locals: Vec::new(), known: Substitutions::default(), aggregates: Vec::new() };
    let found = checker.check(&node)?;
    checker.compare_elements()?;
    Ok(checker.known.apply(&found, true))
}

/// Tells whether an expression calls only functions that every minor has, and has no syntax of optional values.
fn is_of_oldest(text: &str) -> Checked<bool> {
    let tokens = cel_tokens::tokens(text)?;
    let is_known = |pair: &[CelToken]| match pair {
        [CelToken::Name(name), CelToken::Sign("(")] => name == "in" || OLDEST.contains(&name.as_str()),
        [CelToken::Sign("." | "[" | "{" | ","), CelToken::Sign("?")] => false,
        _ => true,
    };
    Ok(tokens.windows(2).all(is_known))
}

struct CelChecker<'a> {
    scope: &'a CelScope,
    locals: Vec<(String, CelType)>,
    known: Substitutions,
    /// The elements of each list, and the keys and values of each map.
    aggregates: Vec<Vec<CelType>>,
}

fn fails<T>(message: String) -> Checked<T> {
    Err(CelFault::Fails(message))
}

fn undeclared<T>(name: &str) -> Checked<T> {
    fails(format!("undeclared reference to '{}' (in container '')", name.trim_start_matches('.')))
}

/// Returns the names of a path of fields, `a.b.c`.
fn path_of(node: &CelNode) -> Option<String> {
    match node {
        CelNode::Name(name) => Some(name.clone()),
        CelNode::Select(of, field) => Some(format!("{}.{field}", path_of(of)?)),
        _ => None,
    }
}

impl CelChecker<'_> {
    fn check(&mut self, node: &CelNode) -> Checked {
        match node {
            CelNode::Literal(literal) => Ok(literal_type(literal)),
            CelNode::Name(name) => self.name(name),
            CelNode::Select(of, field) => self.select(node, of, field),
            CelNode::Has(of, field) => {
                self.field_of(of, field, false)?;
                Ok(CelType::bool())
            }
            CelNode::SelectOptional(of, field) => self.field_of(of, field, true),
            CelNode::Call { target, name, arguments } => self.call(target.as_deref(), name, arguments),
            CelNode::List(items) => self.list(items),
            CelNode::Map(pairs) => self.map(pairs),
            CelNode::Message(name) => {
                match TYPE_NAMES.contains(&name.split('.').next().unwrap_or_default()) {
                    true => Err(CelFault::Unknown),
                    false => undeclared(name),
                }
            }
            CelNode::Fold(fold) => self.fold(fold),
        }
    }

    fn local(&self, name: &str) -> Option<&CelType> {
        self.locals.iter().rev().find(|(known, _)| known == name).map(|(_, of)| of)
    }

    fn global(&self, name: &str) -> Option<CelType> {
        if name == COMPOSED && self.scope.fields.is_some() {
            return Some(CelType::Simple(COMPOSED.to_owned()));
        }
        self.scope.variables.iter().find(|(known, _)| known == name).map(|(_, of)| of.clone())
    }

    fn name(&self, name: &str) -> Checked {
        if let Some(found) = self.local(name) {
            return Ok(found.clone());
        }
        let bare = name.trim_start_matches('.');
        match self.global(bare) {
            Some(found) => Ok(found),
            None if TYPE_NAMES.contains(&bare) => Err(CelFault::Unknown),
            None => undeclared(name),
        }
    }

    fn select(&mut self, node: &CelNode, of: &CelNode, field: &str) -> Checked {
        if let Some(path) = path_of(node) {
            let first = path.split('.').next().unwrap_or_default();
            let is_local = self.local(first).is_some();
            let path = path.trim_start_matches('.');
            if let Some(found) = self.global(path) {
                // Minors differ in which of the two counts.
                return if is_local { Err(CelFault::Unknown) } else { Ok(found) };
            }
            let first = path.split('.').next().unwrap_or_default();
            if !is_local && self.global(first).is_none() && TYPE_NAMES.contains(&first) {
                return Err(CelFault::Unknown);
            }
        }
        let found = self.field_of(of, field, false)?;
        Ok(self.known.apply(&found, false))
    }

    fn field_of(&mut self, of: &CelNode, field: &str, is_optional: bool) -> Checked {
        let operand = self.check(of)?;
        let operand = self.known.apply(&operand, false);
        let (target, was_optional) = operand.unwrapped();
        let found = match target {
            CelType::Of(name, inner) if name == "map" => inner[1].clone(),
            CelType::Simple(name) if name == COMPOSED => self.composed(field)?,
            CelType::Object(object) => match object.fields.iter().find(|(known, _)| *known == field) {
                None => return fails(format!("undefined field '{field}'")),
                Some((_, None)) => return Err(CelFault::Unknown),
                Some((_, Some(of))) => of.cel_type(),
            },
            CelType::Free(_) => {
                self.known.is_assignable(&CelType::Dyn, target);
                CelType::Dyn
            }
            CelType::Dyn => CelType::Dyn,
            // An object whose fields are not known here may have some; those of Kubernetes have none.
            other => return fails(format!("type '{other}' does not support field selection")),
        };
        Ok(if is_optional || was_optional { CelType::optional(found) } else { found })
    }

    fn composed(&self, field: &str) -> Checked {
        let fields = self.scope.fields.as_deref().unwrap_or_default();
        match fields.iter().rev().find(|(known, _)| known == field) {
            Some((_, of)) => of.clone().ok_or(CelFault::Unknown),
            None => fails(format!("undefined field '{field}'")),
        }
    }

    fn call(&mut self, target: Option<&CelNode>, name: &str, arguments: &[CelNode]) -> Checked {
        let mut types = arguments.iter().map(|one| self.check(one)).collect::<Checked<Vec<_>>>()?;
        let qualified = target.and_then(path_of).map(|path| format!("{path}.{name}"));
        let as_function = qualified.filter(|name| cel_functions::overloads(name, self.scope.minor).is_some());
        let (function, is_method) = match (&as_function, target) {
            (Some(qualified), _) => (qualified.as_str(), false),
            (None, None) => (name.trim_start_matches('.'), false),
            (None, Some(target)) => {
                let of_target = self.check(target)?;
                types.insert(0, of_target);
                (name, true)
            }
        };
        if ["_&&_", "_||_"].contains(&function) {
            for of in &types {
                if !self.known.is_assignable(of, &CelType::bool()) {
                    return fails(format!("expected type 'bool' but found '{}'", self.known.apply(of, true)));
                }
            }
            return Ok(CelType::bool());
        }
        let found = self.resolve(function, is_method, &types)?;
        cel_constants::check(function, target.filter(|_| is_method), arguments)?;
        Ok(found)
    }

    /// Finds the overloads that fit.
    fn resolve(&mut self, function: &str, is_method: bool, types: &[CelType]) -> Checked {
        let Some(overloads) = cel_functions::overloads(function, self.scope.minor) else {
            return undeclared(function);
        };
        let mut result: Option<CelType> = None;
        for overload in overloads.into_iter().filter(|overload| overload.is_method == is_method) {
            let signature: Vec<&CelType> = overload.arguments.iter().chain([&overload.result]).collect();
            let mut signature = self.known.instantiate(&signature);
            let Some(made) = signature.pop() else { continue };
            if self.known.are_assignable(types, &signature) {
                let made = self.known.apply(&made, false);
                result = Some(match result {
                    None => made,
                    Some(earlier) if earlier == CelType::Dyn || earlier == made => earlier,
                    Some(_) => CelType::Dyn,
                });
            }
        }
        result.map_or_else(
            || {
                let types: Vec<String> =
                    types.iter().map(|of| self.known.apply(of, true).to_string()).collect();
                fails(format!(
                    "found no matching overload for '{function}' applied to '({})'",
                    types.join(", ")
                ))
            },
            Ok,
        )
    }

    /// Returns the type that two elements have in common.
    fn join(&mut self, earlier: Option<CelType>, of: CelType) -> Checked {
        let Some(earlier) = earlier else { return Ok(of) };
        if self.known.is_assignable(&earlier, &of) {
            return Ok(most_general(earlier, of));
        }
        fails(format!("expected type '{earlier}' but found '{of}'"))
    }

    fn list(&mut self, items: &[(bool, CelNode)]) -> Checked {
        let mut common = None;
        let mut types = Vec::new();
        for (is_optional, item) in items {
            let of = self.check(item)?;
            let of = unwrap_element(of, *is_optional)?;
            types.push(of.clone());
            common = Some(self.join(common, of)?);
        }
        self.aggregates.push(types);
        let item = common.unwrap_or_else(|| self.known.free());
        Ok(CelType::list(item))
    }

    fn map(&mut self, pairs: &[(bool, CelNode, CelNode)]) -> Checked {
        let (mut key, mut value) = (None, None);
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        for (is_optional, of_key, of_value) in pairs {
            let found = self.check(of_key)?;
            keys.push(found.clone());
            key = Some(self.join(key, found)?);
            let found = self.check(of_value)?;
            let found = unwrap_element(found, *is_optional)?;
            values.push(found.clone());
            value = Some(self.join(value, found)?);
        }
        self.aggregates.extend([keys, values]);
        let key = key.unwrap_or_else(|| self.known.free());
        let value = value.unwrap_or_else(|| self.known.free());
        Ok(CelType::map(key, value))
    }

    fn fold(&mut self, fold: &CelFold) -> Checked {
        let range = self.check(&fold.range)?;
        let begin = self.check(&fold.begin)?;
        let range = self.known.apply(&range, false);
        let has_second = fold.second.is_some();
        let int = || CelType::Simple("int".to_owned());
        let (first, second) = match &range {
            CelType::Of(name, inner) if name == "list" && has_second => (int(), inner[0].clone()),
            CelType::Of(name, inner) if name == "list" => (inner[0].clone(), CelType::Dyn),
            CelType::Of(name, inner) if name == "map" => (inner[0].clone(), inner[1].clone()),
            CelType::Dyn => (CelType::Dyn, CelType::Dyn),
            CelType::Free(_) => {
                self.known.is_assignable(&CelType::Dyn, &range);
                (CelType::Dyn, CelType::Dyn)
            }
            other => {
                return fails(format!(
                    "expression of type '{other}' cannot be range of a comprehension (must be list, map, or dynamic)"
                ));
            }
        };
        let depth = self.locals.len();
        self.locals.push((fold.result_name.clone(), begin.clone()));
        self.locals.push((fold.variable.clone(), first));
        self.locals.extend(fold.second.clone().map(|name| (name, second)));
        let step = self.check(&fold.step)?;
        if !self.known.is_assignable(&begin, &step) {
            return fails(format!("expected type '{begin}' but found '{step}'"));
        }
        self.locals.truncate(depth + 1);
        let result = self.check(&fold.result)?;
        self.locals.truncate(depth);
        Ok(self.known.apply(&result, false))
    }

    /// Checks that the elements of each list and map have one type (`ValidateHomogeneousAggregateLiterals`).
    fn compare_elements(&self) -> Checked<()> {
        for types in &self.aggregates {
            let types: Vec<CelType> = types.iter().map(|of| self.known.apply(of, true)).collect();
            let differs =
                types.first().and_then(|first| types.iter().find(|of| *of != first).map(|of| (first, of)));
            if let Some((first, of)) = differs {
                // Older minors do not compare them.
                if self.scope.functions == CelFunctions::Oldest {
                    return Err(CelFault::Unknown);
                }
                return fails(format!("expected type '{first}' but found '{of}'"));
            }
        }
        Ok(())
    }
}

/// Returns the type of an element, within an optional if it is said to be one.
fn unwrap_element(of: CelType, is_optional: bool) -> Checked {
    match (is_optional, of.unwrapped()) {
        (false, _) => Ok(of),
        (true, (inner, true)) => Ok(inner.clone()),
        // The checks that follow do not expect it.
        (true, _) => Err(CelFault::Unknown),
    }
}

fn literal_type(literal: &CelLiteral) -> CelType {
    let name = match literal {
        CelLiteral::Null => return CelType::Null,
        CelLiteral::Bool => "bool",
        CelLiteral::Int(_) => "int",
        CelLiteral::Uint(_) => "uint",
        CelLiteral::Double(_) => "double",
        CelLiteral::Text(_) => "string",
        CelLiteral::Bytes => "bytes",
    };
    CelType::Simple(name.to_owned())
}
