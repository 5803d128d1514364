// SPDX-License-Identifier: Apache-2.0
//! The explanation of a control or a setting as text and JSON (docs/schema/explain.json).

use serde_json::{Map, Value, json};

use super::origin::ReportOrigin;
use super::screen::{Ink, ScreenText, Style};
use super::visible::visible;
use super::wrap::{MIN_WIDTH, wrap};
use crate::Role;
use crate::error::Place;
use crate::explain::{
    BenchmarkNumber, ControlExplanation, ExplainedNode, Explanation, Pitfall, ProfileValue, ScannerMistake,
    SetBy, SetterKind, SettingExplanation, TopicKind,
};
use crate::k3s::{PolicyEnforcement, PolicyEnforcer};
use crate::scanner::{CheckKind, ScannerCheck};
use crate::version::KubernetesMinor;

/// A value that is longer is written only once.
const MAX_REPEATED_LENGTH: usize = 40;

/// Returns the explanation for programs.
#[must_use]
pub fn explain_json(explanation: &Explanation, here: &ExplainedNode<'_>, origin: &ReportOrigin) -> Value {
    let node = &here.facts.node;
    let mut json = json!({
        "topic": explanation.topic,
        "kind": explanation.kind,
        "root": node.root.path().display().to_string(),
        "role": node.role,
        "kubernetes": node.minor().judged().to_string(),
        "benchmark": here.benchmark,
        "controls": explanation.controls.iter().map(control_json).collect::<Vec<_>>(),
    });
    if let Some(setting) = &explanation.setting {
        json["setting"] = setting_json(setting);
    }
    origin.answer(json)
}

fn control_json(about: &ControlExplanation) -> Value {
    let mut json = json!({
        "name": about.name,
        "title": about.title,
        "why": about.why.text,
        "source": about.why.source,
        "remedy": about.remedy,
        "roles": about.roles,
        "ids": about.ids.iter().map(id_json).collect::<Vec<_>>(),
        "settings": about.settings.iter().map(setting_json).collect::<Vec<_>>(),
        "set_by": about.set_by.iter().map(set_by_json).collect::<Vec<_>>(),
        "scanners": about.scanners.iter().map(check_json).collect::<Vec<_>>(),
        "mistakes": about.mistakes.iter().map(mistake_json).collect::<Vec<_>>(),
        "pitfalls": about.pitfalls.iter().map(|pitfall| json!({"text": pitfall.text, "source": pitfall.source})).collect::<Vec<_>>(),
    });
    if let Some(enforced) = &about.enforced_by {
        json["enforced_by"] = enforced_json(enforced);
    }
    json
}

fn enforced_json(enforced: &PolicyEnforcement) -> Value {
    let (by, network) = match enforced.by {
        PolicyEnforcer::K3s => ("k3s", None),
        PolicyEnforcer::Network(name) => ("network", Some(name)),
        PolicyEnforcer::Nobody => ("nobody", None),
        PolicyEnforcer::Unknown => ("unknown", None),
    };
    let because = enforced.because.iter().map(|fact| {
        let mut json = json!({"text": fact.text});
        if let Some(place) = &fact.place {
            json["file"] = place.file.clone().into();
            if let Some((line, column)) = place.position {
                json["line"] = line.into();
                json["column"] = column.into();
            }
        }
        json
    });
    let mut json = json!({"by": by, "because": because.collect::<Vec<_>>()});
    if let Some(network) = network {
        json["network"] = network.into();
    }
    json
}

fn id_json(id: &BenchmarkNumber) -> Value {
    json!({"benchmark": id.benchmark, "id": id.id.to_string(), "level": id.level, "automated": id.automated})
}

