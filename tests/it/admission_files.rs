// SPDX-License-Identifier: Apache-2.0
//! The folders that admission plugins take policies and webhooks from (`staticManifestsDir`): what stops the API server, and
//! what does not, as its own loader has it.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "the answers of the tool are JSON, and links are made"
)]

use std::os::unix::fs::symlink;

use serde_json::Value;

use crate::support::Node;

const FOLDER: &str = "etc/policies";
const HEAD: &str = "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins:\n- name: PodSecurity\n  configuration: {apiVersion: pod-security.admission.config.k8s.io/v1, kind: PodSecurityConfiguration, defaults: {enforce: baseline}, exemptions: {namespaces: [kube-system]}}\n";
const POLICY: &str = "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: a.static.k8s.io}
spec:
  matchConstraints:
    resourceRules:
    - {apiGroups: [''], apiVersions: [v1], resources: [pods], operations: [CREATE]}
  validations:
  - expression: object.spec.?volumes.orValue([]).all(v, !has(v.hostPath))
";
const BINDING: &str = "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: a.static.k8s.io}
spec: {policyName: a.static.k8s.io, validationActions: [Deny]}
";

/// The entry of a plugin in an admission configuration.
fn entry(plugin: &str, kind: &str, folder: &str) -> String {
    format!(
        "- name: {plugin}\n  configuration: {{apiVersion: apiserver.config.k8s.io/v1, kind: {kind}, staticManifestsDir: {folder}}}\n"
    )
}

fn validating(folder: &str) -> String {
    entry("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyConfiguration", folder)
}

/// The verdict, the codes of what was found but for the machine, and all that was said.
fn preflight(node: &Node, minor: &str) -> (Value, String, Value) {
    let words = ["preflight", "--k3s-version", minor, "--role", "server", "--format", "json"];
    let report: Value = serde_json::from_str(&node.run(&words).stdout).unwrap();
    let notes = report["notes"].as_array().unwrap().iter().filter(|note| note["class"] == "unknown");
    let found = report["now"].as_array().unwrap().iter().chain(notes);
    let codes: Vec<&str> = found.map(|finding| finding["code"].as_str().unwrap()).collect();
    (report["starts"].clone(), codes.join(" "), report.clone())
}

/// A server with this admission configuration, more arguments, and files in the folder.
fn node(entries: &str, arguments: &str, files: &[(&str, &str)]) -> Node {
    let mut node = Node::new()
        .file(
            "etc/rancher/k3s/config.yaml",
            format!("kube-apiserver-arg: ['admission-control-config-file=/etc/a.yaml'{arguments}]\n"),
        )
        .file("etc/a.yaml", format!("{HEAD}{entries}"))
        .file(&format!("{FOLDER}/README.md"), "no policy");
    for (name, text) in files {
        node = node.file(&format!("{FOLDER}/{name}"), text);
    }
    node
}

