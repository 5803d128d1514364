// SPDX-License-Identifier: Apache-2.0
//! The files that the user's arguments hand to the API server and the kubelet: by minor, what stops them, and what only
//! has no effect.

#![allow(clippy::unwrap_used, reason = "the answers of the tool are JSON")]

use serde_json::Value;

use crate::support::Node;

const CONFIG: &str = "etc/rancher/k3s/config.yaml";
const KUBELET: &str = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n";
const AUTHENTICATION: &str =
    "apiVersion: apiserver.config.k8s.io/VERSION\nkind: AuthenticationConfiguration\n";
const AUTHORIZATION: &str = "apiVersion: apiserver.config.k8s.io/VERSION\nkind: AuthorizationConfiguration\nauthorizers:\n- {type: Node, name: node}\n- {type: RBAC, name: rbac}\n";

/// The verdict, and the codes of the findings and of what is not known, but for those about the machine.
fn preflight(minor: &str, argument: &str, files: &[(&str, &str)]) -> (Value, Vec<String>) {
    let mut node = Node::new().file(CONFIG, format!("{argument}\n"));
    for (path, text) in files {
        node = node.file(path, text);
    }
    let words = ["preflight", "--k3s-version", minor, "--role", "server", "--format", "json"];
    let report: Value = serde_json::from_str(&node.run(&words).stdout).unwrap();
    let notes = report["notes"].as_array().unwrap().iter().filter(|note| note["class"] == "unknown");
    let findings = report["now"].as_array().unwrap().iter().chain(notes);
    let codes = findings.map(|finding| finding["code"].as_str().unwrap().to_owned());
    (report["starts"].clone(), codes.collect())
}

#[test]
fn the_kubelets_file_is_read_by_minor() {
    let argument = "kubelet-arg: [config=/etc/k.yaml]";
    let twice = format!("{KUBELET}maxPods: 5\nmaxPods: 6\n");
    let small = format!("{KUBELET}maxpods: -5\n");
    let unknown = format!("{KUBELET}maxPod: 5\n");
    let wrong = format!("{KUBELET}maxPods: '5'\n");
    for (minor, text, starts, code) in [
        ("1.36", KUBELET, true, ""),
        ("1.36", "maxPods: 5\n", false, "kubelet-file"),
        ("1.31", "maxPods: 5\n", false, "kubelet-file"),
        // As a drop-in it may have no key twice; as the one file the kubelet takes the last.
        ("1.36", &twice, false, "kubelet-file"),
        ("1.31", &twice, true, "kubelet-key-twice"),
        ("1.36", &unknown, true, "kubelet-field"),
        ("1.36", &wrong, false, "kubelet-type"),
        ("1.31", &wrong, false, "kubelet-type"),
        // A drop-in is merged, and its letters have any case then; the one file is decoded with the case of letters.
        ("1.36", &small, false, "kubelet-value"),
        ("1.31", &small, true, "kubelet-field"),
    ] {
        let (verdict, codes) = preflight(minor, argument, &[("etc/k.yaml", text)]);
        assert_eq!((verdict, codes.join(" ")), (starts.into(), code.to_owned()), "{minor}: {text}");
    }
    let (verdict, codes) =
        preflight("1.36", "kubelet-arg: [config=/etc/k.yaml, max-pods=9]", &[("etc/k.yaml", &small)]);
    assert_eq!((verdict, codes.len()), (true.into(), 0), "an argument counts more");
}

#[test]
fn a_file_of_kube_proxy_names_its_kubeconfig() {
    let head = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";
    let named = |path: &str| format!("{head}clientConnection: {{kubeconfig: {path}}}\n");
    let own = named("/var/lib/rancher/k3s/agent/kubeproxy.kubeconfig");
    let mut argument = "kube-proxy-arg: [config=/etc/p.yaml]".to_owned();
    for (text, starts, code) in [
        (own.as_str(), Value::Bool(true), ""),
        (&named("/etc/nowhere"), Value::Bool(false), "proxy-kubeconfig-file"),
        (&named("''"), Value::Null, "kube-proxy-kubeconfig"),
        (head, Value::Null, "kube-proxy-kubeconfig"),
    ] {
        let (verdict, codes) = preflight("1.36", &argument, &[("etc/p.yaml", text)]);
        assert_eq!((verdict, codes.join(" ")), (starts, code.to_owned()), "{text}");
    }
    argument = argument.replace(']', ", kubeconfig=/etc/p.yaml]");
    assert_eq!(preflight("1.36", &argument, &[("etc/p.yaml", head)]).0, Value::Null, "it does not count");
    argument = argument.replace("kubeconfig=/etc/p.yaml", "master=https://127.0.0.1:6443");
    assert_eq!(preflight("1.36", &argument, &[("etc/p.yaml", head)]).0, Value::Bool(true));
}

