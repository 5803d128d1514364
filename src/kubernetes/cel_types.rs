// SPDX-License-Identifier: Apache-2.0
//! The types of CEL's expressions, and which can stand for which (checker/types.go of cel-go).

use std::collections::HashMap;

/// The type of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CelType {
    /// Any type: that of an object of the cluster, or of a claim.
    Dyn,
    Null,
    /// A simple type, or an object without fields that are known: `bool`, `google.protobuf.Duration`.
    Simple(String),
    /// A type of others, such as `list`, `map` and `optional_type`.
    Of(String, Vec<CelType>),
    /// An object with these fields.
    Object(&'static CelObject),
    /// The parameter of a function's signature.
    Parameter(String),
    /// A type that is not known yet.
    Free(usize),
}

/// An object with fields.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CelObject {
    pub(super) name: &'static str,
    /// The fields; none for the type of a field that not every API server has.
    pub(super) fields: &'static [(&'static str, Option<FieldType>)],
}

/// The type of an object's field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldType {
    Dyn,
    Simple(&'static str),
    Texts,
    /// Texts by text.
    TextMap,
    Extra,
    Object(&'static CelObject),
    Objects(&'static CelObject),
}

/// Why an expression has no type here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CelFault {
    /// It does not compile.
    Fails(String),
    /// It compiles, and no program can be made of it.
    NoProgram(String),
    /// Only the compiler knows.
    Unknown,
}

impl FieldType {
    pub(super) fn cel_type(self) -> CelType {
        let texts = || CelType::list(CelType::text());
        match self {
            Self::Dyn => CelType::Dyn,
            Self::Simple(name) => CelType::Simple(name.to_owned()),
            Self::Texts => texts(),
            Self::TextMap => CelType::map(CelType::text(), CelType::text()),
            Self::Extra => CelType::map(CelType::text(), texts()),
            Self::Object(object) => CelType::Object(object),
            Self::Objects(object) => CelType::list(CelType::Object(object)),
        }
    }
}

impl CelType {
    pub(super) fn named(name: &str, inner: Vec<Self>) -> Self {
        match (name, inner.is_empty()) {
            ("dyn", _) => Self::Dyn,
            ("null_type", _) => Self::Null,
            (name, true) => Self::Simple(name.to_owned()),
            (name, false) => Self::Of(name.to_owned(), inner),
        }
    }

    pub(super) fn text() -> Self {
        Self::Simple("string".to_owned())
    }

    pub(super) fn bool() -> Self {
        Self::Simple("bool".to_owned())
    }

    pub(super) fn list(item: Self) -> Self {
        Self::Of("list".to_owned(), vec![item])
    }

    pub(super) fn map(key: Self, value: Self) -> Self {
        Self::Of("map".to_owned(), vec![key, value])
    }

    pub(super) fn optional(of: Self) -> Self {
        Self::Of("optional_type".to_owned(), vec![of])
    }

    /// Returns the type within an optional, and whether it is one.
    pub(super) fn unwrapped(&self) -> (&Self, bool) {
        match self {
            Self::Of(name, inner) if name == "optional_type" => (&inner[0], true),
            other => (other, false),
        }
    }

    /// Returns what is within it.
    fn inner(&self) -> &[Self] {
        match self {
            Self::Of(_, inner) => inner,
            _ => &[],
        }
    }

    /// Tells whether it is the type of a type; any fits any other.
    fn is_type(&self) -> bool {
        matches!(self, Self::Simple(name) | Self::Of(name, _) if name == "type")
    }

    /// Tells whether null may stand for it.
    fn is_nullable(&self) -> bool {
        const NOT: [&str; 7] = ["bool", "bytes", "double", "int", "string", "type", "uint"];
        match self {
            Self::Simple(name) => !NOT.contains(&name.as_str()),
            Self::Of(name, _) => !["list", "map", "type"].contains(&name.as_str()),
            Self::Object(_) | Self::Null => true,
            Self::Dyn | Self::Parameter(_) | Self::Free(_) => false,
        }
    }
}

impl std::fmt::Display for CelType {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Dyn | Self::Free(_) => out.write_str("dyn"),
            Self::Null => out.write_str("null_type"),
            Self::Simple(name) => out.write_str(name),
            Self::Of(name, inner) => {
                let inner: Vec<String> = inner.iter().map(ToString::to_string).collect();
                write!(out, "{name}({})", inner.join(", "))
            }
            Self::Object(object) => out.write_str(object.name),
            Self::Parameter(name) => write!(out, "<{name}>"),
        }
    }
}

/// What free types stand for.
#[derive(Debug, Clone, Default)]
pub(super) struct Substitutions {
    known: HashMap<usize, CelType>,
    next: usize,
}

impl Substitutions {
    /// Returns a type that is not known yet.
    pub(super) fn free(&mut self) -> CelType {
        self.next += 1;
        CelType::Free(self.next - 1)
    }