fn setting_json(setting: &SettingExplanation) -> Value {
    let default = |default: &ProfileValue| {
        json!({
            "profile": default.profile,
            "from": default.from.to_string(),
            "to": default.to.to_string(),
            "value": default.value,
        })
    };
    let mut json = json!({
        "name": setting.name,
        "description": setting.description,
        "takes": setting.takes,
        "value": setting.value,
        "origin": setting.origin,
        "defaults": setting.defaults.iter().map(default).collect::<Vec<_>>(),
    });
    if let Some(guide) = &setting.guide {
        json["guide"] = json!({"value": guide.value, "why": guide.why, "source": guide.source});
    }
    json
}

fn set_by_json(set: &SetBy) -> Value {
    let mut json = Map::new();
    json.insert("what".to_owned(), set.what.clone().into());
    json.insert("by".to_owned(), json!(set.by));
    if let Some(value) = &set.value {
        json.insert("value".to_owned(), value.clone().into());
    }
    if let Some(place) = &set.place {
        json.insert("file".to_owned(), place.file.clone().into());
        if let Some((line, column)) = place.position {
            json.insert("line".to_owned(), line.into());
            json.insert("column".to_owned(), column.into());
        }
    }
    Value::Object(json)
}

fn check_json(check: &ScannerCheck) -> Value {
    let mut json = json!({
        "scanner": check.scanner.to_string(),
        "benchmark": check.benchmark,
        "id": check.id.to_string(),
        "does": check.does,
        "can_fail": check.can_fail,
    });
    if let Some(note) = check.note {
        json["note"] = note.into();
    }
    json
}

fn mistake_json(mistake: &ScannerMistake) -> Value {
    let mut json = json!({"text": mistake.text, "source": mistake.source});
    if let Some(please) = &mistake.please {
        json["please"] = please.clone().into();
    }
    if let Some(last) = &mistake.last {
        json["misread"] = last.misread.clone().into();
        json["last_here"] = last.here.clone().into();
    }
    json
}

/// Returns the explanation for people; without a width the text is not wrapped.
#[must_use]
pub fn explain_text(
    explanation: &Explanation,
    here: &ExplainedNode<'_>,
    style: Style,
    width: Option<usize>,
) -> ScreenText {
    let mut page =
        ExplainText { text: ScreenText::new(style), width: width.map(|width| width.max(MIN_WIDTH)) };
    let is_setting = explanation.kind == TopicKind::Setting;
    if let Some(setting) = explanation.setting.as_ref().filter(|_| is_setting) {
        page.title(&format!("setting {}", setting.name));
        page.setting(setting, here.facts.node.minor());
        let names: Vec<&str> = explanation.controls.iter().map(|about| about.name.as_str()).collect();
        if names.is_empty() {
            page.line(2, "It affects no control.");
        } else {
            page.line(2, &format!("It affects {}.", names.join(", ")));
        }
    }
    for (index, about) in explanation.controls.iter().enumerate() {
        if is_setting || index > 0 {
            page.text.end();
        }
        page.control(about, here, explanation.setting.as_ref().filter(|_| is_setting));
    }
    page.text
}

/// Builds the text.
struct ExplainText {
    text: ScreenText,
    width: Option<usize>,
}