#[test]
fn the_kubelet_ends_without_the_files_of_its_certificate() {
    const OWN: &str = "/var/lib/rancher/k3s/agent/serving-kubelet";
    let arguments = "kubelet-arg: [tls-cert-file=/etc/a.crt, tls-private-key-file=/etc/a.key]";
    let one = "kubelet-arg: [tls-cert-file=/etc/a.crt]";
    let own = format!("kubelet-arg: [tls-cert-file={OWN}.crt, tls-private-key-file={OWN}.key]");
    let nothing = [("etc/a.crt", ""), ("etc/a.key", "")];
    for minor in ["1.30", "1.35", "1.36"] {
        let stops = |files: &[(&str, &str)], argument: &str| preflight(minor, argument, files);
        let missing = (false.into(), vec!["argument-file-missing".to_owned()]);
        assert_eq!(stops(&[], arguments), missing, "{minor}");
        let content = (false.into(), vec!["argument-file-content".to_owned()]);
        assert_eq!(stops(&nothing, arguments), content, "{minor}");
        assert_eq!(stops(&nothing[..1], one), content, "{minor}: the key is K3s's own");
        assert_eq!(stops(&[], &own), (true.into(), Vec::new()), "{minor}: K3s makes them");
    }
    let file = format!("{KUBELET}tlsCertFile: /etc/a.crt\ntlsPrivateKeyFile: /etc/a.key\n");
    let argument = "kubelet-arg: [config=/etc/k.yaml]";
    let missing = (false.into(), vec!["argument-file-missing".to_owned()]);
    assert_eq!(preflight("1.36", argument, &[("etc/k.yaml", &file)]), missing);
    assert_eq!(
        preflight("1.30", argument, &[("etc/k.yaml", &file)]).0,
        true,
        "K3s gives the arguments there"
    );
    let made = format!("{file}serverTLSBootstrap: true\n");
    assert_eq!(preflight("1.35", argument, &[("etc/k.yaml", &made)]), missing);
    assert_eq!(preflight("1.36", argument, &[("etc/k.yaml", &made)]).0, true, "the cluster makes them");
}

#[test]
fn a_field_that_only_the_machine_judges_is_listed() {
    let file = format!("{KUBELET}containerRuntimeEndpoint: unix:///run/x.sock\n");
    let argument = "kubelet-arg: [config=/etc/k.yaml]";
    let (starts, codes) = preflight("1.36", argument, &[("etc/k.yaml", &file)]);
    assert_eq!((starts, codes), (true.into(), Vec::new()));
    let node = Node::new().file(CONFIG, format!("{argument}\n")).file("etc/k.yaml", file);
    let output = node.run(&["preflight", "--k3s-version", "1.36", "--role", "server"]);
    let line = "not judged: /etc/k.yaml:3:27: the value of the kubelet's containerRuntimeEndpoint is ";
    assert!(output.stdout.contains(line), "{}", output.stdout);
}

