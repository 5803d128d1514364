// SPDX-License-Identifier: Apache-2.0
//! When the changes of a plan take effect on a node where K3s has started.

use std::collections::BTreeSet;

use super::change::Change;
use super::merged::{Plan, contents};
use super::notes::SettingEffect;
use super::resource::Resource;
use crate::document::{self, EffectTime, RenderTarget};
use crate::profile::Profile;

/// Returns when each setting that the plan changes takes effect, sorted; `earlier` is the profile that was in force before.
#[must_use]
pub fn effects(
    plan: &Plan,
    profile: &Profile,
    earlier: Option<&Profile>,
    target: &RenderTarget,
) -> Vec<SettingEffect> {
    let paths = document::paths(&target.config, &target.data_dir);
    let mut found = BTreeSet::new();
    for action in plan.changes() {
        let path = action.resource.path();
        let effect = |when, what: String| SettingEffect { when, what, why: None };
        match &action.resource {
            Resource::Sysctl(_) => {
                found.insert(effect(EffectTime::Live, path.to_string()));
            }
            // A mode alone decides nothing about a K3s that runs as root.
            Resource::File(_) if action.change != Change::Metadata => {
                let Some((key, _)) = paths.iter().find(|(_, known)| *known == path) else { continue };
                let Some(row) = document::effect_of(key) else { continue };
                let settings = row.settings(profile, earlier, contents(action));
                if settings.is_empty() {
                    found.insert(effect(row.when, path.to_string()));
                }
                found.extend(settings.into_iter().map(|setting| effect(row.when, setting)));
            }
            _ => {}
        }
    }
    found.into_iter().collect()
}
