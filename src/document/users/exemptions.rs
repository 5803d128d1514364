// SPDX-License-Identifier: Apache-2.0
//! Who is exempt from Pod Security by the settings.

use crate::profile::Profile;

/// What the settings exempt.
pub(super) struct OwnExemptions {
    pub(super) namespaces: Vec<String>,
    pub(super) usernames: Vec<String>,
    pub(super) runtime_classes: Vec<String>,
}

impl OwnExemptions {
    pub(super) fn of(profile: &Profile) -> Self {
        Self {
            namespaces: profile.exempt_namespaces(),
            usernames: profile.texts("pod_security_exempt_users"),
            runtime_classes: profile.texts("pod_security_exempt_runtime_classes"),
        }
    }
}

/// What is exempt.
#[derive(Debug, Clone, Copy)]
pub(super) enum Exempt {
    Namespace,
    User,
    RuntimeClass,
}

impl Exempt {
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Namespace => "the namespace",
            Self::User => "the user",
            Self::RuntimeClass => "the runtime class",
        }
    }
}