    /// Returns the types of a signature, with free types for its parameters.
    pub(super) fn instantiate(&mut self, types: &[&CelType]) -> Vec<CelType> {
        let mut parameters = HashMap::new();
        types.iter().map(|of| self.instance(of, &mut parameters)).collect()
    }

    fn instance(&mut self, of: &CelType, parameters: &mut HashMap<String, CelType>) -> CelType {
        match of {
            CelType::Parameter(name) => {
                if let Some(known) = parameters.get(name) {
                    return known.clone();
                }
                let free = self.free();
                parameters.insert(name.clone(), free.clone());
                free
            }
            CelType::Of(name, inner) => {
                let inner = inner.iter().map(|one| self.instance(one, parameters)).collect();
                CelType::Of(name.clone(), inner)
            }
            other => other.clone(),
        }
    }

    /// Writes what is known into a type; what is not is any type if `is_final`.
    pub(super) fn apply(&self, of: &CelType, is_final: bool) -> CelType {
        match of {
            CelType::Free(number) => match self.known.get(number) {
                Some(known) => self.apply(known, is_final),
                None if is_final => CelType::Dyn,
                None => of.clone(),
            },
            CelType::Of(name, inner) => {
                let inner = inner.iter().map(|one| self.apply(one, is_final)).collect();
                CelType::Of(name.clone(), inner)
            }
            other => other.clone(),
        }
    }

    /// Tells whether one type can stand for another; if so, what that says of free types is kept.
    pub(super) fn is_assignable(&mut self, one: &CelType, other: &CelType) -> bool {
        self.are_assignable(std::slice::from_ref(one), std::slice::from_ref(other))
    }

    /// The same of each pair of two lists.
    pub(super) fn are_assignable(&mut self, ones: &[CelType], others: &[CelType]) -> bool {
        let mut copy = self.clone();
        let fits = copy.fit_all(ones, others);
        if fits {
            *self = copy;
        }
        fits
    }

    fn fit_all(&mut self, ones: &[CelType], others: &[CelType]) -> bool {
        ones.len() == others.len() && ones.iter().zip(others).all(|(one, other)| self.fits(one, other))
    }

    fn fits(&mut self, one: &CelType, other: &CelType) -> bool {
        if let CelType::Free(number) = other {
            let (is_valid, is_known) = self.stands_for(one, *number);
            if is_valid {
                return true;
            }
            if is_known {
                return false;
            }
        }
        if let CelType::Free(number) = one {
            return self.stands_for(other, *number).0;
        }
        match (one, other) {
            (CelType::Dyn, _) | (_, CelType::Dyn) => true,
            (one, other) if one.is_type() && other.is_type() => true,
            (CelType::Null, other) | (other, CelType::Null) => other.is_nullable(),
            (CelType::Of(name, inner), CelType::Of(other_name, other_inner)) => {
                name == other_name && self.fit_all(inner, other_inner)
            }
            (one, other) => one == other,
        }
    }

    /// Tells whether a type can stand for a free one, and whether that one is known already.
    fn stands_for(&mut self, one: &CelType, free: usize) -> (bool, bool) {
        if *one == CelType::Free(free) {
            return (true, true);
        }
        if let Some(known) = self.known.get(&free).cloned() {
            if *one == known {
                return (true, true);
            }
            if !self.fits(one, &known) {
                return (false, true);
            }
            let general = if is_less_specific(one, &known) { one.clone() } else { known };
            if !self.is_within(free, &general) {
                self.known.insert(free, general);
            }
            return (true, true);
        }
        let is_new = !self.is_within(free, one);
        if is_new {
            self.known.insert(free, one.clone());
        }
        (is_new, false)
    }

    /// Tells whether a free type is a part of another.
    fn is_within(&self, free: usize, of: &CelType) -> bool {
        match of {
            CelType::Free(number) if *number == free => true,
            CelType::Free(number) => self.known.get(number).is_some_and(|known| self.is_within(free, known)),
            other => other.inner().iter().any(|inner| self.is_within(free, inner)),
        }
    }
}

/// Tells whether a type is the same as another, or has `dyn` where that one says more.
fn is_less_specific(one: &CelType, other: &CelType) -> bool {
    match (one, other) {
        (CelType::Dyn | CelType::Free(_), _) => true,
        (_, CelType::Dyn | CelType::Free(_)) => false,
        (one, other) if one.is_type() && other.is_type() => true,
        (CelType::Of(name, inner), CelType::Of(other_name, other_inner)) => {
            let fit = || inner.iter().zip(other_inner).all(|(one, other)| is_less_specific(one, other));
            name == other_name && inner.len() == other_inner.len() && fit()
        }
        (one, other) => one == other,
    }
}

/// The more general of two types that fit.
pub(super) fn most_general(one: CelType, other: CelType) -> CelType {
    if is_less_specific(&one, &other) { one } else { other }
}
