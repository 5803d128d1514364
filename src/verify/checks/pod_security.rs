//! Which pods are admitted (5.2): the level that Pod Security admission enforces, and the `PodSecurityPolicy` objects
//! of the minors that have them.
//!
//! Source: the Pod Security Standards (kubernetes.io/docs/concepts/security/pod-security-standards), and for the
//! version from on which a level has a check, policy/check_*.go of k8s.io/pod-security-admission.

use serde_json::Value;

use super::applied::{self, Applied};
use super::asked::{named, running, seen};
use super::pod_security_policies;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::kubernetes::object::Located;
use crate::preflight::pod_security::PodSecurity;
use crate::verify::cluster::{ObjectKind, label, name};
use crate::verify::facts::FlagOrigin;
use crate::verify::rule::{RuleOutcome, RuleResult};
use crate::verify::{Evidence, NodeFacts};
use crate::version::KubernetesMinor;

const SERVER: &str = "kube-apiserver";
const LEVEL: &str = "pod-security.kubernetes.io/enforce";
const VERSION: &str = "pod-security.kubernetes.io/enforce-version";
/// The namespace of K3s' own pods, which need what the levels forbid.
const SYSTEM: &str = "kube-system";
/// What the names of Kubernetes' own controllers begin with.
const CONTROLLERS: &str = "system:serviceaccount:kube-system:";
/// The namespace in which everybody begins.
const DEFAULT: &str = "default";

/// What pods that run as root are about, and the minor since which restricted admits some of them.
const ROOT: &str = "root";
const ROOT_IN_USER_NAMESPACES: u16 = 35;

/// A level of the Pod Security Standards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum PodSecurityLevel {
    Privileged,
    Baseline,
    Restricted,
}

/// Something that pods may ask for.
#[derive(Debug)]
pub(super) struct PodSecurityCheck {
    about: &'static str,
    /// In words, behind "pods".
    pub(super) words: &'static str,
    /// The lowest level that forbids it.
    level: PodSecurityLevel,
    /// The minor from whose version of the level on.
    since: u16,
    /// The minor from whose versions on only restricted does, whatever the level was before.
    restricted_since: Option<u16>,
    /// Whether a `PodSecurityPolicy` forbids it, by its `spec`.
    pub(super) forbids: fn(&Value) -> bool,
}

const fn check(
    about: &'static str,
    words: &'static str,
    level: PodSecurityLevel,
    since: u16,
    forbids: fn(&Value) -> bool,
) -> PodSecurityCheck {
    PodSecurityCheck { about, words, level, since, restricted_since: None, forbids }
}

impl PodSecurityCheck {
    const fn restricted_since(self, minor: u16) -> Self {
        Self { restricted_since: Some(minor), ..self }
    }

    /// The lowest level that forbids it in a version.
    fn level_in(&self, version: u16) -> PodSecurityLevel {
        if self.restricted_since.is_some_and(|since| version >= since) {
            PodSecurityLevel::Restricted
        } else {
            self.level
        }
    }
}

/// The checks. "Added" capabilities are those beyond a container runtime's own set, which baseline forbids; that pods
/// drop all of them is restricted's.
const CHECKS: [PodSecurityCheck; 14] = {
    use PodSecurityLevel::{Baseline, Restricted};
    use pod_security_policies as policy;
    [
        check("any", "that ask for more than others", Baseline, 0, policy::is_privileged_forbidden),
        check("privileged", "with privileged containers", Baseline, 0, policy::is_privileged_forbidden),
        check("host-pid", "in the host's process namespace", Baseline, 0, policy::is_host_pid_forbidden),
        check("host-ipc", "in the host's IPC namespace", Baseline, 0, policy::is_host_ipc_forbidden),
        check("host-network", "in the host's network", Baseline, 0, policy::is_host_network_forbidden),
        check(
            "privilege-escalation",
            "that may gain privileges",
            Restricted,
            8,
            policy::is_escalation_forbidden,
        ),
        check(ROOT, "that run as root", Restricted, 0, policy::is_root_forbidden),
        check("net-raw", "with the capability NET_RAW", Restricted, 22, policy::is_net_raw_dropped),
        check("added-capabilities", "with added capabilities", Baseline, 0, policy::is_adding_forbidden),
        check("capabilities", "that do not drop all capabilities", Restricted, 22, policy::is_all_dropped),
        // Such a pod has to be in the host's network (ValidatePodSpec of Kubernetes); the policies have no word for it.
        check(
            "host-process",
            "with Windows HostProcess containers",
            Baseline,
            0,
            policy::is_host_network_forbidden,
        ),
        check("host-path", "with directories of the host", Baseline, 0, policy::is_host_path_forbidden),
        check("host-ports", "with ports of the host", Baseline, 0, policy::is_host_port_forbidden),
        // Baseline admits it since then in a user namespace of the pod's own, and it is only allowed there.
        check("unmasked-proc", "with an unmasked /proc", Baseline, 0, policy::is_unmasked_proc_forbidden)
            .restricted_since(35),
    ]
};

