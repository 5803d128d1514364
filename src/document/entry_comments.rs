// SPDX-License-Identifier: Apache-2.0
//! The comments behind the entries of a drop-in: which controls an entry is for, and from which file it was taken.

use std::collections::BTreeMap;

use granit_parser::{Event, Parser};

/// A comment as the template writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryComment {
    /// The benchmark's numbers, as text.
    pub controls: String,
    /// The file that the value was taken from.
    pub from: Option<String>,
}

/// The comments of a drop-in, by key and number of the item.
#[derive(Debug, Default)]
pub(super) struct EntryComments(BTreeMap<(String, usize), EntryComment>);

impl EntryComments {
    /// Reads the comments of a mapping of scalars and lists; none of a text that is something else.
    pub(super) fn read(text: &str) -> Self {
        Self::parse(text).unwrap_or_default()
    }

    /// Returns the comment behind an item of a key, or behind its one value.
    pub(super) fn of(&self, key: &str, item: usize) -> Option<EntryComment> {
        self.0.get(&(key.to_owned(), item)).cloned()
    }

    fn parse(text: &str) -> Option<Self> {
        let mut comments = Self::default();
        let mut key: Option<String> = None;
        let mut item = 0;
        let mut in_list = false;
        // The newest value, and the line on which it ends.
        let mut newest: Option<(usize, (String, usize))> = None;
        for next in Parser::new_from_str(text) {
            let (event, span) = next.ok()?;
            match event {
                Event::Scalar(value, ..) => match key.clone() {
                    None => key = Some(value.into_owned()),
                    Some(name) => {
                        newest = Some((span.end.line(), (name, item)));
                        item += 1;
                        if !in_list {
                            (key, item) = (None, 0);
                        }
                    }
                },
                Event::SequenceStart(..) if key.is_some() && !in_list => in_list = true,
                Event::SequenceEnd => (key, item, in_list) = (None, 0, false),
                Event::MappingStart(..) | Event::SequenceStart(..) if key.is_some() => return None,
                Event::Alias(..) => return None,
                Event::Comment(comment, ..) => {
                    if let Some((line, entry)) = newest.take()
                        && line == span.start.line()
                        && let Some(comment) = EntryComment::parse(&comment)
                    {
                        comments.0.insert(entry, comment);
                    }
                }
                _ => {}
            }
        }
        Some(comments)
    }
}

impl EntryComment {
    /// Reads the text behind the `#`; none of what the template does not write.
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (controls, from) = match (text.strip_prefix("CIS "), text.strip_prefix("from ")) {
            (Some(rest), _) => match rest.split_once("; from ") {
                Some((controls, from)) => (controls, Some(from)),
                None => (rest, None),
            },
            (None, from) => ("", Some(from?)),
        };
        Some(Self { controls: controls.to_owned(), from: from.map(str::to_owned) })
    }
}
