//! A systemd drop-in that asks `preflight` before K3s is started: the reason is then in the journal, and K3s is not
//! started every five seconds to die again.

use serde_json::json;

use super::{Carried, CarriedFile};
use crate::Role;
use crate::document::{self, Site};
use crate::node::FileMode;
use crate::profile::Profile;

pub(super) fn render(profile: &Profile, site: &Site) -> Carried {
    let unit = match site.role {
        Role::Server => "k3s",
        Role::Agent => "k3s-agent",
    };
    let about = "Keeps K3s from being started where it would not start.";
    let context = json!({"unit": unit, "role": site.role});
    let text = document::render(profile, "systemd-gate.conf.tera", about, &[], &context);
    let file = CarriedFile { name: "10-k3s-harden.conf", mode: FileMode::PUBLIC_FILE, text };
    Carried { files: vec![file], warnings: Vec::new() }
}
