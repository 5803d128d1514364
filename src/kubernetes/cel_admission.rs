// SPDX-License-Identifier: Apache-2.0
//! The expressions of an admission policy, with what each may look at (pkg/admission/plugin/cel of k8s.io/apiserver).

use super::cel::{CelVerdict, TEXT, USER};
use super::cel_check::{self, CelFunctions, CelScope};
use super::cel_types::{CelFault, CelObject, CelType, FieldType};
use crate::version::KubernetesMinor;

const TIME: FieldType = FieldType::Simple("google.protobuf.Timestamp");
const INT: FieldType = FieldType::Simple("int");

/// `BuildRequestType` in compile.go.
static REQUEST: CelObject = CelObject {
    name: "kubernetes.AdmissionRequest",
    fields: &[
        ("kind", Some(FieldType::Object(&KIND))),
        ("resource", Some(FieldType::Object(&RESOURCE))),
        ("subResource", Some(TEXT)),
        ("requestKind", Some(FieldType::Object(&KIND))),
        ("requestResource", Some(FieldType::Object(&RESOURCE))),
        ("requestSubResource", Some(TEXT)),
        ("name", Some(TEXT)),
        ("namespace", Some(TEXT)),
        ("operation", Some(TEXT)),
        ("userInfo", Some(FieldType::Object(&USER))),
        ("dryRun", Some(FieldType::Simple("bool"))),
        ("options", Some(FieldType::Dyn)),
    ],
};
static KIND: CelObject = CelObject {
    name: "kubernetes.GroupVersionKind",
    fields: &[("group", Some(TEXT)), ("version", Some(TEXT)), ("kind", Some(TEXT))],
};
static RESOURCE: CelObject = CelObject {
    name: "kubernetes.GroupVersionResource",
    fields: &[("group", Some(TEXT)), ("version", Some(TEXT)), ("resource", Some(TEXT))],
};
/// `BuildNamespaceType` in compile.go.
static NAMESPACE: CelObject = CelObject {
    name: "kubernetes.Namespace",
    fields: &[
        ("metadata", Some(FieldType::Object(&NAMESPACE_METADATA))),
        ("spec", Some(FieldType::Object(&NAMESPACE_SPEC))),
        ("status", Some(FieldType::Object(&NAMESPACE_STATUS))),
    ],
};
static NAMESPACE_METADATA: CelObject = CelObject {
    name: "kubernetes.NamespaceMetadata",
    fields: &[
        ("name", Some(TEXT)),
        ("generateName", Some(TEXT)),
        ("namespace", Some(TEXT)),
        ("labels", Some(FieldType::TextMap)),
        ("annotations", Some(FieldType::TextMap)),
        ("UID", Some(TEXT)),
        ("creationTimestamp", Some(TIME)),
        ("deletionGracePeriodSeconds", Some(INT)),
        ("deletionTimestamp", Some(TIME)),
        ("generation", Some(INT)),
        ("resourceVersion", Some(TEXT)),
        ("finalizers", Some(FieldType::Texts)),
    ],
};
static NAMESPACE_SPEC: CelObject =
    CelObject { name: "kubernetes.NamespaceSpec", fields: &[("finalizers", Some(FieldType::Texts))] };
static NAMESPACE_STATUS: CelObject = CelObject {
    name: "kubernetes.NamespaceStatus",
    fields: &[("conditions", Some(FieldType::Objects(&NAMESPACE_CONDITION))), ("phase", Some(TEXT))],
};
static NAMESPACE_CONDITION: CelObject = CelObject {
    name: "kubernetes.NamespaceCondition",
    fields: &[
        ("status", Some(TEXT)),
        ("type", Some(TEXT)),
        ("lastTransitionTime", Some(TIME)),
        ("message", Some(TEXT)),
        ("reason", Some(TEXT)),
    ],
};
/// The types whose values a policy's variable keeps; another one is any type for what is compiled behind it.
const KEPT: [&str; 9] = [
    "bool",
    "bytes",
    "double",
    "google.protobuf.Duration",
    "int",
    "google.protobuf.Timestamp",
    "null_type",
    "string",
    "uint",
];

/// The expressions of a policy: each variable is known to what is compiled behind it.
#[derive(Debug)]
pub(super) struct AdmissionExpressions {
    minor: KubernetesMinor,
    /// The variables of the policy, without a type where that is not known; none if it has none, and then no expression
    /// may name them.
    fields: Option<Vec<(String, Option<CelType>)>>,
}

impl AdmissionExpressions {
    /// Returns those of a policy without variables, or of one whose variables are not read yet.
    pub(super) fn new(minor: KubernetesMinor, has_variables: bool) -> Self {
        Self { minor, fields: has_variables.then(Vec::new) }
    }

    /// Judges the expression of a match condition. It cannot see the policy's variables.
    pub(super) fn condition(&self, text: &str) -> CelVerdict {
        let scope = self.scope(true, false);
        verdict(cel_check::type_of(text, &scope), &["bool"])
    }

    /// Judges the expression of a variable, which is known from then on.
    pub(super) fn variable(&mut self, name: &str, text: &str) -> CelVerdict {
        let found = cel_check::type_of(text, &self.scope(true, true));
        let of = found.as_ref().ok().map(kept);
        self.fields.get_or_insert_default().push((name.to_owned(), of));
        found.map_or_else(failure, |_| CelVerdict::Compiles)
    }