#[test]
fn the_files_of_a_folder_are_read_as_the_loader_reads_them() {
    const STARTS: &str = "";
    const STOPS: &str = "static-manifests-object";
    let both = format!("{POLICY}---\n{BINDING}");
    let json = serde_json::to_string(&serde_yaml::from_str::<Value>(POLICY).unwrap()).unwrap();
    let list = |kind: &str, version: &str| {
        let items = POLICY.replace('\n', "\n  ");
        format!("apiVersion: {version}\nkind: {kind}\nitems:\n- {}\n", items.trim_end())
    };
    /// Its name, the files, and the refusal.
    type FolderCase<'a> = (&'a str, Vec<(&'a str, String)>, &'a str);
    let cases: Vec<FolderCase<'_>> = vec![
        ("a policy and its binding", vec![("a.yaml", both.clone())], STARTS),
        ("in two files", vec![("a.yaml", BINDING.into()), ("b.yml", POLICY.into())], STARTS),
        ("JSON", vec![("a.json", json.clone())], STARTS),
        ("two objects of JSON", vec![("a.json", format!("{json}\n{json}"))], STOPS),
        ("a name in capitals", vec![("A.YAML", both.clone())], STARTS),
        ("a hidden name", vec![(".a.yaml", both.replace("[Deny]", "[deny]"))], STOPS),
        (
            "another ending",
            vec![("a.yaml.bak", "[".into()), ("b.txt", "[".into()), ("yaml", "[".into())],
            STARTS,
        ),
        ("a file of nothing", vec![("a.yaml", String::new()), ("b.yaml", " \n\n".into())], STARTS),
        ("a folder", vec![("a.yaml/x.yaml", "[".into())], STARTS),
        ("comments alone", vec![("a.yaml", "# later\n".into())], STOPS),
        ("comments as a document", vec![("a.yaml", format!("# ours\n---\n{both}"))], STOPS),
        ("comments behind the last separator", vec![("a.yaml", format!("{both}---\n# end\n"))], STOPS),
        ("comments at the head of a document", vec![("a.yaml", format!("# ours\n{both}"))], STARTS),
        ("a separator first and last", vec![("a.yaml", format!("---\n{both}---\n"))], STARTS),
        ("separators alone", vec![("a.yaml", "---\n---\n".into())], STOPS),
        ("text behind a separator", vec![("a.yaml", format!("{POLICY}--- x\n{BINDING}"))], STOPS),
        (
            "a list",
            vec![("a.yaml", list("ValidatingAdmissionPolicyList", "admissionregistration.k8s.io/v1"))],
            STARTS,
        ),
        ("a list of anything", vec![("a.yaml", list("List", "v1"))], STARTS),
        (
            "a list of v1beta1",
            vec![("a.yaml", list("ValidatingAdmissionPolicyList", "admissionregistration.k8s.io/v1beta1"))],
            STOPS,
        ),
        ("v1beta1", vec![("a.yaml", POLICY.replace("io/v1\n", "io/v1beta1\n"))], STOPS),
        (
            "another kind",
            vec![("a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a.static.k8s.io}\n".into())],
            STOPS,
        ),
        ("a binding without its policy", vec![("a.yaml", BINDING.into())], STOPS),
        (
            "a binding of another policy",
            vec![("a.yaml", both.replace("policyName: a", "policyName: b"))],
            STOPS,
        ),
        ("a policy twice", vec![("a.yaml", both.clone()), ("b.yaml", POLICY.into())], STOPS),
        ("a name without the ending", vec![("a.yaml", POLICY.replace("a.static.k8s.io", "a"))], STOPS),
        ("a name in capitals", vec![("a.yaml", POLICY.replace("a.static", "A.static"))], STOPS),
        (
            "an unknown field",
            vec![("a.yaml", POLICY.replace("  validations", "  validation: []\n  validations"))],
            STOPS,
        ),
        ("a field twice", vec![("a.yaml", format!("{POLICY}kind: ValidatingAdmissionPolicy\n"))], STOPS),
        ("no actions", vec![("a.yaml", both.replace(", validationActions: [Deny]", ""))], STOPS),
        ("Deny and Warn", vec![("a.yaml", both.replace("[Deny]", "[Deny, Warn]"))], STOPS),
        ("Warn and Audit", vec![("a.yaml", both.replace("[Deny]", "[Warn, Audit]"))], STARTS),
        (
            "parameters",
            vec![(
                "a.yaml",
                POLICY.replace("spec:", "spec:\n  paramKind: {apiVersion: v1, kind: ConfigMap}"),
            )],
            STOPS,
        ),
        ("no expression of CEL", vec![("a.yaml", POLICY.replace("orValue([])", "orValue([)"))], STOPS),
        ("an undeclared name", vec![("a.yaml", POLICY.replace("object.spec", "pod.spec"))], STOPS),
        ("no such function", vec![("a.yaml", POLICY.replace("orValue", "orvalue"))], STOPS),
        (
            "an expression that is no bool",
            vec![("a.yaml", POLICY.replace(".all(v, !has(v.hostPath))", ""))],
            STOPS,
        ),
        (
            "a regular expression",
            vec![("a.yaml", POLICY.replace("!has(v.hostPath)", "v.name.matches('[a-z]')"))],
            "static-manifests-specs",
        ),
    ];
    for (what, files, code) in cases {
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let (starts, codes, report) = preflight(&node(&validating("/etc/policies"), "", &files), "1.37");
        let expected = match code {
            STARTS => Value::Bool(true),
            STOPS => Value::Bool(false),
            _ => Value::Null,
        };
        assert_eq!((starts, codes.as_str()), (expected, code), "{what}: {report}");
    }
}

#[test]
fn a_fault_has_its_place_and_the_servers_words() {
    let text = format!("# ours\n{POLICY}---\n# theirs\n{}", BINDING.replace("[Deny]", "[Deny, deny]"));
    let (starts, _, report) =
        preflight(&node(&validating("/etc/policies"), "", &[("a.yaml", &text)]), "1.37");
    assert_eq!(starts, false);
    let finding = &report["now"][0];
    let place = [&finding["path"], &finding["line"], &finding["column"]].map(Value::to_string).join(" ");
    assert_eq!(place, "\"/etc/policies/a.yaml\" 16 63", "{finding}");
    let says = finding["says"].as_str().unwrap();
    let wanted = "error loading /etc/policies/a.yaml: spec.validationActions[1]: Unsupported value: \"deny\"";
    assert!(says.starts_with(wanted), "{says}");
}

