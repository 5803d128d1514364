//! The admission plugins that the API server refuses in its flags.

use super::Finding;
use super::apiserver::{ApiServer, NAME};
use crate::kubernetes::admission_plugins;
use crate::kubernetes::apiserver_flags::{PluginRefusal, RefusedPlugins};

pub(super) fn check(server: &ApiServer<'_>) -> Vec<Finding> {
    let refused = server.flags.refused_plugins(server.node.minor());
    refused.iter().map(|refused| server.at(refused.flag, finding(server, refused))).collect()
}

fn finding(server: &ApiServer<'_>, refused: &RefusedPlugins) -> Finding {
    let minor = server.node.minor();
    let (code, message, remedy) = match &refused.reason {
        PluginRefusal::Unknown(name) => {
            let availability = admission_plugins::availability(minor, name);
            let message = format!("{NAME} of {minor} has no admission plugin {name:?}{availability}");
            let remedy = match admission_plugins::nearest(minor, name) {
                Some(meant) => format!("write {meant}"),
                None if name.is_empty() => "remove the comma".to_owned(),
                None => "remove it".to_owned(),
            };
            ("admission-plugin-unknown", message, remedy)
        }
        PluginRefusal::Overlap(names) => {
            let message = format!("{} is enabled and disabled", names.join(", "));
            ("admission-plugin-overlap", message, "remove it from one of the two lists".to_owned())
        }
    };
    Finding::stops(code, message, remedy).says(&refused.message)
}