/// What is enforced: a level as a minor has it, the newest one where none is named.
#[derive(Debug, Clone, Copy)]
struct EnforcedLevel {
    level: PodSecurityLevel,
    minor: Option<u16>,
}

impl EnforcedLevel {
    /// The version that counts: an API server knows none newer than its own.
    fn version(self, server: KubernetesMinor) -> u16 {
        self.minor.map_or(server.number(), |minor| minor.min(server.number()))
    }

    /// Tells whether an API server with it forbids something.
    fn forbids(self, check: &PodSecurityCheck, server: KubernetesMinor) -> bool {
        let version = self.version(server);
        self.level >= check.level_in(version) && version >= check.since
    }

    fn words(self) -> String {
        match self.minor {
            Some(minor) => format!("{} of v1.{minor}", self.level.name()),
            None => self.level.name().to_owned(),
        }
    }
}

impl PodSecurityLevel {
    fn name(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }

    /// A level that nobody knows counts as the strictest (`ParseLevel` in api/helpers.go).
    fn parse(text: &str) -> Self {
        match text {
            "privileged" => Self::Privileged,
            "baseline" => Self::Baseline,
            _ => Self::Restricted,
        }
    }
}

/// A version that cannot be read counts as the newest (`ParseVersion`).
fn minor(text: &str) -> Option<u16> {
    text.strip_prefix("v1.").and_then(|minor| minor.parse().ok())
}

/// What counts where a namespace says nothing, and who is exempt from everything.
struct PodSecurityDefaults {
    enforced: EnforcedLevel,
    namespaces: Vec<String>,
    evidence: Vec<Evidence>,
    /// What else is exempt, in words.
    exempt: Vec<String>,
    /// Those of it by which anybody's pods are: whoever wants to asks for a runtime class, and a controller makes the
    /// pods of all who may make what it controls.
    for_anybody: Vec<String>,
}

/// Judges by what it is about.
pub(super) fn judge(facts: &NodeFacts<'_>, about: Option<&str>) -> Result<RuleResult> {
    let about = about.unwrap_or_default();
    let check = CHECKS
        .iter()
        .find(|check| check.about == about)
        .ok_or_else(|| Error::new(ErrorKind::BadInput, format!("nobody judges pods about {about:?}")))?;
    let flags = facts.flags(SERVER);
    if let (Err(error), false) = (&facts.node.effective, matches!(flags.known, FlagOrigin::Logged(_))) {
        return Ok(RuleResult::failed(error));
    }
    let security = PodSecurity::of(&facts.node, flags.flags)?;
    let mut judgement = by_level(facts, check, &security)?;
    if security.policies && judgement.outcome != RuleOutcome::Met {
        let policies = pod_security_policies::judge(facts, check)?;
        judgement = match policies.outcome {
            RuleOutcome::Met => policies,
            // What could not be looked at may be met.
            outcome => RuleResult {
                outcome,
                actual: format!("{}; {}", judgement.actual, policies.actual),
                evidence: judgement.evidence.into_iter().chain(policies.evidence).collect(),
                ..judgement
            },
        };
    }
    if flags.known == FlagOrigin::NotLogged {
        let actual = format!(
            "K3s has started, and no log says with which arguments; at its next start: {}",
            judgement.actual
        );
        judgement = RuleResult { outcome: RuleOutcome::Unknown, actual, ..judgement };
    }
    Ok(judgement)
}

