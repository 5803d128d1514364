//! For systemd: a unit that applies before K3s is started, and a gate that asks `preflight`, so that the reason is in
//! the journal and K3s is not started every five seconds to die again.

use serde_json::json;

use super::{Carried, CarriedFile};
use crate::Role;
use crate::document::{self, Site};
use crate::node::FileMode;
use crate::profile::Profile;

/// The unit, and the gate.
pub(super) fn render(profile: &Profile, site: &Site) -> Carried {
    let names: Vec<&str> = profile
        .names
        .iter()
        // What fits the minor is chosen again when K3s is another one.
        .map(|name| if name.starts_with("cis-") { "cis" } else { name.as_str() })
        .collect();
    let unit = unit(site);
    let about = "Brings the node to the benchmark before K3s is started.";
    let context = json!({"unit": unit, "role": site.role, "profiles": names.join(",")});
    let text = document::render(profile, "k3s-harden.service.tera", about, &[], &context);
    let mut carried = gate(profile, site);
    let folder = format!("{unit}.service.d");
    for file in &mut carried.files {
        file.name = format!("{folder}/{}", file.name).into();
    }
    carried.directories.push((folder, FileMode::PUBLIC_DIRECTORY));
    carried.files.insert(0, CarriedFile::new("k3s-harden.service", FileMode::PUBLIC_FILE, text));
    carried
}

/// The gate alone.
pub(super) fn gate(profile: &Profile, site: &Site) -> Carried {
    let about = "Keeps K3s from being started where it would not start.";
    let context = json!({"unit": unit(site), "role": site.role});
    let text = document::render(profile, "systemd-gate.conf.tera", about, &[], &context);
    Carried::one(CarriedFile::new("10-k3s-harden.conf", FileMode::PUBLIC_FILE, text))
}

fn unit(site: &Site) -> &'static str {
    match site.role {
        Role::Server => "k3s",
        Role::Agent => "k3s-agent",
    }
}
