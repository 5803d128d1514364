// SPDX-License-Identifier: Apache-2.0
//! A report that has everything: every status, waivers, evidence with and without a place, long and hostile texts.

use std::path::PathBuf;
use std::sync::LazyLock;

use k3s_harden::Role;
use k3s_harden::error::Place;
use k3s_harden::k3s::DEFAULT_CONFIG;
use k3s_harden::node::RootedPath;
use k3s_harden::output::ReportOrigin;
use k3s_harden::verify::{ControlVerdict, Evidence, ReportHistory, Status, VerifyReport, Waiver};

/// What a hostile node would like to have shown.
pub(crate) const HOSTILE: &str = "</script><img src=x onerror=alert(1)>\u{1b}[2J\u{1b}]0;owned\u{7}\r\n- [x](http://evil.example/) {0} ]]> & \"'\u{9b}31m\u{202e}\u{0}\u{fffe}";

/// When and where.
pub(crate) static TAKEN: LazyLock<ReportOrigin> = LazyLock::new(|| ReportOrigin {
    host: Some("node-1".to_owned()),
    machine_id_sha256: Some("84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882".to_owned()),
    time: Some("2026-11-25T09:00:00Z".to_owned()),
    tool_version: "0.2.0".to_owned(),
    k3s_version: Some("v1.33.4+k3s1".to_owned()),
    assumed: None,
});

/// Where a hostile node says that it is.
pub(crate) fn hostile_origin() -> ReportOrigin {
    let text = || Some(HOSTILE.to_owned());
    ReportOrigin {
        host: text(),
        machine_id_sha256: text(),
        time: text(),
        k3s_version: text(),
        ..TAKEN.clone()
    }
}

/// Every status, as it is on a node that has started.
pub(crate) fn report() -> VerifyReport {
    let mut report = VerifyReport {
        root: PathBuf::from("/"),
        config: RootedPath::fixed(DEFAULT_CONFIG),
        role: Role::Server,
        kubernetes: "1.33".parse().unwrap(),
        benchmark: "1.11".to_owned(),
        started: true,
        verdicts: vec![
            verdict("1.1.7", "etcd-pod-file-mode", "The etcd pod file is private", Status::NotApplicable)
                .actual("K3s has no pod specification files for the control plane"),
            verdict("1.1.8", "etcd-pod-file-owner", "The etcd pod file belongs to root", Status::NotApplicable)
                .actual("K3s has no pod specification files for the control plane"),
            verdict("1.1.11", "etcd-data-directory-mode", "The etcd data directory is private", Status::NotApplicable)
                .actual("the datastore is sqlite"),
            verdict("1.1.20", "pki-certificate-mode", "Certificates are not writable by others", Status::Pass)
                .expected("mode 0644 or stricter")
                .actual("0600")
                .seen("mode 0600, owner 0:0", Some(("/var/lib/rancher/k3s/server/tls/server-ca.crt", None))),
            verdict("1.2.1", "anonymous-auth", "The API server refuses anonymous requests", Status::Pass)
                .expected("kube-apiserver --anonymous-auth is false")
                .actual("false")
                .seen("kube-apiserver gets, by K3s itself, --anonymous-auth=false", None),
            verdict("1.2.9", "event-rate-limit", "Admission plugin EventRateLimit is on", Status::Warn)
                .expected("kube-apiserver --enable-admission-plugins has EventRateLimit")
                .actual("NodeRestriction")
                .seen(
                    "kube-apiserver gets --enable-admission-plugins=NodeRestriction",
                    Some(("/etc/rancher/k3s/config.yaml", Some((7, 5)))),
                )
                .remedy("Run `k3s-harden apply --set event_rate_limit=true`, and restart K3s."),
            verdict("1.2.16", "audit-log-path", "The API server writes an audit log", Status::Fail)
                .expected("kube-apiserver --audit-log-path is set")
                .actual("not set")
                .seen(
                    "nothing sets --audit-log-path of kube-apiserver",
                    Some(("/etc/rancher/k3s/config.yaml", None)),
                )
                .seen(
                    "after the next start met, according to the K3s configuration: kube-apiserver gets --audit-log-path=/var/lib/rancher/k3s/server/logs/audit.log",
                    Some(("/etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml", Some((12, 5)))),
                )
                .remedy("Run `k3s-harden apply`, which sets it:\n    kube-apiserver-arg:\n      - audit-log-path=/var/lib/rancher/k3s/server/logs/audit.log\nRestart K3s."),
            verdict("1.2.30", "service-account-extend-token-expiration", "Bound service account tokens are not extended", Status::Fail)
                .expected("kube-apiserver --service-account-extend-token-expiration is false")
                .actual("true")
                .seen("nothing sets --service-account-extend-token-expiration of kube-apiserver: the default is true", None)
                .remedy("Set it to false.")
                .waived(),
            verdict("2.1", "etcd-cert-file", "etcd serves with a certificate", Status::NotApplicable)
                .actual("the datastore is sqlite"),
            verdict("3.2.2", "audit-policy-key-concerns", "The audit policy covers the key security concerns", Status::Manual)
                .expected("whether the rules for Secrets, ConfigMaps and TokenReviews log at level Metadata, and pods/exec and the other ways into a pod at level Metadata or above")
                .seen("the policy has 3 rules", Some(("/var/lib/rancher/k3s/server/audit.yaml", Some((4, 1)))))
                .remedy("Write what is missing into the policy."),
            verdict("4.1.5", "kubelet-kubeconfig-mode", "The kubelet's kubeconfig is private", Status::Unknown)
                .expected("mode 0600 or stricter")
                .actual("cannot look at /var/lib/rancher/k3s/agent/kubelet.kubeconfig: Permission denied")
                .seen("cannot look at /var/lib/rancher/k3s/agent/kubelet.kubeconfig: Permission denied", None)
                .remedy("Run it as root."),
            verdict("4.2.13", "pod-max-pids", "Process ids per pod are limited", Status::Warn)
                .expected("kubelet --pod-max-pids is set")
                .actual("-1")
                .seen("the kubelet's configuration has podPidsLimit: -1", Some(("/var/lib/rancher/k3s/agent/etc/kubelet.conf.d/00-k3s-defaults.conf", Some((31, 16)))))
                .remedy("k3s-harden apply --set pod_max_pids=4096")
                .waived(),
            verdict("5.1.1", "cluster-admin-role", "cluster-admin is used only where it has to be", Status::Manual)
                .expected("who is bound to cluster-admin")
                .remedy("Give them roles with fewer rights."),
            verdict("5.3.2", "network-policies", "Every namespace has a NetworkPolicy", Status::Pass)
                .expected("a NetworkPolicy for every namespace of K3s")
                .actual("kube-system, kube-public, kube-node-lease, default")
                .seen("NetworkPolicy intra-namespace in kube-system", Some(("/var/lib/rancher/k3s/server/manifests/policy.yaml", Some((11, 1))))),
            verdict("5.6.4", "default-namespace", "The default namespace is not used", Status::Unknown)
                .expected("nothing but the service kubernetes in the default namespace")
                .actual("only a running cluster knows"),
        ]
        .into_iter()
        .map(|made| made.0)
        .collect(),
        history: ReportHistory::default(),
        findings: vec![
            Evidence {
                text: "the waiver for 1.2.19 has expired on 2026-10-31".to_owned(),
                place: Some(Place { file: "/etc/k3s-harden/waivers.yaml".to_owned(), position: Some((14, 3)) }),
            },
            Evidence { text: "no control is called audit-log-maxagee".to_owned(), place: None },
        ],
    };
    for verdict in &mut report.verdicts {
        verdict.level = if verdict.id.to_string() == "1.2.9" { 2 } else { 1 };
    }
    report
}

