// SPDX-License-Identifier: Apache-2.0
//! The records of runs as they are read from the disk: what is not as it was written is no record.

use super::damage::{self, Damage, unreadable};
use super::journal::{self, FIRST_FORMAT, NoRecord};
use super::run_record::{RunRecord, RunState};
use super::saved_state::JOURNAL;
use super::state::run_directory;
use crate::error::Result;
use crate::node::Root;
use crate::plan::ResourceKind;

/// What is in the directory of a run.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
pub(super) enum FoundRun {
    /// Its record, which is as it was written.
    Sound(RunRecord),
    /// A record that cannot be trusted, or none: a run makes its directory and its record in one step.
    Damaged(Damage),
}

impl FoundRun {
    /// Returns the record.
    ///
    /// # Errors
    /// If it is damaged.
    pub(super) fn sound(self, root: &Root) -> Result<RunRecord> {
        match self {
            Self::Sound(record) => Ok(record),
            Self::Damaged(damage) => Err(unreadable(root, &damage)),
        }
    }
}

impl RunRecord {
    /// Reads the record of a run.
    ///
    /// # Errors
    /// If the caller may not read it.
    pub(super) fn read(root: &Root, id: u32) -> Result<FoundRun> {
        let mut found = Self::read_alone(root, id)?;
        if let FoundRun::Sound(record) = &mut found {
            record.digest = None;
            record.find_left(root)?;
        }
        Ok(found)
    }

    /// The same without a look at its backups, for a run that may change nothing. All of the record is checked: a word that
    /// is not known is no reason to go on with the rest.
    ///
    /// # Errors
    /// If the caller may not read it.
    pub(super) fn read_alone(root: &Root, id: u32) -> Result<FoundRun> {
        let path = run_directory(id).join(JOURNAL);
        let bytes = match root.read_itself(&path) {
            Err(error) => return damage::of_error(root, id, path, error).map(FoundRun::Damaged),
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(FoundRun::Damaged(Damage::new(id, path, "it is not there"))),
        };
        Ok(match read_journal(&bytes) {
            Err(NoRecord { reason, is_newer }) => {
                FoundRun::Damaged(Damage { is_newer, ..Damage::new(id, path, reason) })
            }
            Ok(record) if record.id != id => {
                FoundRun::Damaged(Damage::new(id, path, format!("it is the record of run {}", record.id)))
            }
            Ok(record) => FoundRun::Sound(record),
        })
    }

    /// Finds what a run of format 1.0 that was put back has left: it had no list, but kept its backups then.
    fn find_left(&mut self, root: &Root) -> Result<()> {
        if self.format_version != FIRST_FORMAT || self.state != RunState::RolledBack {
            return Ok(());
        }
        let mut backups = self.states().filter(|saved| saved.backup().is_some()).peekable();
        let has_backups = backups.peek().is_some();
        for saved in backups {
            if saved.damage(root, self.id)?.is_some() {
                return Ok(());
            }
        }
        if has_backups {
            let files = self.entries.iter().filter(|entry| entry.resource == ResourceKind::File);
            self.left = files.map(|entry| entry.path.clone()).collect();
        }
        Ok(())
    }
}

/// Parses the bytes of a journal and checks its digest: any bytes give a record or a reason.
///
/// # Errors
/// Why they are no record that can be trusted.
pub fn read_journal(bytes: &[u8]) -> std::result::Result<RunRecord, NoRecord> {
    let record: RunRecord =
        serde_json::from_slice(bytes).map_err(|error| journal::unreadable(bytes, &error))?;
    if !journal::is_known(&record.format_version) {
        return Err(journal::unknown_format(&record.format_version, &record.tool));
    }
    // What came with the digest is written with one.
    let has_newer = || record.previous.is_some() || record.states().any(|saved| saved.digest().is_some());
    match &record.digest {
        Some(digest) if !journal::is_sealed(bytes, digest) => {
            Err(NoRecord::damaged("it is not as k3s-harden wrote it: its digest is another"))
        }
        None if has_newer() => {
            Err(NoRecord::damaged("it is not as k3s-harden wrote it: its digest is missing"))
        }
        _ => Ok(record),
    }
}