#[test]
fn links_are_followed_and_may_lead_to_no_folder() {
    let entries = validating("/etc/link");
    let linked = |to: &str, name: &str, of: &str| {
        let node = node(&entries, "", &[("a.yaml", POLICY)]).file("elsewhere/b.yaml", BINDING);
        symlink("policies", node.path().join("etc/link")).unwrap();
        if !name.is_empty() {
            symlink(to, node.path().join(of).join(name)).unwrap();
        }
        preflight(&node, "1.37")
    };
    for (to, name, starts) in [
        ("", "", true),
        ("/elsewhere/b.yaml", "b.yaml", true),
        ("/elsewhere", "b.yaml", false),
        ("/nothing", "b.yaml", false),
        ("/elsewhere", "b", true),
    ] {
        let (found, codes, report) = linked(to, name, FOLDER);
        let code = if starts { "" } else { "static-manifests-object" };
        assert_eq!((found, codes.as_str()), (starts.into(), code), "{to} {name}: {report}");
    }
}

#[test]
fn what_stands_around_a_folder_decides_whether_it_is_read() {
    let broken = [("a.yaml", "[")];
    let gate = |state| format!(", 'feature-gates=ManifestBasedAdmissionControlConfig={state}'");
    let disabled = ", 'disable-admission-plugins=ValidatingAdmissionPolicy'".to_owned();
    let beta = ", 'feature-gates=AllBeta=false'".to_owned();
    let here = validating("/etc/policies");
    let twice = format!("{here}{}", validating("/etc/none"));
    for (minor, entries, arguments, starts, code) in [
        ("1.37", here.clone(), String::new(), false, "static-manifests-object"),
        ("1.36", here.clone(), String::new(), false, "static-manifests-gate"),
        ("1.36", here.clone(), gate("true"), false, "static-manifests-object"),
        ("1.37", here.clone(), gate("false"), false, "static-manifests-gate"),
        ("1.37", here.clone(), beta, false, "static-manifests-gate"),
        ("1.35", here.clone(), String::new(), true, "static-manifests-unread"),
        ("1.37", here.clone(), disabled, true, "admission-plugin-off"),
        ("1.37", validating("policies"), String::new(), false, "static-manifests-path"),
        ("1.37", validating("/etc/none"), String::new(), false, "static-manifests-folder"),
        ("1.37", validating("/etc/policies/README.md"), String::new(), false, "static-manifests-folder"),
        ("1.37", twice, String::new(), false, "admission-plugin-twice static-manifests-object"),
    ] {
        let (found, codes, report) = preflight(&node(&entries, &arguments, &broken), minor);
        assert_eq!((found, codes.as_str()), (starts.into(), code), "{minor} {entries} {arguments}: {report}");
    }
}

#[test]
fn with_the_functions_of_another_minor_nothing_is_known() {
    let node = node(&validating("/etc/policies"), ", 'emulated-version=1.36'", &[("a.yaml", POLICY)]);
    let (starts, codes, report) = preflight(&node, "1.37");
    assert_eq!(starts, Value::Null, "{report}");
    assert!(codes.contains("static-manifests-specs"), "{codes}");
}

#[test]
fn of_other_plugins_names_and_references_are_judged_and_specs_are_not() {
    let mutating = |text: &str| text.replace("Validating", "Mutating");
    let policy = "apiVersion: admissionregistration.k8s.io/v1\nkind: MutatingAdmissionPolicy\nmetadata: {name: a.static.k8s.io}\nspec: {mutations: []}\n";
    let binding = mutating(BINDING).replace(", validationActions: [Deny]", "");
    let hook = "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\nmetadata: {name: a.static.k8s.io}\nwebhooks: [{name: a.example.com, clientConfig: {url: 'https://a.example'}}]\n";
    let policies = entry("MutatingAdmissionPolicy", "MutatingAdmissionPolicyConfiguration", "/etc/policies");
    let hooks = entry("ValidatingAdmissionWebhook", "WebhookAdmissionConfiguration", "/etc/policies");
    for (entries, text, code) in [
        (&policies, format!("{policy}---\n{binding}"), "static-manifests-specs"),
        (&policies, binding, "static-manifests-object"),
        (&policies, policy.replace("a.static", "A.static"), "static-manifests-object"),
        (&policies, policy.replace("mutations", "mutation"), "static-manifests-object"),
        (&policies, POLICY.to_owned(), "static-manifests-object"),
        (&hooks, hook.to_owned(), "static-manifests-specs"),
        (
            &hooks,
            hook.replace("url: 'https://a.example'", "service: {name: a, namespace: b}"),
            "static-manifests-object",
        ),
        (&hooks, hook.replace("url: 'https://a.example'", ""), "static-manifests-object"),
        (&hooks, hook.replace("webhooks: [", "webhooks: [] # ["), ""),
        (&hooks, hook.replace("Validating", "Mutating"), "static-manifests-object"),
    ] {
        let (starts, codes, report) = preflight(&node(entries, "", &[("a.yaml", &text)]), "1.37");
        let expected = match code {
            "" => Value::Bool(true),
            "static-manifests-specs" => Value::Null,
            _ => Value::Bool(false),
        };
        assert_eq!((starts, codes.as_str()), (expected, code), "{text}: {report}");
    }
}

