//! A file with exact content, mode and owner.

use std::path::Path;

use similar::TextDiff;

use super::directory::metadata_diff;
use super::resource::Change;
use crate::error::{Error, Kind, Result};
use crate::node::{FileMode, Node, Owner, Root, RootedPath};
use crate::profile::ControlId;

/// The desired state of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Where.
    pub path: RootedPath,
    /// Its mode.
    pub mode: FileMode,
    /// Its owner.
    pub owner: Owner,
    /// Its content; none when it should not be there.
    pub text: Option<String>,
    /// The controls that it serves.
    pub controls: Vec<ControlId>,
}

impl File {
    /// Looks at what is there.
    ///
    /// # Errors
    /// Where it cannot be read, or where a directory or device is in the way.
    pub fn observe(&self, root: &Root) -> Result<Node> {
        match root.look(&self.path)? {
            Node::Directory { .. } | Node::Other => {
                let message = format!("{} is not a file", root.display(&self.path));
                Err(Error::new(Kind::CannotWrite, message).hint("move it away: a file has to be there"))
            }
            node => Ok(node),
        }
    }

    /// Compares it with what is there.
    #[must_use]
    pub fn diff(&self, current: &Node) -> (Change, String) {
        match (current, &self.text) {
            (Node::Absent, None) => (Change::None, String::new()),
            (Node::Absent, Some(text)) => (Change::Create, self.unified(None, text)),
            (Node::File { bytes, .. }, None) => (Change::Remove, self.unified(Some(bytes), "")),
            (Node::File { mode, owner, bytes }, Some(text)) if bytes == text.as_bytes() => {
                let diff = metadata_diff((*mode, *owner), (self.mode, self.owner));
                if diff.is_empty() { (Change::None, diff) } else { (Change::Metadata, diff) }
            }
            (Node::File { mode, owner, bytes }, Some(text)) => {
                let metadata = metadata_diff((*mode, *owner), (self.mode, self.owner));
                (Change::Update, metadata + &self.unified(Some(bytes), text))
            }
            (Node::Symlink { target }, Some(text)) => {
                (Change::Update, format!("-symlink to {}\n", target.display()) + &self.unified(None, text))
            }
            // Nothing of ours: only files with our header are ever removed.
            _ => (Change::None, String::new()),
        }
    }

    /// Writes or removes it, or gives it its mode and owner.
    ///
    /// # Errors
    /// Where that fails; the old file is whole then.
    pub fn apply(&self, root: &Root, change: Change) -> Result<()> {
        match (change, &self.text) {
            (Change::Metadata, _) => root.set_metadata(&self.path, self.mode, self.owner, false),
            (_, Some(text)) => root.replace(&self.path, text.as_bytes(), self.mode, self.owner),
            (_, None) => root.remove_file(&self.path),
        }
    }

    /// Puts back what was there before.
    ///
    /// # Errors
    /// Where that fails.
    pub fn revert(&self, root: &Root, before: &Node) -> Result<()> {
        match before {
            Node::File { mode, owner, bytes } => root.replace(&self.path, bytes, *mode, *owner),
            Node::Symlink { target } => {
                root.remove_file(&self.path)?;
                root.make_symlink(&self.path, Path::new(target))
            }
            _ if root.look(&self.path)? == Node::Absent => Ok(()),
            _ => root.remove_file(&self.path),
        }
    }

    fn unified(&self, before: Option<&[u8]>, after: &str) -> String {
        let old = before.map(String::from_utf8_lossy).unwrap_or_default();
        let name = |there: bool| if there { self.path.to_string() } else { "/dev/null".to_owned() };
        let names = (name(before.is_some()), name(self.text.is_some()));
        TextDiff::from_lines(old.as_ref(), after).unified_diff().header(&names.0, &names.1).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: Option<&str>) -> File {
        File {
            path: RootedPath::fixed("/etc/x"),
            mode: FileMode::PRIVATE_FILE,
            owner: Owner::ROOT,
            text: text.map(str::to_owned),
            controls: Vec::new(),
        }
    }

    fn node(mode: &str, bytes: &str) -> Node {
        Node::File { mode: mode.parse().unwrap(), owner: Owner::ROOT, bytes: bytes.into() }
    }

    #[test]
    fn each_difference_has_its_change() {
        let want = file(Some("a\nb\n"));
        assert_eq!(want.diff(&node("0600", "a\nb\n")), (Change::None, String::new()));
        assert_eq!(want.diff(&node("0644", "a\nb\n")), (Change::Metadata, "-mode 0644\n+mode 0600\n".into()));
        let (change, diff) = want.diff(&node("0600", "a\nc\n"));
        assert_eq!(
            (change, diff.as_str()),
            (Change::Update, "--- /etc/x\n+++ /etc/x\n@@ -1,2 +1,2 @@\n a\n-c\n+b\n")
        );
        assert_eq!(want.diff(&Node::Absent).0, Change::Create);
        assert_eq!(want.diff(&Node::Symlink { target: "/z".into() }).0, Change::Update);
        assert_eq!(file(None).diff(&node("0600", "a\n")).0, Change::Remove);
        assert_eq!(file(None).diff(&Node::Absent).0, Change::None);
    }
}