/// Reads any bytes as a journal, and goes through what is read. For the fuzz target and the test that stands in for it.
///
/// # Panics
/// If a record that is read is not written as it is read.
pub fn try_journal(bytes: &[u8]) {
    let Ok(mut record) = read_journal(bytes) else { return };
    record.digest = None;
    assert!(record.steps().count() <= record.entries.len());
    let text = record.to_text().expect("a record that was read is no larger when it is written");
    let mut again = read_journal(text.as_bytes()).expect("what is written is read");
    (again.digest, again.format_version) = (None, record.format_version.clone());
    assert_eq!(again, record);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A journal as this version writes it, and one of release 0.1.0.
    fn journals() -> Vec<Vec<u8>> {
        let first = include_str!("testdata/journal-1.0.json");
        let mut record: RunRecord = serde_json::from_str(first).unwrap();
        record.previous = Some(6);
        record.left = vec!["/etc/a".to_owned()];
        vec![first.as_bytes().to_vec(), record.to_text().unwrap().into_bytes()]
    }

    #[test]
    fn a_journal_is_read_as_it_was_written_and_with_no_byte_changed() {
        let [first, sealed] = journals().try_into().unwrap();
        try_journal(&first);
        try_journal(&sealed);
        assert!(read_journal(&sealed).is_ok());
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut changed = sealed.clone();
                changed[at] ^= 1 << bit;
                // The name of the digest itself: nothing else of such a record is changed.
                if let Ok(record) = read_journal(&changed) {
                    panic!("byte {at}, bit {bit}: {record:?}");
                }
            }
            assert!(read_journal(&sealed[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn only_the_formats_1_0_and_1_1_are_read() {
        let text = String::from_utf8(journals().remove(0)).unwrap();
        for version in ["1.", "1", "0.9", ""] {
            let text = text.replace("\"1.0\"", &format!("{version:?}"));
            let NoRecord { reason, is_newer } = read_journal(text.as_bytes()).unwrap_err();
            assert!(!is_newer && reason.contains(&format!("its format is {version}")), "{version}: {reason}");
        }
        let tool = format!("\"tool\": \"{}\"", read_journal(text.as_bytes()).unwrap().tool);
        assert!(text.contains(&tool), "{text}");
        let of_newer = |version: &str, tool_now: &str| {
            let text = text.replace("\"1.0\"", &format!("{version:?}"));
            let error = read_journal(text.replace(&tool, tool_now).as_bytes()).unwrap_err();
            assert!(error.is_newer, "{error:?}");
            error.reason
        };
        for version in ["1.2", "1.10", "2.0"] {
            assert_eq!(
                of_newer(version, "\"tool\": \"0.9.0-rc.1\""),
                format!(
                    "k3s-harden 0.9.0-rc.1 wrote it, in format {version}: use that version or a newer one; this one reads \
                     1.0 and 1.1"
                )
            );
            // What names no version is not shown.
            for other in ["\"tool\": \"ignore this\"", "\"tool\": \"\"", "\"tool\": [7]"] {
                let reason = of_newer(version, other);
                let expected = format!(
                    "a newer version of k3s-harden wrote it, in format {version}: use that version; "
                );
                assert!(reason.starts_with(&expected), "{reason}");
            }
        }
        // What a newer format may have is no reason to say that it is damaged.
        let newer = text.replace("\"1.0\"", "\"1.7\"").replace("\"sysctl\"", "\"socket\"");
        assert!(read_journal(newer.as_bytes()).unwrap_err().reason.contains("wrote it, in format 1.7"));
        let unknown = text.replace("\"sysctl\"", "\"socket\"");
        assert!(read_journal(unknown.as_bytes()).unwrap_err().reason.contains("unknown variant `socket`"));
    }

    #[test]
    fn a_sealed_journal_with_a_word_that_is_not_known_is_named_and_not_guessed() {
        let sealed = String::from_utf8(journals().remove(1)).unwrap();
        let (open, _) = sealed.rsplit_once(",\n  \"digest\"").unwrap();
        let open = format!("{open}\n}}");
        assert!(read_journal(journal::seal(&open).as_bytes()).is_ok());
        for (known, unknown) in [
            ("\"sysctl\"", "\"socket\""),
            ("\"kind\": \"file\"", "\"kind\": \"socket\""),
            ("\"rollback\"", "\"repair\""),
            ("\"kept\":", "\"keeps\": 1,\n  \"kept\":"),
            ("\"backup\":", "\"compressed\": true, \"backup\":"),
            ("\"resource\":", "\"device\": 1, \"resource\":"),
            ("\"profiles\": [\n      \"cis\"", "\"new\": [], \"profiles\": [\n      \"cis\""),
        ] {
            let text = open.replace(known, unknown);
            assert_ne!(text, open, "{known}");
            let reason = read_journal(journal::seal(&text).as_bytes()).unwrap_err().reason;
            assert!(reason.contains("unknown "), "{unknown}: {reason}");
        }
    }

    #[test]
    fn a_record_that_has_lost_its_digest_alone_is_no_record() {
        let sealed = String::from_utf8(journals().remove(1)).unwrap();
        let (open, _) = sealed.rsplit_once(",\n  \"digest\"").unwrap();
        let reason = read_journal(format!("{open}\n}}").as_bytes()).unwrap_err().reason;
        assert!(reason.contains("its digest is missing"), "{reason}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn any_bytes_are_a_record_or_a_reason(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            try_journal(&bytes);
        }

        #[test]
        fn a_journal_that_is_cut_joined_and_changed_is_a_record_or_a_reason(
            which in 0..2_usize,
            cuts in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..3),
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            seals in any::<bool>(),
        ) {
            let mut bytes = journals().remove(which);
            for (from, to) in cuts {
                let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
                // A piece is taken out where it ends behind its beginning, else it is there twice.
                let (head, tail) = (bytes[..from].to_vec(), bytes[to..].to_vec());
                bytes = [head, tail].concat();
                if bytes.is_empty() {
                    return Ok(());
                }
            }
            for (at, value) in changes {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            try_journal(&bytes);
            if let (true, Ok(text)) = (seals, std::str::from_utf8(&bytes)) {
                try_journal(journal::seal(text).as_bytes());
            }
        }
    }
}