#[test]
fn what_we_write_is_accepted_with_every_setting() {
    let all = [
        "admission_policies=deny",
        "admission_host_paths=deny",
        "admission_token_mounts=deny",
        "admission_exposed_services=deny",
        "admission_image_digests=deny",
        "admission_image_registries=deny",
        "admission_registries=registry.example.com,ghcr.io/acme",
        "admission_exempt_namespaces=shop,longhorn-system",
        "admission_exposing_namespaces=ingress",
        "admission_allowed_wildcard_roles=cluster-admin,argocd-application-controller",
    ];
    for minor in ["1.36", "1.37"] {
        for settings in [&all[..1], &["admission_policies=audit"][..], &all[..]] {
            let node = Node::new();
            let mut words = vec!["apply", "--k3s-version", minor, "--role", "server"];
            words.extend(settings.iter().flat_map(|setting| ["--set", setting]));
            let output = node.run(&words);
            assert_eq!(output.code, 0, "{minor} {settings:?}: {}{}", output.stdout, output.stderr);
            assert!(node.path().join("var/lib/rancher/k3s/server/admission.d/access.yaml").exists());
            let (starts, codes, report) = preflight(&node, minor);
            assert_eq!(starts, true, "{minor} {settings:?}: {report}");
            assert!(!codes.contains("static-manifests"), "{minor} {settings:?}: {codes}");
        }
    }
}

#[test]
fn policies_of_the_users_that_go_out_of_force_are_named() {
    const OWN: &str = "var/lib/rancher/k3s/server/admission.d/mine.yaml";
    let with_own = || {
        let node = Node::new();
        assert_eq!(
            node.run(&["apply", "--k3s-version", "1.37", "--role", "server", "--profile", "cis,strict"]).code,
            0
        );
        node.file(OWN, POLICY)
    };
    let text = "/server/admission.d/mine.yaml: the API server no longer loads this file";
    let off = ["--set", "admission_policies=off"];
    for (words, is_named) in [
        (&["plan", off[0], off[1]][..], true),
        (&["apply", off[0], off[1]][..], true),
        (&["rollback"][..], true),
        (&["uninstall"][..], true),
        (&["apply", "--set", "admission_exposed_services=off"][..], false),
    ] {
        let node = with_own();
        let output = node.run(words);
        assert_eq!(output.code, 0, "{words:?}: {}", output.stderr);
        assert_eq!(output.stderr.contains(text), is_named, "{words:?}: {}", output.stderr);
        assert!(node.path().join(OWN).exists());
    }
    let without = Node::new();
    assert_eq!(
        without.run(&["apply", "--k3s-version", "1.37", "--role", "server", "--profile", "cis,strict"]).code,
        0
    );
    assert!(!without.run(&["uninstall"]).stderr.contains("no longer loads"));
}

#[test]
fn clusters_of_rancher_may_have_its_roles() {
    for (preset, has) in [("k3s", false), ("rancher", true), ("rancher-documented", true)] {
        let node = Node::new();
        let preset = format!("pod_security_preset={preset}");
        let words = [
            "apply",
            "--k3s-version",
            "1.37",
            "--role",
            "server",
            "--set",
            "admission_policies=deny",
            "--set",
            &preset,
        ];
        assert_eq!(node.run(&words).code, 0);
        let text = node.read("var/lib/rancher/k3s/server/admission.d/access.yaml");
        assert_eq!(
            text.contains("'cluster-admin', 'cattle-admin', 'cluster-owner'"),
            has,
            "{preset}: {text}"
        );
    }
}