/// Judges by the levels of Pod Security admission.
fn by_level(facts: &NodeFacts<'_>, check: &PodSecurityCheck, security: &PodSecurity) -> Result<RuleResult> {
    let server = facts.node.minor;
    let least = check.level_in(server.number());
    let expected =
        format!("pods {} are not admitted: the level is {} or stricter", check.words, least.name());
    if !security.on {
        let text = "the admission plugin PodSecurity is switched off: any pod is admitted".to_owned();
        let flags = ["disable-admission-plugins", "feature-gates"];
        let place = flags.into_iter().find_map(|flag| facts.place_of(SERVER, flag));
        return Ok(RuleResult::met(false, expected, "no level is enforced", vec![Evidence { text, place }]));
    }
    let configured = configured(facts, security);
    let by_default = configured.enforced.forbids(check, server);
    let mut weak = Vec::new();
    let mut evidence = configured.evidence.clone();
    if check.about == ROOT && configured.enforced.version(server) >= ROOT_IN_USER_NAMESPACES {
        evidence.push(seen(
            "since 1.35 every level admits root in a user namespace of the pod's own (hostUsers: false), who is nobody outside of it",
        ));
    }
    let labelled = labelled(facts)?;
    if facts.started && facts.cluster.is_none() {
        let text = "labels of the cluster's namespaces, which count more, were not looked at (--live)";
        evidence.push(seen(text));
    }
    for (of, its, place) in labelled {
        let level = label(&its, LEVEL).map(PodSecurityLevel::parse);
        let version = label(&its, VERSION);
        let enforced = EnforcedLevel {
            level: level.unwrap_or(configured.enforced.level),
            minor: version.map_or(configured.enforced.minor, minor),
        };
        if configured.namespaces.contains(&of) {
            continue;
        }
        let holds = enforced.forbids(check, server);
        if !holds && of == SYSTEM {
            let level = enforced.words();
            let text = format!("the labels of {of} make its level {level}, as K3s' own pods need it");
            evidence.push(Evidence { text, place });
            continue;
        }
        if !holds && (level.is_some() || by_default) {
            let text = format!("the labels of the namespace {of} make its level {}", enforced.words());
            evidence.push(Evidence { text, place });
        }
        if !holds {
            weak.push(of);
        }
    }
    // Without a cluster only namespaces of manifests are known; what counts is then the default.
    let asked = facts.cluster.is_some();
    let open = configured.namespaces.iter().any(|exempt| exempt == DEFAULT);
    let met = (asked || by_default) && weak.is_empty() && !open && configured.for_anybody.is_empty();
    let mut actual = if !weak.is_empty() && (asked || by_default) {
        format!("weaker in {}", named(&weak))
    } else if asked && !by_default {
        format!("{} by default, and stricter in every namespace", configured.enforced.words())
    } else {
        configured.enforced.words()
    };
    let others: Vec<&String> = configured.namespaces.iter().filter(|exempt| *exempt != SYSTEM).collect();
    if !others.is_empty() {
        let shown: Vec<&str> = others.iter().map(|exempt| exempt.as_str()).collect();
        actual.push_str(&format!(", but not for {}", named(&shown)));
    }
    if !configured.exempt.is_empty() {
        actual.push_str(&format!(", nor for {}", configured.exempt.join(", ")));
    }
    Ok(RuleResult::met(met, expected, actual, evidence))
}

/// A namespace: its name, itself, and where it is written.
type Labelled = (String, Value, Option<Place>);

/// Returns the namespaces of the cluster; where it was not asked, those that manifests make: K3s applies them again and
/// again.
fn labelled(facts: &NodeFacts<'_>) -> Result<Vec<Labelled>> {
    if let Some(cluster) = running(facts)? {
        let namespaces = cluster.list(ObjectKind::Namespace)?;
        return Ok(namespaces.iter().map(|it| (name(it).to_owned(), it.clone(), None)).collect());
    }
    let made = applied::objects(facts)?.iter().filter(|object| object.kind() == "Namespace");
    let labelled = |made: &Applied| (made.name().to_owned(), made.object.clone(), Some(made.place.clone()));
    Ok(made.map(labelled).collect())
}

/// Reads the defaults and exemptions.
fn configured(facts: &NodeFacts<'_>, security: &PodSecurity) -> PodSecurityDefaults {
    let Some((path, config)) = &security.configuration else {
        let text = "nothing configures PodSecurity: Kubernetes admits any pod by default".to_owned();
        let place = facts.place_of(SERVER, "admission-control-config-file").unwrap_or_else(NodeFacts::home);
        return PodSecurityDefaults {
            enforced: EnforcedLevel { level: PodSecurityLevel::Privileged, minor: None },
            namespaces: Vec::new(),
            evidence: vec![Evidence { text, place: Some(place) }],
            exempt: Vec::new(),
            for_anybody: Vec::new(),
        };
    };
    let level = match config.enforce.as_str() {
        "" => PodSecurityLevel::Privileged,
        level => PodSecurityLevel::parse(level),
    };
    let enforced = EnforcedLevel { level, minor: minor(&config.enforce_version) };
    let at = |position| Some(Place { file: path.to_string(), position: Some(position) });
    let mut evidence = vec![Evidence {
        text: format!("defaults.enforce is {}", enforced.words()),
        place: at(config.enforce_position),
    }];
    let (mut namespaces, mut exempt, mut for_anybody) = (Vec::new(), Vec::new(), Vec::new());
    let exemptions = [
        ("namespaces", "", &config.namespaces),
        ("usernames", "user", &config.usernames),
        ("runtimeClasses", "runtime class", &config.runtime_classes),
    ];
    for (field, word, Located { value: names, position }) in exemptions {
        if names.is_empty() {
            continue;
        }
        let why = if *names == [SYSTEM] { ", as K3s' own pods need it" } else { "" };
        let text = format!("exemptions.{field} has {}{why}", named(names));
        evidence.push(Evidence { text, place: at(*position) });
        let is_anybodys = |name: &&String| field == "runtimeClasses" || name.starts_with(CONTROLLERS);
        if field != "namespaces" {
            for_anybody.extend(names.iter().filter(is_anybodys).cloned());
        }
        match word {
            "" => namespaces.clone_from(names),
            word => exempt.push(format!("the {word} {}", named(names))),
        }
    }
    if !for_anybody.is_empty() {
        evidence.push(seen(format!("anybody's pods are exempt by {}", named(&for_anybody))));
    }
    PodSecurityDefaults { enforced, namespaces, evidence, exempt, for_anybody }
}
