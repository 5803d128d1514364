// SPDX-License-Identifier: Apache-2.0
//! Users and groups by name, and the user and group of this process.
//!
//! Names are looked up in the node's own passwd and group files, because an image has other accounts than the
//! machine that builds it. Only for the running system the C library is asked too, and never in a static
//! binary: there it would load libnss modules of another libc into the process and crash.

use super::path::RootedPath;
use super::root::Root;
use crate::error::{Error, ErrorKind, Result};
use crate::mode::Owner;

/// Longest line of passwd and group that is read, in bytes.
pub const MAX_LINE_BYTES: usize = 64 * 1024;

/// Tells whether this process may make files that belong to `owner`.
#[must_use]
pub fn may_give_to(owner: Owner) -> bool {
    let own = own();
    let mut groups = nix::unistd::getgroups().unwrap_or_default().into_iter().map(nix::unistd::Gid::as_raw);
    own.uid == 0 || (owner.uid == own.uid && (owner.gid == own.gid || groups.any(|gid| gid == owner.gid)))
}

/// Clears the umask for the rest of the process: files get their exact mode when they are created.
pub fn clear_umask() {
    nix::sys::stat::umask(nix::sys::stat::Mode::empty());
}

/// Returns the user and group that files get when this process makes them.
#[must_use]
pub fn own() -> Owner {
    Owner { uid: users::get_effective_uid(), gid: users::get_effective_gid() }
}

/// Reads `UID:GID`, each a number or a name of the node's; without a group it is the user's number again.
///
/// # Errors
/// [`ErrorKind::Usage`] for a name that the node does not have.
pub fn parse_owner(text: &str, root: &Root) -> Result<Owner> {
    let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
    let bad = |what: &str, name: &str| {
        Error::new(ErrorKind::Usage, format!("--owner {text}: the node has no {what} {name:?}"))
            .hint("write numbers, UID:GID")
    };
    let uid = match user.parse() {
        Ok(uid) => uid,
        Err(_) => lookup(root, "/etc/passwd", user)?
            .or_else(|| system_uid(root, user))
            .ok_or_else(|| bad("user", user))?,
    };
    let gid = match group {
        None => uid,
        Some(group) => match group.parse() {
            Ok(gid) => gid,
            Err(_) => lookup(root, "/etc/group", group)?
                .or_else(|| system_gid(root, group))
                .ok_or_else(|| bad("group", group))?,
        },
    };
    // The kernel takes this number for "leave it".
    if uid == u32::MAX || gid == u32::MAX {
        return Err(Error::new(ErrorKind::Usage, format!("--owner {text}: {} is nobody", u32::MAX)));
    }
    Ok(Owner { uid, gid })
}

/// Finds the third field of the first line whose first is `name`.
fn lookup(root: &Root, file: &str, name: &str) -> Result<Option<u32>> {
    let bytes = root.read(&RootedPath::fixed(file))?.unwrap_or_default();
    let mut lines = bytes.split(|byte| *byte == b'\n').filter(|line| line.len() <= MAX_LINE_BYTES);
    Ok(lines.find_map(|line| {
        let mut fields = std::str::from_utf8(line).ok()?.split(':');
        // Lines of NIS begin with + or - and name no account.
        (fields.next() == Some(name) && !name.starts_with(['+', '-'])).then_some(())?;
        fields.nth(1)?.parse().ok()
    }))
}

fn system_uid(root: &Root, name: &str) -> Option<u32> {
    (root.is_live() && !cfg!(target_feature = "crt-static"))
        .then(|| users::get_user_by_name(name).map(|user| user.uid()))
        .flatten()
}

fn system_gid(root: &Root, name: &str) -> Option<u32> {
    (root.is_live() && !cfg!(target_feature = "crt-static"))
        .then(|| users::get_group_by_name(name).map(|group| group.gid()))
        .flatten()
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests build their roots by hand")]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_nodes_own() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("etc")).unwrap();
        std::fs::write(dir.path().join("etc/passwd"), "+nis:x:1:1\nk3s:x:123:45::/:\nk3s:x:9:9::/:\n")
            .unwrap();
        std::fs::write(dir.path().join("etc/group"), "wheel:x:77:\n").unwrap();
        let root = Root::open(dir.path()).unwrap();
        let owner = |text| parse_owner(text, &root);
        assert_eq!(owner("k3s:wheel").unwrap(), Owner { uid: 123, gid: 77 });
        assert_eq!(owner("5:6").unwrap(), Owner { uid: 5, gid: 6 });
        assert_eq!(owner("5").unwrap(), Owner { uid: 5, gid: 5 });
        for bad in ["root:root", "", ":", "+nis:1", "-1:0"] {
            assert_eq!(owner(bad).unwrap_err().kind(), ErrorKind::Usage, "{bad}");
        }
    }
}
