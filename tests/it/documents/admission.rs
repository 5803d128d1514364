// SPDX-License-Identifier: Apache-2.0
//! The policies of server/admission.d: which are written, what they do, and where.

use k3s_harden::Role;
use k3s_harden::document::{self, Document, Rendered as RenderedNode};
use k3s_harden::mode::FileMode;
use k3s_harden::render::RenderFormat;
use k3s_harden::version::KubernetesMinor;
use serde_json::Value;

use super::support::{
    EVERYTHING, argument, find, input, minor, one, profile, rendered, target, texts, value, yaml,
};

const FILES: [&str; 3] = ["admission-access", "admission-pods", "admission-services"];
const ALL: [&str; 5] =
    ["system-masters", "wildcard-cluster-roles", "host-paths", "token-mounts", "exposed-services"];

fn server(kubernetes: &str, name: &str, settings: &[(&str, &str)]) -> Vec<Document> {
    rendered(&profile(minor(kubernetes), name, settings), Role::Server)
}

/// Returns the policies that are written, each with what its binding does.
fn actions(documents: &[Document]) -> Vec<(String, String)> {
    let files = documents.iter().filter(|document| FILES.contains(&document.key));
    let objects = files.flat_map(|document| yaml(&document.text));
    let bindings = objects.filter(|object| object["kind"] == "ValidatingAdmissionPolicyBinding");
    let binding = |object: Value| {
        let name = object["spec"]["policyName"].as_str().unwrap();
        let name = name.strip_prefix("k3s-harden-").unwrap().strip_suffix(".static.k8s.io").unwrap();
        (name.to_owned(), texts(&object["spec"]["validationActions"]).join(","))
    };
    bindings.map(binding).collect()
}

fn doing<'a>(names: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<(String, String)> {
    names.into_iter().map(|(name, does)| (name.to_owned(), does.to_owned())).collect()
}

const DENY: &str = "Deny,Audit";
const WARN: &str = "Warn,Audit";

#[test]
fn strict_has_them_from_1_37_on_and_nothing_else_has() {
    for minor in KubernetesMinor::supported() {
        for (name, role) in [("cis", Role::Server), ("strict", Role::Server), ("strict", Role::Agent)] {
            let documents = rendered(&profile(minor, name, &[]), role);
            let written = FILES.iter().filter(|key| find(&documents, key).is_some()).count();
            let wanted = name == "strict" && role == Role::Server && minor >= self::minor("1.37");
            assert_eq!(written, if wanted { 3 } else { 0 }, "{name} {minor} {role}");
            let named = documents.iter().any(|document| document.text.contains("staticManifestsDir"));
            assert_eq!(named, wanted, "{name} {minor} {role}");
        }
    }
    let strict = doing(ALL.iter().map(|name| {
        (*name, if ["system-masters", "wildcard-cluster-roles"].contains(name) { DENY } else { WARN })
    }));
    assert_eq!(actions(&server("1.37", "strict", &[])), strict);
    assert_eq!(actions(&server("1.36", "cis", &[("admission_policies", "deny")])), strict);
}

#[test]
fn a_policy_does_the_weaker_of_its_own_and_of_all() {
    let of = |settings: &[(&str, &str)]| actions(&server("1.37", "cis", settings));
    let audit = doing(ALL.iter().map(|name| (*name, WARN)));
    assert_eq!(of(&[("admission_policies", "audit")]), audit);
    assert_eq!(of(&[("admission_policies", "audit"), ("admission_host_paths", "deny")]), audit);
    let named = |settings: &[(&str, &str)], name: &str| {
        let all = of(&[&[("admission_policies", "deny")], settings].concat());
        all.into_iter().find(|(known, _)| known == name).map(|(_, does)| does)
    };
    for (setting, name) in [
        ("admission_system_masters", "system-masters"),
        ("admission_wildcard_roles", "wildcard-cluster-roles"),
        ("admission_host_paths", "host-paths"),
        ("admission_token_mounts", "token-mounts"),
        ("admission_image_digests", "image-digests"),
        ("admission_exposed_services", "exposed-services"),
    ] {
        assert_eq!(named(&[(setting, "deny")], name).as_deref(), Some(DENY), "{setting}");
        assert_eq!(named(&[(setting, "audit")], name).as_deref(), Some(WARN), "{setting}");
        assert_eq!(named(&[(setting, "off")], name), None, "{setting}");
    }
    let registries = ("admission_registries", "ghcr.io/acme");
    assert_eq!(named(&[("admission_image_registries", "deny")], "image-registries"), None, "no registry");
    assert_eq!(named(&[registries], "image-registries").as_deref(), Some(WARN));
    let deny = [registries, ("admission_image_registries", "deny")];
    assert_eq!(named(&deny, "image-registries").as_deref(), Some(DENY));
    assert_eq!(of(&[("admission_policies", "off"), ("admission_host_paths", "deny")]), []);
}