impl ExplainText {
    /// Writes the explanation of a control; `shown` is a setting that the text already explains.
    fn control(
        &mut self,
        about: &ControlExplanation,
        here: &ExplainedNode<'_>,
        shown: Option<&SettingExplanation>,
    ) {
        let own = about.ids.iter().find(|id| id.benchmark == here.benchmark);
        let number = own.map(|id| format!("{} ", id.id)).unwrap_or_default();
        self.title(&format!("{number}{}: {}", about.name, about.title));
        match own {
            Some(own) => {
                self.line(2, &format!("CIS {}, {}, {}", here.benchmark, level(own), nodes(&about.roles)));
            }
            None => self.line(2, &format!("not in CIS {}; {}", here.benchmark, nodes(&about.roles))),
        }

        self.head("Why");
        self.sourced(&about.why);

        self.head("Set by");
        for set in &about.set_by {
            self.set_by(set);
        }
        if !about.roles.contains(&here.facts.node.role) {
            self.line(2, &format!("nothing: it does not apply to {}s", here.facts.node.role));
        } else if about.set_by.is_empty() {
            self.line(2, "no file of this node");
        }
        if let Some(enforced) = &about.enforced_by {
            self.head("Enforced by");
            self.line(
                2,
                match enforced.by {
                    PolicyEnforcer::K3s => "K3s's own controller",
                    PolicyEnforcer::Network(name) => name,
                    PolicyEnforcer::Nobody => "nobody",
                    PolicyEnforcer::Unknown => "that is not known",
                },
            );
            for fact in &enforced.because {
                match &fact.place {
                    Some(place) => self.line(4, &format!("{place}: {}", fact.text)),
                    None => self.line(4, &fact.text),
                }
            }
        }
        self.head("Fix");
        self.line(2, &about.remedy);

        let settings: Vec<&SettingExplanation> = about
            .settings
            .iter()
            .filter(|setting| shown.is_none_or(|shown| shown.name != setting.name))
            .collect();
        if !settings.is_empty() {
            self.head("Settings");
        }
        for setting in settings {
            self.setting(setting, here.facts.node.minor());
        }

        self.head("In the benchmarks");
        for same in about.ids.chunk_by(|one, next| (&one.id, level(one)) == (&next.id, level(next))) {
            let names: Vec<&str> = same.iter().map(|id| id.benchmark).collect();
            self.line(2, &format!("{:7} {} ({})", same[0].id.to_string(), names.join(", "), level(&same[0])));
        }

        self.head("Scanners");
        if about.scanners.is_empty() {
            self.line(2, "not part of any scanner benchmark for K3s");
        }
        for (treatment, checks) in by_treatment(&about.scanners) {
            let numbers = checks.chunk_by(|one, next| one.id == next.id).map(|same| {
                let names: Vec<&str> = same.iter().map(|check| check.benchmark).collect();
                format!("{} in {}", same[0].id, names.join(", "))
            });
            self.line(2, &format!("{treatment}: {}", numbers.collect::<Vec<_>>().join("; ")));
        }
        if !about.mistakes.is_empty() {
            self.head("False results of scanners");
        }
        for mistake in &about.mistakes {
            self.mistake(mistake);
        }
        if !about.pitfalls.is_empty() {
            self.head("Pitfalls on K3s");
        }
        for pitfall in &about.pitfalls {
            self.sourced(pitfall);
        }
    }

    fn set_by(&mut self, set: &SetBy) {
        let what = match &set.value {
            Some(value) => format!("{}={value}", set.what),
            None => set.what.clone(),
        };
        let file = set.place.as_ref().map(place).unwrap_or_default();
        self.line(
            2,
            &match (set.by, file.as_str()) {
                (SetterKind::Node, file) => format!("{file}: {what}"),
                (SetterKind::K3s, "") => format!("K3s itself: {what}"),
                (SetterKind::K3s, file) => format!("{file}: {what}, created by K3s"),
                (SetterKind::Apply, file) => format!("{file}: {what}, after `k3s-harden apply`"),
                (SetterKind::Setting, file) => {
                    format!("{file}: {what}, if enabled by a setting (--set NAME=VALUE)")
                }
            },
        );
    }