/// A node on which K3s has not started, with its report.
pub(crate) fn forecast() -> VerifyReport {
    let mut report = report();
    report.started = false;
    report.root = PathBuf::from("/mnt/image");
    report
}

/// Every text of the node, hostile.
pub(crate) fn hostile() -> VerifyReport {
    let mut report = report();
    report.root = PathBuf::from(format!("/mnt/{HOSTILE}"));
    for verdict in &mut report.verdicts {
        for text in [&mut verdict.expected, &mut verdict.actual, &mut verdict.remedy, &mut verdict.title] {
            HOSTILE.clone_into(text);
        }
        verdict.evidence.push(hostile_evidence());
        if let Some(waiver) = &mut verdict.waiver {
            for text in [&mut waiver.control, &mut waiver.reason, &mut waiver.who] {
                HOSTILE.clone_into(text);
            }
            for text in [&mut waiver.ticket, &mut waiver.value] {
                *text = Some(HOSTILE.to_owned());
            }
        }
    }
    report.findings.push(hostile_evidence());
    report
}

fn hostile_evidence() -> Evidence {
    let place = Place { file: format!("/etc/rancher/k3s/{HOSTILE}"), position: Some((1, 2)) };
    Evidence { text: HOSTILE.to_owned(), place: Some(place) }
}

/// A verdict in the making.
struct Made(ControlVerdict);

fn verdict(id: &str, name: &str, title: &str, status: Status) -> Made {
    Made(ControlVerdict {
        id: id.parse().unwrap(),
        name: name.to_owned(),
        title: title.to_owned(),
        level: 1,
        automated: !matches!(status, Status::Warn | Status::Manual),
        status,
        expected: String::new(),
        actual: String::new(),
        evidence: Vec::new(),
        remedy: String::new(),
        waiver: None,
        lapsed: false,
    })
}

impl Made {
    fn expected(mut self, text: &str) -> Self {
        text.clone_into(&mut self.0.expected);
        self
    }

    fn actual(mut self, text: &str) -> Self {
        text.clone_into(&mut self.0.actual);
        self
    }

    fn seen(mut self, text: &str, place: Option<(&str, Option<(usize, usize)>)>) -> Self {
        let place = place.map(|(file, position)| Place { file: file.to_owned(), position });
        self.0.evidence.push(Evidence { text: text.to_owned(), place });
        self
    }

    fn remedy(mut self, text: &str) -> Self {
        text.clone_into(&mut self.0.remedy);
        self
    }

    fn waived(mut self) -> Self {
        self.0.waiver = Some(Waiver {
            control: self.0.name.clone(),
            reason: "an old client keeps its tokens for a day".to_owned(),
            who: "J. Doe, platform team".to_owned(),
            ticket: Some("SEC-117".to_owned()),
            until: Some("2027-01-31".parse().unwrap()),
            value: None,
            place: Some(Place { file: "/etc/k3s-harden/waivers.yaml".to_owned(), position: Some((3, 3)) }),
        });
        self
    }
}