/// The API server stops on a document that has comments alone, also before the first line `---` and behind the last.
#[test]
fn every_document_of_a_file_is_an_object_and_each_binding_has_its_policy() {
    let mut seen = 0;
    for rendered in EVERYTHING.iter().filter(|rendered| FILES.contains(&rendered.key)) {
        for document in rendered.text.split("\n---\n") {
            assert!(document.contains("kind: "), "{}: {document}", rendered.from);
        }
        let text = rendered.text.trim_end();
        assert!(!text.starts_with("---") && !text.ends_with("---"), "{}", rendered.from);
        let objects = yaml(&rendered.text);
        let of = |kind: &str, pointer: &str| -> Vec<String> {
            let objects = objects.iter().filter(|object| object["kind"] == kind);
            objects.map(|object| object.pointer(pointer).unwrap().as_str().unwrap().to_owned()).collect()
        };
        let policies = of("ValidatingAdmissionPolicy", "/metadata/name");
        assert_eq!(of("ValidatingAdmissionPolicyBinding", "/spec/policyName"), policies, "{}", rendered.from);
        assert_eq!(of("ValidatingAdmissionPolicyBinding", "/metadata/name"), policies, "{}", rendered.from);
        assert!(policies.iter().all(|name| name.ends_with(".static.k8s.io")), "{}", rendered.from);
        assert!(objects.iter().all(|object| object["apiVersion"] == "admissionregistration.k8s.io/v1"));
        seen += policies.len();
    }
    assert!(seen > 20, "{seen}");
}

/// With a policy against its own bindings and roles the API server ends at its first start.
#[test]
fn policies_about_rights_leave_the_api_server_alone() {
    let access = server("1.37", "strict", &[]);
    let objects = yaml(&find(&access, "admission-access").unwrap().text);
    let policies: Vec<&Value> =
        objects.iter().filter(|object| object["kind"] == "ValidatingAdmissionPolicy").collect();
    assert_eq!(policies.len(), 2);
    for policy in policies {
        let conditions = policy["spec"]["matchConditions"].as_array().unwrap();
        let spares =
            |condition: &Value| condition["expression"] == "request.userInfo.username != 'system:apiserver'";
        assert!(conditions.iter().any(spares), "{policy}");
    }
}

#[test]
fn psa_names_the_folder_and_1_36_gets_the_gate() {
    for (kubernetes, gate) in [("1.36", Some("ManifestBasedAdmissionControlConfig=true")), ("1.37", None)] {
        let documents = server(kubernetes, "cis", &[("admission_policies", "audit")]);
        let psa = value(&documents, "psa");
        let plugins = psa["plugins"].as_array().unwrap();
        let plugin = plugins.iter().find(|plugin| plugin["name"] == document::POLICY_PLUGIN).unwrap();
        assert_eq!(plugin["configuration"]["staticManifestsDir"], "/var/lib/rancher/k3s/server/admission.d");
        let config = one(&find(&documents, "config").unwrap().text);
        assert_eq!(argument(&config, "kube-apiserver", "feature-gates"), gate, "{kubernetes}");
        let off = one(&find(&server(kubernetes, "cis", &[]), "config").unwrap().text);
        assert_eq!(argument(&off, "kube-apiserver", "feature-gates"), None, "{kubernetes}");
    }
    let node = RenderedNode::new(&profile(minor("1.37"), "strict", &[]), &target(Role::Server));
    let is_folder = |path: &str| path.ends_with("server/admission.d");
    let folder = node.directories.iter().find(|directory| is_folder(directory.path.as_str())).unwrap();
    assert_eq!(folder.mode, FileMode::PRIVATE_DIRECTORY);
    for file in node.documents.iter().filter(|document| FILES.contains(&document.key)) {
        assert_eq!(file.mode, FileMode::PRIVATE_FILE);
        assert_eq!(file.path.parent().as_ref(), Some(&folder.path));
    }
    let off = RenderedNode::new(&profile(minor("1.37"), "cis", &[]), &target(Role::Server));
    assert!(!off.directories.iter().any(|directory| directory.path == folder.path));
    assert!(off.admission_warnings.is_empty());
    assert_eq!(node.admission_warnings.len(), 2, "{:?}", node.admission_warnings);
    assert!(node.admission_warnings[0].contains("run apply on every server"));
    assert!(node.admission_warnings[1].contains("system:masters"));
    let settings = [("admission_policies", "audit")];
    let gated = RenderedNode::new(&profile(minor("1.36"), "cis", &settings), &target(Role::Server));
    assert_eq!(gated.admission_warnings.len(), 2, "{:?}", gated.admission_warnings);
    assert!(gated.admission_warnings[1].contains("alpha in Kubernetes 1.36"));
}

