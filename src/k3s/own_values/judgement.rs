// SPDX-License-Identifier: Apache-2.0
//! What K3s refuses in its own values, once its command line has parsed them (data/own-values.yaml).

use super::reader::{Answer, OwnReader};
use super::rules::{Ending, OwnCheck, OwnRule, OwnRules, RuleReach, UnjudgedValue};
use super::{components, credentials, datastore, etcd, files, joining, labels, network, texts};
use crate::Role;
use crate::error::{Place, Result};
use crate::k3s::effective::EffectiveConfig;
use crate::k3s::flags;
use crate::k3s::node_config::NodeConfig;

/// A value that K3s refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnFault {
    /// The flag.
    pub key: &'static str,
    /// Where it is set; none if only its default counts.
    pub place: Option<Place>,
    /// What is wrong, without secrets.
    pub message: String,
    /// K3s's message; empty if it has none.
    pub says: String,
    /// What K3s does.
    pub ends: Ending,
    /// What to write instead.
    pub write: &'static str,
}

/// How the values of a flag are judged, with the sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlagJudgement {
    /// By checks of the table: what K3s's source says of each.
    Checked(Vec<&'static str>),
    /// By another check: which.
    Elsewhere(&'static str),
    /// Every value is fine: as which source says.
    AnyValue(&'static str),
    /// Not at all: why, and the source.
    NotJudged(&'static str, &'static str),
}

/// Returns how the values of a flag are judged in a role, by its long name; none if the table does not have it.
#[must_use]
pub fn judgement(role: Role, name: &str) -> Option<FlagJudgement> {
    let rules = OwnRules::get();
    let has = |keys: &[String]| keys.iter().any(|key| key == name);
    // A flag of another check may take part in checks of this table.
    if let Some(row) = rules.elsewhere.iter().find(|row| has(&row.keys)) {
        return Some(FlagJudgement::Elsewhere(&row.by));
    }
    let sources: Vec<&str> = rules
        .checks
        .iter()
        .filter(|rule| rule.is_of(role) && has(&rule.keys))
        .map(|rule| rule.source.as_str())
        .collect();
    if !sources.is_empty() {
        return Some(FlagJudgement::Checked(sources));
    }
    let of_role = |row: &&UnjudgedValue| row.role.is_none_or(|only| only == role) && has(&row.keys);
    if let Some(row) = rules.not_judged.iter().find(of_role) {
        return Some(FlagJudgement::NotJudged(&row.why, &row.source));
    }
    rules.any.iter().find(|row| has(&row.keys)).map(|row| FlagJudgement::AnyValue(&row.source))
}

/// Returns what K3s refuses in its own values, in the order in which it looks at them.
///
/// # Errors
/// If a file that a value names cannot be looked at.
pub fn faults(node: &NodeConfig<'_>, config: &EffectiveConfig) -> Result<Vec<OwnFault>> {
    let reader = OwnReader::new(node, config)?;
    let mut found = Vec::new();
    for rule in OwnRules::get().checks.iter().filter(|rule| rule.is_of(node.role)) {
        let reach = rule.reach(node.minor());
        if reach == RuleReach::Absent || !rule.when.iter().all(|condition| reader.holds(condition)) {
            continue;
        }
        found.extend(match (judge(&reader, rule)?, reach) {
            (Answer::Fine, _) => None,
            (Answer::Unknown(why), _) => Some(undecided(&reader, rule, &why)),
            (Answer::Wrong { .. }, RuleReach::Unknown) => {
                let why = format!("unknown whether K3s of {} rejects the value", node.minor());
                Some(undecided(&reader, rule, &why))
            }
            (Answer::Wrong { value, detail, ends }, _) => {
                let fault = refused(&reader, rule, &value, &detail, ends.unwrap_or(rule.ends));
                Some(match doubt(&reader, rule, node) {
                    // It is wrong in each release: only the newer ones say so.
                    Some(doubt) => OwnFault {
                        message: format!("{}; {doubt}, and older servers skip the key", fault.message),
                        ..fault
                    },
                    None => fault,
                })
            }
        });
    }
    Ok(found)
}

fn judge(reader: &OwnReader<'_>, rule: &OwnRule) -> Result<Answer> {
    Ok(match rule.check {
        OwnCheck::OneOf => texts::one_of(reader, rule),
        OwnCheck::OneOfWithOptions => texts::one_of_with_options(reader, rule),
        // The conditions alone are the check.
        OwnCheck::Refused => Answer::wrong(""),
        OwnCheck::Given => joining::given(reader, rule),
        OwnCheck::Ascii => texts::ascii(reader, rule),
        OwnCheck::PositiveDuration => texts::positive_duration(reader, rule),
        OwnCheck::NotNegative => texts::not_negative(reader, rule),
        OwnCheck::Vmodule => texts::vmodule(reader, rule),
        OwnCheck::JsonArguments => texts::json_arguments(reader, rule),
        OwnCheck::Issuer => texts::issuer(reader, rule),
        OwnCheck::Audience => texts::audience(reader, rule),
        OwnCheck::Addresses => network::addresses(reader, rule),
        OwnCheck::FlagAddress => network::flag_address(reader, rule),
        OwnCheck::ListenAddress => network::listen_address(reader, rule)?,
        OwnCheck::Interface => network::interface(reader, rule),
        OwnCheck::Cidrs => network::cidrs(reader, rule),
        OwnCheck::ServiceBlockSize => network::service_block_size(reader, rule),
        OwnCheck::DefaultDns => network::default_dns(reader, rule),
        OwnCheck::ServiceBlocks => network::service_blocks(reader, rule),
        OwnCheck::ServiceBlockLarge => network::service_block_large(reader, rule),
        OwnCheck::PublicFamily => network::public_family(reader, rule),
        OwnCheck::BlockFamilies => network::block_families(reader, rule),
        OwnCheck::Port => network::port(reader, rule),
        OwnCheck::PortRange => network::port_range(reader, rule),
        OwnCheck::PortRangeThere => network::port_range_there(reader, rule),
        OwnCheck::SupervisorPort => network::supervisor_port(reader),
        OwnCheck::SupervisorPortZero => network::supervisor_port_zero(reader),
        OwnCheck::ApiserverPort => network::apiserver_port(reader),
        OwnCheck::PortsDiffer => network::ports_differ(reader),
        OwnCheck::ComponentPort => components::component_port(reader, rule),
        OwnCheck::PortFree => components::port_free(reader, rule),
        OwnCheck::NodeBlocks => components::node_blocks(reader),
        OwnCheck::FileAppears => files::file_appears(reader, rule)?,
        OwnCheck::LogFile => files::log_file(reader, rule)?,
        OwnCheck::KubeconfigFile => files::kubeconfig_file(reader, rule)?,
        OwnCheck::RestorePath => files::restore_path(reader, rule)?,
        OwnCheck::AgentFile => files::agent_file(reader, rule)?,
        OwnCheck::EncryptionProvider => files::encryption_provider(reader, rule)?,
        OwnCheck::TokenThere => joining::token_there(reader)?,
        OwnCheck::ServerToken => joining::server_token(reader),
        OwnCheck::AgentToken => joining::agent_token(reader),
        OwnCheck::VpnAuth => joining::vpn_auth(reader)?,
        OwnCheck::AgentUrl => joining::agent_url(reader, rule),
        OwnCheck::HttpsScheme => joining::https_scheme(reader, rule),
        OwnCheck::HttpsUrl => joining::https_url(reader, rule),
        OwnCheck::JoinsItself => joining::joins_itself(reader, rule),
        OwnCheck::JoinsWithoutToken => joining::joins_without_token(reader, rule),
        OwnCheck::EndpointForm => datastore::form(reader),
        OwnCheck::EndpointScheme => datastore::scheme(reader, rule),
        OwnCheck::EndpointHost => datastore::host(reader),
        OwnCheck::EndpointAnswers => datastore::answers(reader),
        OwnCheck::MysqlDsn => datastore::mysql(reader),
        OwnCheck::PostgresUrl => datastore::postgres(reader),
        OwnCheck::SqliteFile => datastore::sqlite(reader)?,
        OwnCheck::DatastoreFile => datastore::file(reader, rule)?,
        OwnCheck::EtcdArguments => etcd::arguments(reader, rule),
        OwnCheck::DatastorePair => datastore::pair(reader),
        OwnCheck::NodeLabels => labels::labels(reader, rule),
        OwnCheck::NodeTaints => labels::taints(reader, rule),
        OwnCheck::CredentialProviders => credentials::credential_providers(reader, rule)?,
        OwnCheck::NodeName => texts::node_name(reader, rule),
    })
}

/// Returns the flags of a rule that are set, with the value of the first unless it is a secret; the first if none is.
fn subject(reader: &OwnReader<'_>, rule: &OwnRule) -> String {
    let set: Vec<&str> =
        rule.keys.iter().map(String::as_str).filter(|key| reader.given(key).is_some()).collect();
    match set.as_slice() {
        [] => rule.key().to_owned(),
        [key] if !flags::is_secret(key) => format!("{key}: {}", reader.items(key).join(",")),
        keys => keys.join(", "),
    }
}

/// Returns which releases have a flag of the rule that is set, if the node's may be another one.
fn doubt(reader: &OwnReader<'_>, rule: &OwnRule, node: &NodeConfig<'_>) -> Option<String> {
    let set = rule.keys.iter().filter(|key| reader.given(key).is_some());
    set.filter_map(|key| flags::of_any_minor(node.role, key)).find_map(|flag| flag.doubt(node.release))
}

fn place(reader: &OwnReader<'_>, rule: &OwnRule) -> Option<Place> {
    rule.keys.iter().find_map(|key| reader.place(key))
}

fn refused(
    reader: &OwnReader<'_>,
    rule: &'static OwnRule,
    value: &str,
    detail: &str,
    ends: Ending,
) -> OwnFault {
    let says = rule.says.replace("{value}", value).replace("{detail}", detail);
    let subject = subject(reader, rule);
    let message = match ends {
        Ending::Exits => format!("{subject}: K3s exits: {says}"),
        Ending::Waits => format!("{subject}: K3s waits for ever: {says}"),
        Ending::WaitsThenExits => format!("{subject}: K3s waits four minutes, and exits: {says}"),
        Ending::ComesUp | Ending::Undecided => format!("{subject}: {detail}"),
    };
    let says = if ends == Ending::ComesUp { String::new() } else { says };
    OwnFault { key: rule.key(), place: place(reader, rule), message, says, ends, write: &rule.write }
}

fn undecided(reader: &OwnReader<'_>, rule: &'static OwnRule, why: &str) -> OwnFault {
    OwnFault {
        key: rule.key(),
        place: place(reader, rule),
        message: format!("{}: {why}", subject(reader, rule)),
        says: String::new(),
        ends: Ending::Undecided,
        write: &rule.write,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::Write as _;

    use super::*;
    use crate::Role;

    /// Writes past the capture of the test's output, so that every `cargo test` shows the coverage.
    #[test]
    fn each_flag_stands_in_the_table() {
        let mut text = String::new();
        for role in [Role::Server, Role::Agent] {
            let names: Vec<&str> = flags::all(role).iter().map(|flag| flag.names[0].as_str()).collect();
            let missing: Vec<&&str> = names.iter().filter(|name| judgement(role, name).is_none()).collect();
            assert!(missing.is_empty(), "{role}: not in the table: {missing:?}");
            let count = |wanted: fn(&FlagJudgement) -> bool| {
                names.iter().filter(|name| judgement(role, name).is_some_and(|it| wanted(&it))).count()
            };
            text += &format!(
                "{role}: {} flags: {} judged, {} by other checks, {} with any value, not judged:",
                names.len(),
                count(|it| matches!(it, FlagJudgement::Checked(_))),
                count(|it| matches!(it, FlagJudgement::Elsewhere(_))),
                count(|it| matches!(it, FlagJudgement::AnyValue(_))),
            );
            for name in &names {
                if let Some(FlagJudgement::NotJudged(why, _)) = judgement(role, name) {
                    text += &format!(" {name} ({why})");
                }
            }
            text.push('\n');
        }
        std::io::stderr().write_all(text.as_bytes()).unwrap();
    }

    /// A flag with any value has no other row in the same role.
    #[test]
    fn each_flag_is_judged_in_one_way() {
        let rules = OwnRules::get();
        for role in [Role::Server, Role::Agent] {
            let checked = rules.checks.iter().filter(|rule| rule.is_of(role)).map(|rule| &rule.keys[..1]);
            let rows = rules.any.iter().map(|row| &row.keys[..]);
            let rows = rows.chain(rules.elsewhere.iter().map(|row| &row.keys[..]));
            let unjudged = rules.not_judged.iter().filter(|row| row.role.is_none_or(|only| only == role));
            let rows = rows.chain(unjudged.map(|row| &row.keys[..]));
            let mut seen = BTreeSet::new();
            for key in rows.flatten() {
                assert!(seen.insert(key), "{role}: {key} stands twice");
            }
            for key in checked.flatten() {
                assert!(!seen.contains(key), "{role}: {key} is judged, and stands in another list");
            }
        }
    }

    #[test]
    fn each_row_names_flags_and_its_source() {
        let rules = OwnRules::get();
        let known = |key: &str| {
            [Role::Server, Role::Agent]
                .iter()
                .any(|role| flags::of_any_minor(*role, key).is_some_and(|flag| flag.names[0] == key))
        };
        let keys = rules
            .checks
            .iter()
            .flat_map(|rule| &rule.keys)
            .chain(rules.any.iter().flat_map(|row| &row.keys))
            .chain(rules.elsewhere.iter().flat_map(|row| &row.keys))
            .chain(rules.not_judged.iter().flat_map(|row| &row.keys));
        for key in keys {
            assert!(known(key), "no flag is called {key}");
        }
        let sources = rules
            .checks
            .iter()
            .map(|rule| &rule.source)
            .chain(rules.any.iter().map(|row| &row.source))
            .chain(rules.elsewhere.iter().map(|row| &row.by))
            .chain(rules.not_judged.iter().flat_map(|row| [&row.why, &row.source]));
        assert!(sources.into_iter().all(|source| !source.is_empty()));
    }
}
