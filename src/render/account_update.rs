// SPDX-License-Identifier: Apache-2.0
//! The guide's account_update.yaml and account_update.sh, for namespaces that are created after the first start.

use serde_json::json;

use super::rendered_file::{RenderedFile, RenderedFiles};
use crate::document;
use crate::mode::FileMode;
use crate::profile::Profile;

pub(super) fn render(profile: &Profile) -> RenderedFiles {
    let controls = profile.ids(&["default-service-account"]);
    let file = |name, mode, template, about| {
        RenderedFile::new(name, mode, document::render(profile, template, about, &controls, &json!({})))
    };
    let public = FileMode::PUBLIC_FILE;
    let script = FileMode::PUBLIC_DIRECTORY;
    RenderedFiles {
        files: vec![
            file(
                "account_update.yaml",
                public,
                "account_update.yaml.tera",
                "The default ServiceAccount mounts no token.",
            ),
            file(
                "account_update.sh",
                script,
                "account_update.sh.tera",
                "Puts account_update.yaml into every namespace of a running cluster.",
            ),
        ],
        ..RenderedFiles::default()
    }
}
