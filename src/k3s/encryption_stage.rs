// SPDX-License-Identifier: Apache-2.0
//! How far the encryption of Secrets is on a server that has started, as its files tell.

use super::encryption_change::{EncryptionChange, provider_in_force};
use super::manual_step::{ManualStep, StepTime};
use super::node_paths::NodePaths;
use crate::error::Result;
use crate::node::{Root, RootedPath};
use crate::version::K3sRelease;

/// Where K3s notes the stage, beside its encryption configuration (WriteEncryptionHashAnnotation in pkg/secretsencrypt of K3s).
const STATE: &str = "server/cred/encryption-state.json";
/// What a server has from its first start on.
const FIRST: &str = "server/token";
/// How much later than at the first start an encryption configuration is written that was not there at it, in seconds.
const LATER: i64 = 600;

/// How far the encryption is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EncryptionStage {
    /// Nothing of it has begun: Secrets are plain.
    Plain,
    /// The configuration turns it on, and K3s has not started with it: Secrets are plain.
    AwaitsRestart,
    /// K3s was told to enable it, and its configuration does not turn it on: Secrets are plain.
    Enabled,
    /// K3s may run with it, and the keys were never rotated: Secrets are plain.
    AwaitsRotation,
    /// It was turned on by configuration after the first start: Secrets from before may be plain.
    OldOnesMayBePlain,
    /// The keys are being rotated, with the word that K3s has for how far it is.
    Rotating(String),
    /// Secrets are encrypted.
    Encrypted,
}

impl EncryptionStage {
    /// Finds the stage on a server that has started; `is_on` tells whether K3s's configuration turns the encryption on.
    ///
    /// # Errors
    /// If a file of K3s cannot be read.
    pub fn find(root: &Root, data_dir: &RootedPath, is_on: bool) -> Result<Self> {
        let config = data_dir.join(&NodePaths::get().encryption_config);
        let Some(entry) = root.entry(&config)? else {
            return Ok(if is_on { Self::AwaitsRestart } else { Self::Plain });
        };
        if provider_in_force(root, data_dir)?.is_none_or(|provider| provider == "identity") {
            return Ok(if is_on { Self::AwaitsRotation } else { Self::Enabled });
        }
        let state = root.read(&data_dir.join(STATE))?.unwrap_or_default();
        let state = String::from_utf8_lossy(&state);
        let stage = state.rsplit_once('-').map_or("", |(stage, _)| stage).trim();
        let first = root.entry(&data_dir.join(FIRST))?;
        Ok(match stage {
            "start" if first.is_some_and(|first| entry.modified > first.modified + LATER) => {
                Self::OldOnesMayBePlain
            }
            "start" | "reencrypt_finished" | "" => Self::Encrypted,
            other => Self::Rotating(other.to_owned()),
        })
    }

    /// Tells whether Secrets are plain although K3s has started: configuration alone encrypts none that is stored.
    #[must_use]
    pub fn is_late(&self) -> bool {
        matches!(self, Self::Plain | Self::AwaitsRestart | Self::Enabled | Self::AwaitsRotation)
    }

    /// Returns the steps from here to encrypted Secrets; on a release that does not have them, which one does.
    #[must_use]
    pub fn steps(&self, release: K3sRelease) -> Vec<ManualStep> {
        let done = match self {
            Self::Plain => 0,
            Self::AwaitsRestart | Self::Enabled => 1,
            Self::AwaitsRotation => 2,
            Self::OldOnesMayBePlain | Self::Rotating(_) | Self::Encrypted => return Vec::new(),
        };
        let steps = EncryptionChange::TurnOn.steps(release);
        if steps.is_empty() {
            let what = format!(
                "This release cannot encrypt existing Secrets: {}",
                EncryptionChange::TurnOn.advice(release)
            );
            return vec![ManualStep { when: StepTime::After, what, commands: Vec::new(), check: None }];
        }
        steps.into_iter().skip(done).collect()
    }

    /// Returns the stage in words, with the next step.
    #[must_use]
    pub fn words(&self, release: K3sRelease) -> String {
        let steps = EncryptionChange::TurnOn.steps(release);
        let step = |index: usize| steps.get(index).map(|step| step.commands.join(", then "));
        let first = || step(0).unwrap_or_else(|| EncryptionChange::TurnOn.advice(release));
        match self {
            Self::Plain => format!("Secrets are stored unencrypted; the next step: {}", first()),
            Self::AwaitsRestart => {
                "secrets-encryption is set, but K3s has not started with it: Secrets are stored unencrypted; the next step: restart K3s, then k3s secrets-encrypt rotate-keys".to_owned()
            }
            Self::Enabled => format!(
                "encryption was enabled by command, but secrets-encryption is not set: Secrets are stored unencrypted; the next step: {}",
                step(1).unwrap_or_else(|| "k3s-harden apply".to_owned())
            ),
            Self::AwaitsRotation => {
                "the keys were not rotated yet: Secrets are stored unencrypted; the next step, after a restart of K3s with secrets-encryption: k3s secrets-encrypt rotate-keys".to_owned()
            }
            Self::OldOnesMayBePlain => {
                "encryption was turned on after the first start: older Secrets may be stored unencrypted; the next step: k3s secrets-encrypt rotate-keys".to_owned()
            }
            Self::Rotating(stage) => format!(
                "the keys are being rotated ({stage}); the next step: wait until k3s secrets-encrypt status shows reencrypt_finished, then restart K3s on every server"
            ),
            Self::Encrypted => "Secrets are stored encrypted".to_owned(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests make files by hand")]
mod tests {
    use std::fs;
    use std::time::{Duration, SystemTime};

    use super::*;

    fn stage(files: &[(&str, &str, u64)], is_on: bool) -> EncryptionStage {
        let folder = tempfile::tempdir().unwrap();
        for (path, text, age) in files {
            let path = folder.path().join("data").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            let file = fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(*age)).unwrap();
        }
        let root = Root::open(folder.path()).unwrap();
        EncryptionStage::find(&root, &RootedPath::fixed("/data"), is_on).unwrap()
    }

    #[test]
    fn each_stage_is_told_by_the_files() {
        const CONFIG: &str = "server/cred/encryption-config.json";
        let config =
            |provider: &str| format!("{{\"resources\":[{{\"providers\":[{{\"{provider}\":{{}}}}]}}]}}");
        let (identity, aescbc) = (config("identity"), config("aescbc"));
        let token = (FIRST, "t", 90_000);
        assert_eq!(stage(&[token], false), EncryptionStage::Plain);
        assert_eq!(stage(&[token], true), EncryptionStage::AwaitsRestart);
        assert_eq!(stage(&[token, (CONFIG, &identity, 0)], false), EncryptionStage::Enabled);
        assert_eq!(stage(&[token, (CONFIG, &identity, 0)], true), EncryptionStage::AwaitsRotation);
        let late = |state: &'static str| stage(&[token, (CONFIG, &aescbc, 0), (STATE, state, 0)], true);
        assert_eq!(late("start-0a"), EncryptionStage::OldOnesMayBePlain);
        assert_eq!(late("reencrypt_finished-0a"), EncryptionStage::Encrypted);
        assert_eq!(late("reencrypt_active-0a"), EncryptionStage::Rotating("reencrypt_active".to_owned()));
        let born = [token, (CONFIG, aescbc.as_str(), 89_990), (STATE, "start-0a", 89_990)];
        assert_eq!(stage(&born, true), EncryptionStage::Encrypted);
    }
}