    /// Judges the expression of a validation.
    pub(super) fn validation(&self, text: &str) -> CelVerdict {
        self.compared(text, true, &["bool"])
    }

    /// Judges an expression that makes a message.
    pub(super) fn message(&self, text: &str) -> CelVerdict {
        self.compared(text, false, &["string"])
    }

    /// Judges an expression that makes an annotation of the audit log.
    pub(super) fn audit(&self, text: &str) -> CelVerdict {
        self.compared(text, true, &["string", "null_type"])
    }

    fn compared(&self, text: &str, has_authorizer: bool, wanted: &[&str]) -> CelVerdict {
        verdict(cel_check::type_of(text, &self.scope(has_authorizer, true)), wanted)
    }

    fn scope(&self, has_authorizer: bool, has_fields: bool) -> CelScope {
        let named = |name: &str, of| (name.to_owned(), of);
        let mut variables = vec![
            named("object", CelType::Dyn),
            named("oldObject", CelType::Dyn),
            named("namespaceObject", CelType::Object(&NAMESPACE)),
            named("request", CelType::Object(&REQUEST)),
        ];
        if has_authorizer {
            let kind = |name: &str| CelType::Simple(format!("kubernetes.authorization.{name}"));
            variables.push(named("authorizer", kind("Authorizer")));
            variables.push(named("authorizer.requestResource", kind("ResourceCheck")));
        }
        let fields = self.fields.clone().filter(|_| has_fields);
        CelScope { minor: self.minor, functions: CelFunctions::All, variables, fields }
    }
}

/// Returns the type of a variable with a value of another one (`convertCelTypeToDeclType` in composition.go).
fn kept(of: &CelType) -> CelType {
    match of {
        CelType::Of(name, inner) if name == "list" || name == "map" => {
            CelType::Of(name.clone(), inner.iter().map(kept).collect())
        }
        CelType::Null => CelType::Null,
        CelType::Simple(name) if KEPT.contains(&name.as_str()) => of.clone(),
        _ => CelType::Dyn,
    }
}

fn failure(fault: CelFault) -> CelVerdict {
    match fault {
        CelFault::Unknown => CelVerdict::Unknown,
        CelFault::Fails(reason) => CelVerdict::Fails(format!("compilation failed: {reason}")),
        CelFault::NoProgram(reason) => CelVerdict::Fails(format!("program instantiation failed: {reason}")),
    }
}

fn verdict(found: Result<CelType, CelFault>, wanted: &[&str]) -> CelVerdict {
    match found {
        Err(fault) => failure(fault),
        Ok(of) if wanted.contains(&of.to_string().as_str()) => CelVerdict::Compiles,
        Ok(of) => CelVerdict::Fails(format!("must evaluate to {} but got {of}", wanted.join(" or "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(judged: &CelVerdict, why: &str) -> bool {
        matches!(judged, CelVerdict::Fails(reason) if reason.contains(why))
    }

    #[test]
    fn each_place_sees_its_own_variables() {
        let minor = KubernetesMinor::new(37);
        let none = AdmissionExpressions::new(minor, false);
        assert_eq!(none.condition("request.name in ['a'] || oldObject == null"), CelVerdict::Compiles);
        assert!(fails(&none.validation("variables.a == 1"), "undeclared reference to 'variables'"));
        assert_eq!(none.validation("authorizer.path('/').check('get').allowed()"), CelVerdict::Compiles);
        assert!(fails(&none.message("authorizer.path('/').check('get').reason()"), "undeclared"));
        assert!(fails(&none.validation("params.a == 1"), "undeclared"));
        assert!(fails(&none.validation("request.object == 1"), "undefined field 'object'"));

        let mut some = AdmissionExpressions::new(minor, true);
        assert!(fails(&some.variable("a", "variables.a"), "undefined field 'a'"));
        assert_eq!(some.variable("b", "object.?items.orValue([])"), CelVerdict::Compiles);
        assert_eq!(some.variable("c", "request.name"), CelVerdict::Compiles);
        assert_eq!(some.variable("d", "request.name.matches('[a-z]')"), CelVerdict::Unknown);
        assert_eq!(some.validation("variables.b.all(x, x == 1)"), CelVerdict::Compiles);
        assert!(fails(&some.validation("variables.c.all(x, x == 1)"), "cannot be range"));
        assert_eq!(some.validation("variables.d"), CelVerdict::Unknown, "its type is not known");
        assert!(fails(&some.validation("variables.c"), "must evaluate to bool but got string"));
        assert!(fails(&some.condition("variables.c == 'a'"), "undeclared"));
    }

    #[test]
    fn what_is_written_out_again_and_again_is_not_read() {
        let chain = |count| format!("object.?a{}.hasValue()", ".optMap(x, x)".repeat(count));
        let none = AdmissionExpressions::new(KubernetesMinor::new(37), false);
        assert_eq!(none.validation(&chain(3)), CelVerdict::Compiles);
        assert_eq!(none.validation(&chain(60)), CelVerdict::Unknown);
        assert_eq!(none.validation(&"(".repeat(5_000)), CelVerdict::Unknown);
        assert_eq!(none.validation(&format!("true{}", " && true".repeat(5_000))), CelVerdict::Unknown);
    }
}
