// SPDX-License-Identifier: Apache-2.0
//! Variables of a shell, and what becomes of a word with them.

use std::collections::BTreeMap;

use super::lex::{ShellPiece, ShellWord};
use crate::error::Place;
use crate::k3s::origin::VariableSource;
use crate::k3s::service::notes::NotUnderstood;

/// What a shell splits unquoted values at.
pub(in crate::k3s) const BLANKS: [char; 3] = [' ', '\t', '\n'];

/// A variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::k3s) struct ShellVariable {
    /// Its value, or why that is not known.
    pub(in crate::k3s) value: Result<String, NotUnderstood>,
    pub(in crate::k3s) exported: bool,
    /// The file that sets it.
    pub(in crate::k3s) source: VariableSource,
}

/// The variables of a shell.
#[derive(Debug, Clone, Default)]
pub(in crate::k3s) struct ShellVariables {
    pub(in crate::k3s) values: BTreeMap<String, ShellVariable>,
}

impl ShellVariables {
    /// Returns the value of a variable; none if it is not set.
    pub(super) fn get(&self, name: &str, place: &Place) -> Result<Option<String>, NotUnderstood> {
        match self.values.get(name) {
            Some(variable) => variable.value.clone().map(Some),
            None if is_of_the_system(name) => {
                Err(NotUnderstood::new(place.clone(), format!("the system sets {name}")))
            }
            None => Ok(None),
        }
    }

    fn of_piece(&self, piece: &ShellPiece, place: &Place) -> Result<String, NotUnderstood> {
        match piece {
            ShellPiece::Text { text, .. } => Ok(text.clone()),
            ShellPiece::Unread(text) => {
                Err(NotUnderstood::new(place.clone(), format!("the shell puts in the value of {text}")))
            }
            ShellPiece::Variable { name, other: None, .. } => Ok(self.get(name, place)?.unwrap_or_default()),
            ShellPiece::Variable { name, other: Some((form, other)), .. } => {
                let value = self.get(name, place)?;
                let counts = |value: &String| !form.starts_with(':') || !value.is_empty();
                let value = value.filter(counts);
                match (form.trim_start_matches(':'), value) {
                    ("+", Some(_)) | ("-" | "=", None) => self.text(other, place),
                    (_, value) => Ok(value.unwrap_or_default()),
                }
            }
        }
    }

    /// Returns the text of a word that is not split, as in an assignment.
    ///
    /// # Errors
    /// The part whose value is not known.
    pub(in crate::k3s) fn text(&self, word: &ShellWord, place: &Place) -> Result<String, NotUnderstood> {
        word.iter().map(|piece| self.of_piece(piece, place)).collect()
    }

    /// Returns the fields of a word: the values of its variables are split where they are not quoted.
    ///
    /// # Errors
    /// The part whose value is not known.
    pub(in crate::k3s) fn fields(
        &self,
        word: &ShellWord,
        place: &Place,
    ) -> Result<Vec<String>, NotUnderstood> {
        let mut fields = Vec::new();
        let mut field: Option<String> = None;
        for piece in word {
            let text = self.of_piece(piece, place)?;
            let is_split = matches!(piece, ShellPiece::Variable { quoted: false, .. });
            if !is_split {
                let quoted = matches!(
                    piece,
                    ShellPiece::Text { quoted: true, .. } | ShellPiece::Variable { quoted: true, .. }
                );
                if quoted || !text.is_empty() {
                    field.get_or_insert_default().push_str(&text);
                }
                continue;
            }
            for (index, part) in text.split(BLANKS).enumerate() {
                if index > 0 {
                    fields.extend(field.take());
                }
                if !part.is_empty() {
                    field.get_or_insert_default().push_str(part);
                }
            }
        }
        fields.extend(field);
        Ok(fields)
    }
}

/// Tells whether a service gets a variable from its surroundings.
fn is_of_the_system(name: &str) -> bool {
    let names = ["PATH", "HOME", "USER", "LOGNAME", "HOSTNAME", "PWD", "SHELL", "TERM", "LANG", "IFS", "UID"];
    names.contains(&name) || ["RC_", "EINFO_", "LC_", "EERROR_"].iter().any(|start| name.starts_with(start))
}