#[test]
fn apply_goes_on_where_the_verdict_is_unknown_and_names_the_place() {
    let argument = "kube-controller-manager-arg: [leader-migration-config=/etc/f]\n";
    let node = Node::new().file(CONFIG, argument).file("etc/f", "");
    let output = node.run(&["apply", "--k3s-version", "1.36", "--role", "server"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    let warning = "WARN /etc/rancher/k3s/config.yaml:1:31: unknown whether K3s starts: ";
    assert!(output.stderr.contains(warning), "{}", output.stderr);
    let node = Node::new().file(CONFIG, "kubelet-arg: [image-credential-provider-config=/etc/f]\n");
    let output = node.run(&["apply", "--k3s-version", "1.36", "--role", "server"]);
    assert_eq!(output.code, 1, "the file is missing: {}", output.stderr);
}

#[test]
fn a_directory_and_a_file_without_a_kubeconfig_stop_each_component() {
    for component in ["kubelet", "kube-scheduler", "kube-controller-manager", "kube-proxy"] {
        let argument = format!("{component}-arg: [kubeconfig=/etc/f]");
        let stops = |code: &str| (Value::from(false), vec![code.to_owned()]);
        for text in ["", "a: b\n"] {
            let found = preflight("1.36", &argument, &[("etc/f", text)]);
            assert_eq!(found, stops("argument-file-content"), "{component}: {text:?}");
        }
        let directory = preflight("1.36", &argument, &[("etc/f/g", "")]);
        assert_eq!(directory, stops("argument-file-directory"), "{component}");
    }
    for component in ["kube-scheduler", "kube-proxy"] {
        let argument = format!("{component}-arg: [config=/etc/f]");
        let (_, codes) = preflight("1.36", &argument, &[("etc/f/g", "")]);
        assert_eq!(codes[0], "argument-file-directory", "{component}");
    }
}

#[test]
fn a_gate_of_other_components_makes_the_verdict_on_the_cloud_controller_manager_unknown() {
    let of = |gate: &str| {
        let argument = format!("kube-cloud-controller-manager-arg: ['feature-gates={gate}']");
        preflight("1.36", &argument, &[]).0
    };
    assert_eq!(of("SidecarContainers=true"), Value::Null);
    assert_eq!(of("SidecarContainers=false"), false, "it is locked");
    assert_eq!(of("NoSuchGate=true"), false);
    assert_eq!(of("AllAlpha=true"), true);
}

#[test]
fn the_files_of_an_egress_connection_are_opened() {
    let text = "apiVersion: apiserver.k8s.io/v1beta1\nkind: EgressSelectorConfiguration\negressSelections: [{name: cluster, connection: {proxyProtocol: HTTPConnect, transport: {tcp: {url: 'https://127.0.0.1:1', tlsConfig: {caBundle: /etc/ca.pem, clientCert: /etc/cert.pem, clientKey: /etc/key.pem}}}}}]\n";
    let (cert, key) = (include_str!("component_values/cert.pem"), include_str!("component_values/key.pem"));
    for (authority, certificate, private, starts) in
        [(cert, cert, key, true), (key, cert, key, false), (cert, key, key, false), (cert, cert, "", false)]
    {
        let files = [
            ("etc/e.yaml", text),
            ("etc/ca.pem", authority),
            ("etc/cert.pem", certificate),
            ("etc/key.pem", private),
        ];
        let argument = "kube-apiserver-arg: [egress-selector-config-file=/etc/e.yaml]";
        let (verdict, codes) = preflight("1.36", argument, &files);
        assert_eq!(verdict, starts, "{codes:?}");
    }
}

#[test]
fn files_of_the_api_server_have_the_versions_of_the_minor() {
    for (flag, text, version, first) in [
        ("authentication-config", AUTHENTICATION, "v1beta1", 30),
        ("authentication-config", AUTHENTICATION, "v1", 34),
        ("authorization-config", AUTHORIZATION, "v1beta1", 30),
        ("authorization-config", AUTHORIZATION, "v1", 32),
    ] {
        let text = text.replace("VERSION", version);
        for number in [30, 32, 34, 36] {
            let argument = format!("kube-apiserver-arg: [{flag}=/etc/a.yaml]");
            let (_, codes) = preflight(&format!("1.{number}"), &argument, &[("etc/a.yaml", &text)]);
            let is_refused = codes.iter().any(|code| code.ends_with("-version"));
            assert_eq!(is_refused, number < first, "{flag} {version} 1.{number}: {codes:?}");
        }
    }
    // Its feature gate is off in 1.29.
    let argument = "kube-apiserver-arg: [authentication-config=/etc/a.yaml]";
    let text = AUTHENTICATION.replace("VERSION", "v1alpha1");
    let (_, codes) = preflight("1.29", argument, &[("etc/a.yaml", &text)]);
    assert!(codes.contains(&"argument-gated".to_owned()), "{codes:?}");
}

#[test]
fn an_expression_that_only_its_compiler_judges_makes_the_verdict_unknown() {
    let head = AUTHENTICATION.replace("VERSION", "v1");
    let text = |expression: &str| {
        format!(
            "{head}jwt:\n- issuer: {{url: https://a.example, audiences: [a]}}\n  claimMappings: {{username: {{expression: \"{expression}\"}}}}\n"
        )
    };
    let argument = "kube-apiserver-arg: [authentication-config=/etc/a.yaml]";
    for (expression, starts) in [
        ("claims.sub", Value::Bool(true)),
        ("claims.sub + 'x'", Value::Bool(true)),
        ("claims.sub.matches('x')", Value::Null),
        ("user.username", Value::Bool(false)),
        ("claims.sub(", Value::Bool(false)),
    ] {
        let (verdict, codes) = preflight("1.36", argument, &[("etc/a.yaml", &text(expression))]);
        assert_eq!(verdict, starts, "{expression}: {codes:?}");
    }
}

#[test]
fn a_folder_of_policies_needs_its_feature_gate() {
    let admission = "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins:\n- name: PodSecurity\n  configuration: {apiVersion: pod-security.admission.config.k8s.io/v1, kind: PodSecurityConfiguration, defaults: {enforce: baseline}, exemptions: {namespaces: [kube-system]}}\n- name: ValidatingAdmissionPolicy\n  configuration: {apiVersion: apiserver.config.k8s.io/v1, kind: ValidatingAdmissionPolicyConfiguration, staticManifestsDir: /etc/policies}\n";
    let named = "kube-apiserver-arg: [admission-control-config-file=/etc/a.yaml";
    let gate = format!("{named}, feature-gates=ManifestBasedAdmissionControlConfig=true]");
    let named = format!("{named}]");
    let there = [("etc/a.yaml", admission), ("etc/policies/README.md", "")];
    for (minor, argument, files, starts, code) in [
        ("1.36", &named, &there[..], false, "static-manifests-gate"),
        ("1.36", &gate, &there[..], true, ""),
        ("1.37", &named, &there[..], true, ""),
        ("1.37", &named, &there[..1], false, "static-manifests-folder"),
        ("1.35", &named, &there[..], true, "static-manifests-unread"),
    ] {
        let (verdict, codes) = preflight(minor, argument, files);
        assert_eq!((verdict, codes.join(" ")), (starts.into(), code.to_owned()), "{minor} {argument}");
    }
}

#[test]
fn the_configuration_of_each_admission_plugin_is_judged() {
    let own = |name: &str, rest: &str| {
        format!(
            "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins:\n- name: {name}\n  {rest}\n"
        )
    };
    let quota = "configuration: {apiVersion: apiserver.config.k8s.io/v1, kind: ResourceQuotaConfiguration, unknown: 1}";
    let toleration = "configuration: {apiVersion: podtolerationrestriction.admission.k8s.io/v1alpha1, kind: Configuration, default: [{key: a, operator: Lt}]}";
    let webhook = "configuration: {apiVersion: apiserver.config.k8s.io/v1, kind: WebhookAdmissionConfiguration, kubeConfigFile: /etc/none}";
    let late = "configuration: {imagePolicy: {kubeConfigFile: /etc/k, allowTTL: 1801}}";
    let nowhere = "configuration: {imagePolicy: {kubeConfigFile: /etc/none}}";
    let empty = "path: empty.yaml";
    for (minor, name, rest, stops, code) in [
        ("1.31", "ResourceQuota", quota, false, "plugin-config-field"),
        ("1.32", "ResourceQuota", quota, true, "plugin-config-field"),
        ("1.37", "ResourceQuota", empty, true, "plugin-config-syntax"),
        ("1.37", "PodTolerationRestriction", toleration, true, "plugin-config-value"),
        ("1.37", "ValidatingAdmissionWebhook", webhook, true, "argument-file-missing"),
        ("1.29", "MutatingAdmissionWebhook", empty, true, "static-manifests-syntax"),
        ("1.29", "ImagePolicyWebhook", late, true, "image-policy-webhook-configuration"),
        ("1.37", "ImagePolicyWebhook", nowhere, true, "argument-file-missing"),
        ("1.37", "PodNodeSelector", empty, false, ""),
    ] {
        let argument = format!(
            "kube-apiserver-arg: [admission-control-config-file=/etc/a.yaml, 'enable-admission-plugins=NodeRestriction,{name}']"
        );
        let files = [("etc/a.yaml", own(name, rest)), ("etc/empty.yaml", String::new())];
        let (verdict, codes) =
            preflight(minor, &argument, &files.each_ref().map(|(path, text)| (*path, text.as_str())));
        let codes: Vec<&str> =
            codes.iter().map(String::as_str).filter(|code| *code != "pod-security-absent").collect();
        assert_eq!((verdict, codes.join(" ")), ((!stops).into(), code.to_owned()), "{minor} {name}: {rest}");
    }
}

#[test]
fn the_signing_controller_takes_one_certificate_and_its_key() {
    const TLS: &str = "/var/lib/rancher/k3s/server/tls";
    let certificate = include_str!("component_values/cert.pem");
    let key = include_str!("component_values/key.pem");
    let twice = certificate.repeat(2);
    let files = [("etc/a.crt", certificate), ("etc/a.key", key), ("etc/b.crt", &twice)];
    let pair = |certificate: &str, key: &str| {
        format!(
            "cluster-signing-kubelet-client-cert-file={certificate}, cluster-signing-kubelet-client-key-file={key}"
        )
    };
    let own = |name: &str| pair(&format!("{TLS}/{name}.crt"), &format!("{TLS}/client-ca.key"));
    for (arguments, code) in [
        (pair("/etc/a.crt", "/etc/a.key"), ""),
        (pair("/etc/b.crt", "/etc/a.key"), "argument-file-content"),
        (pair("/etc/none", "/etc/a.key"), "argument-file-missing"),
        (pair("/etc/a.key", "/etc/a.crt"), "argument-file-content"),
        ("cluster-signing-legacy-unknown-key-file=/etc/a.key".to_owned(), "argument-file-content"),
        (own("client-ca.nochain"), ""),
        (own("client-ca"), ""),
        (own("server-ca"), "argument-file-content"),
        (format!("{}, 'controllers=*,-csrsigning'", pair("/etc/none", "/etc/a.key")), ""),
        (format!("{}, 'controllers=csrsigning'", pair("/etc/none", "/etc/a.key")), "argument-file-missing"),
    ] {
        let argument = format!("kube-controller-manager-arg: [{arguments}]");
        let (verdict, codes) = preflight("1.37", &argument, &files);
        assert_eq!((verdict, codes.join(" ")), (code.is_empty().into(), code.to_owned()), "{arguments}");
    }
}

#[test]
fn the_cloud_controller_manager_opens_what_it_serves_webhooks_with_until_1_31() {
    let one = "webhook-tls-cert-file=/etc/none";
    let both = "webhook-tls-cert-file=/etc/none, webhook-tls-private-key-file=/etc/none";
    for (minor, arguments, code) in [
        ("1.31", one, "argument-refused"),
        ("1.31", both, "argument-file-missing"),
        ("1.31", &format!("{both}, webhook-secure-port=0"), ""),
        ("1.32", both, ""),
        ("1.37", "webhook-cert-dir=/etc/file", "argument-file-directory"),
        ("1.37", "cert-dir=/etc/file", "argument-file-directory"),
        ("1.37", "cert-dir=/etc/new", ""),
    ] {
        let argument = format!("kube-cloud-controller-manager-arg: [{arguments}]");
        let (verdict, codes) = preflight(minor, &argument, &[("etc/file", "")]);
        let expected = (Value::Bool(code.is_empty()), code.to_owned());
        assert_eq!((verdict, codes.join(" ")), expected, "{minor} {arguments}");
    }
}

#[test]
fn the_folder_of_a_certificate_is_no_file_where_k3s_names_no_certificate() {
    for (minor, component, rest, starts) in [
        ("1.29", "kube-scheduler", "", false),
        ("1.29", "kube-scheduler", ", secure-port=0", true),
        ("1.29", "kube-controller-manager", "", false),
        ("1.37", "kube-apiserver", "", true),
    ] {
        let argument = format!("{component}-arg: [cert-dir=/etc/file{rest}]");
        let (verdict, codes) = preflight(minor, &argument, &[("etc/file", "")]);
        assert_eq!(verdict, Value::Bool(starts), "{minor} {argument}: {codes:?}");
    }
}

/// Both files are taken, one is refused, and without them the component makes both.
#[test]
fn the_folder_of_a_certificate_is_read_as_the_component_reads_it() {
    let (certificate, key) =
        (include_str!("component_values/cert.pem"), include_str!("component_values/key.pem"));
    let scheduler = |ending: &str| format!("etc/tls/kube-scheduler.{ending}");
    let (crt, pem) = (scheduler("crt"), scheduler("key"));
    for (files, folder, code) in [
        (vec![(crt.as_str(), certificate), (pem.as_str(), key)], "/etc/tls", ""),
        (vec![(&crt, certificate), (&pem, certificate)], "/etc/tls", "argument-file-content"),
        (vec![(&crt, certificate)], "/etc/tls/", "argument-file-content"),
        (vec![(&pem, key)], "/etc/tls", "argument-file-content"),
        (vec![("etc/tls/kube-controller-manager.crt", certificate)], "/etc/tls", ""),
        (vec![("etc/tls", "")], "/etc/tls/new/deep", "argument-file-directory"),
        (vec![], "/proc/tls", "argument-file-directory"),
        (vec![], "/etc/tls/new/deep", ""),
    ] {
        let argument = format!("kube-scheduler-arg: [cert-dir={folder}]");
        let (starts, codes) = preflight("1.29", &argument, &files);
        let expected = (Value::Bool(code.is_empty()), code.to_owned());
        assert_eq!((starts, codes.join(" ")), expected, "{folder} {files:?}");
    }
}

#[test]
fn a_kubeconfig_is_judged_wherever_a_component_makes_a_client_of_it() {
    let client = "apiVersion: v1\nkind: Config\nclusters: [{name: a, cluster: {server: 'https://127.0.0.1:6444'}}]\ncontexts: [{name: a, context: {cluster: a}}]\ncurrent-context: a\n";
    for component in [
        "kubelet",
        "kube-controller-manager",
        "kube-scheduler",
        "kube-proxy",
        "kube-cloud-controller-manager",
    ] {
        let argument = format!("{component}-arg: [kubeconfig=/etc/c]");
        assert_eq!(preflight("1.36", &argument, &[("etc/c", client)]).0, true, "{component}");
        for text in ["", "a: b\n", "a: [\n"] {
            let (starts, codes) = preflight("1.36", &argument, &[("etc/c", text)]);
            assert_eq!((starts, codes.join(" ")), (false.into(), "argument-file-content".to_owned()));
        }
        if component != "kubelet" {
            // The flag gives the server, which the file lacks.
            let argument = format!("{component}-arg: [kubeconfig=/etc/c, 'master=https://127.0.0.1:6444']");
            assert_eq!(preflight("1.36", &argument, &[("etc/c", "")]).0, Value::Null, "{component}");
        }
    }
}

#[test]
fn a_webhook_for_audits_is_nothing_without_a_policy() {
    let policy = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n";
    let files = [("etc/w", "a: [\n"), ("etc/p", policy)];
    let argument = "kube-apiserver-arg: [audit-webhook-config-file=/etc/w]";
    let (starts, codes) = preflight("1.36", argument, &files);
    assert_eq!((starts, codes.contains(&"argument-file-content".to_owned())), (true.into(), false));
    let argument = "kube-apiserver-arg: [audit-webhook-config-file=/etc/w, audit-policy-file=/etc/p]";
    let (starts, codes) = preflight("1.36", argument, &files);
    assert_eq!((starts, codes.join(" ")), (false.into(), "argument-file-content".to_owned()));
}

#[test]
fn an_address_of_the_fourth_version_within_the_sixth_is_one_of_the_fourth() {
    for (address, starts) in [("::ffff:10.0.0.5", true), ("fd00::5", false)] {
        let argument = format!("kube-apiserver-arg: ['advertise-address={address}']");
        assert_eq!(preflight("1.36", &argument, &[]).0, starts, "{address}");
    }
}

#[test]
fn a_refused_argument_of_the_kubelet_is_named_as_it_is_written() {
    let argument = "kubelet-arg: ['eviction-soft=memory.available<750Mi']\n";
    let node = Node::new().file(CONFIG, argument);
    let output = node.run(&["preflight", "--k3s-version", "1.36", "--role", "server"]);
    let message = "the kubelet refuses it: eviction-soft is \"memory.available=750Mi\"";
    assert!(output.stdout.contains(message), "{}", output.stdout);
    let remedy = "write evictionSoftGracePeriod (eviction-soft-grace-period) for the same signals";
    assert!(output.stdout.contains(remedy), "{}", output.stdout);
}