    fn setting(&mut self, setting: &SettingExplanation, minor: KubernetesMinor) {
        self.line(2, &format!("{}: {}  # {}", setting.name, setting.value, setting.origin));
        self.line(4, &format!("{} Value: {}.", setting.description, setting.takes));
        if !setting.kubernetes.contains(minor) {
            self.line(4, &format!("Not used on Kubernetes {minor}, only on {}.", setting.kubernetes));
        }
        let mut values: Vec<(&Value, Vec<String>)> = Vec::new();
        for default in &setting.defaults {
            let whole = setting.defaults.iter().filter(|other| other.profile == default.profile).count() == 1;
            let who = match (whole, default.from == default.to) {
                (true, _) => default.profile.to_owned(),
                (false, true) => format!("{} on {}", default.profile, default.from),
                (false, false) => format!("{} on {} to {}", default.profile, default.from, default.to),
            };
            match values.iter_mut().find(|(value, _)| *value == &default.value) {
                Some((_, profiles)) => profiles.push(who),
                None => values.push((&default.value, vec![who])),
            }
        }
        for (value, profiles) in &values {
            let who = if values.len() == 1 { "every profile".to_owned() } else { profiles.join(", ") };
            let shown = value.to_string();
            let is_long = shown.len() > MAX_REPEATED_LENGTH && *value == &setting.value;
            self.line(4, &format!("{} in {who}", if is_long { "the same" } else { &shown }));
        }
        if let Some(guide) = &setting.guide {
            self.line(
                4,
                &format!(
                    "The hardening guide of K3s has {}; the default of k3s-harden differs. {} [{}]",
                    guide.value, guide.why, guide.source
                ),
            );
        }
    }

    fn mistake(&mut self, mistake: &ScannerMistake) {
        self.sourced(&Pitfall { text: mistake.text.clone(), source: mistake.source.clone() });
        if let Some(last) = &mistake.last {
            self.line(4, &format!("As this node is configured now, the last one is {}.", last.here));
        }
        if let Some(please) = &mistake.please {
            self.line(4, &format!("→ {please}"));
        }
    }

    fn sourced(&mut self, pitfall: &Pitfall) {
        self.line(2, &format!("{} [{}]", pitfall.text, pitfall.source));
    }

    fn title(&mut self, text: &str) {
        self.text.paint_line(Ink::Bold, text);
    }

    fn head(&mut self, text: &str) {
        self.text.end();
        self.text.paint_line(Ink::BoldCyan, text);
    }

    /// Writes a paragraph; its other lines are indented by two more columns.
    fn line(&mut self, indent: usize, text: &str) {
        let within = |indent: usize| self.width.map(|width| width.saturating_sub(indent));
        let lines = wrap(&visible(text), within(indent), within(indent + 2));
        for (index, line) in lines.iter().enumerate() {
            let indent = if index == 0 { indent } else { indent + 2 };
            self.text.line(format!("{:indent$}{line}", ""));
        }
    }
}

fn level(id: &BenchmarkNumber) -> String {
    format!("level {}, {}", id.level, if id.automated { "automated" } else { "manual" })
}

fn nodes(roles: &[Role]) -> &'static str {
    match roles {
        [Role::Server] => "about servers",
        [Role::Agent] => "about agents",
        _ => "about servers and agents",
    }
}

/// Groups the benchmarks in which a scanner treats a control in the same way.
fn by_treatment(checks: &[ScannerCheck]) -> Vec<(String, Vec<&ScannerCheck>)> {
    let mut groups: Vec<(String, Vec<&ScannerCheck>)> = Vec::new();
    for check in checks {
        let treatment = format!("{} {}", check.scanner, treatment(check));
        match groups.iter_mut().find(|(known, _)| *known == treatment) {
            Some((_, same)) => same.push(check),
            None => groups.push((treatment, vec![check])),
        }
    }
    groups
}

/// Describes how a scanner treats a control.
fn treatment(check: &ScannerCheck) -> String {
    let does = match (check.does, check.can_fail) {
        (CheckKind::Checks, true) => "checks it",
        (CheckKind::Checks, false) => "checks it, but only warns",
        (CheckKind::LeavesOut, _) => "leaves it out as not applicable",
        (CheckKind::LeavesToAPerson, _) => "marks it as manual",
    };
    check.note.map_or_else(|| does.to_owned(), |note| format!("{does} ({note})"))
}

fn place(place: &Place) -> String {
    match place.position {
        Some((line, _)) => format!("{}:{line}", place.file),
        None => place.file.clone(),
    }
}