#[test]
fn lists_become_expressions() {
    let documents = server(
        "1.37",
        "strict",
        &[
            ("admission_allowed_wildcard_roles", r"[cluster-admin, 'it''s', 'a\b', café]"),
            ("admission_registries", "ghcr.io,ghcr.io/acme/,registry.example.com:5000/a"),
            ("pod_security_exempt_namespaces", "shop,kube-system"),
            ("admission_exempt_namespaces", "tools,shop"),
            ("admission_exposing_namespaces", "edge"),
        ],
    );
    let text = |key: &str| find(&documents, key).unwrap().text.clone();
    let access: Vec<Value> = yaml(&text("admission-access"));
    let conditions = access.iter().filter_map(|object| object["spec"]["matchConditions"].as_array().cloned());
    let expressions: Vec<String> =
        conditions.flatten().map(|one| one["expression"].as_str().unwrap().to_owned()).collect();
    let roles =
        r"!(has(request.name) && request.name in ['cluster-admin', 'it\'s', 'a\\b', 'caf\U000000e9'])";
    assert!(expressions.iter().any(|text| text == roles), "{expressions:?}");
    // A registry ends where its name does: ghcr.io.example.com is another one.
    let pods = text("admission-pods");
    let registries =
        "['ghcr.io/', 'ghcr.io/acme/', 'registry.example.com:5000/a/'].exists(r, i.startsWith(r))";
    assert!(pods.contains(registries), "{pods}");
    let exempt = pods.lines().filter(|line| line.contains("request.namespace in ['kube-system', "));
    let exempt: Vec<&str> = exempt.collect();
    assert_eq!(exempt.len(), 3, "{pods}");
    for line in exempt {
        assert!(
            line.ends_with("'shop', 'tools'])\"") && line.matches("'kube-system'").count() == 1,
            "{line}"
        );
    }
    assert!(text("admission-services").contains("!(request.namespace in ['kube-system', 'edge'])"));
}

#[test]
fn an_expression_that_kubernetes_would_not_compile_is_refused() {
    let long: Vec<String> = (0..30).map(|number| format!("{number}{}", "r".repeat(4000))).collect();
    let long = long.join(",");
    let with = |effect| {
        let settings = [("admission_policies", effect), ("admission_allowed_wildcard_roles", &*long)];
        document::check_admission(&profile(minor("1.37"), "cis", &settings))
    };
    let error = with("audit").unwrap_err().to_string();
    assert!(error.contains("the limit of Kubernetes is 100000"), "{error}");
    assert!(with("off").is_ok());
}

#[test]
fn rancher_gets_no_policies_and_says_so() {
    let target = target(Role::Server);
    for (kubernetes, name, settings, warned) in [
        ("1.37", "strict", &[][..], true),
        ("1.36", "cis", &[("admission_policies", "audit")], true),
        ("1.37", "cis", &[], false),
        ("1.36", "strict", &[], false),
    ] {
        let profile = profile(minor(kubernetes), name, settings);
        let cluster = RenderFormat::RancherCluster.render(&input(&profile, &target, None)).unwrap();
        let says = cluster.warnings.iter().any(|warning| warning.contains("server/admission.d are left out"));
        assert_eq!(says, warned, "{kubernetes} {name}: {:?}", cluster.warnings);
        let files = RenderFormat::RancherFiles.render(&input(&profile, &target, None)).unwrap();
        for file in cluster.files.iter().chain(&files.files) {
            assert!(!file.text().contains("admission.d"), "{}", file.name);
            assert!(!file.text().contains("ManifestBasedAdmission"), "{}", file.name);
        }
    }
}
