//! cloud-init user-data: the files without the binary.
//!
//! `bootcmd` makes the directories before `write_files` would, with modes of its own. cloud-init goes on where a module
//! fails, so `runcmd` begins with a look at all of it, and what comes behind it (K3s) only runs on the right ones.

use serde_json::json;

use super::cksum::cksum;
use super::{RenderInput, RenderedFile, RenderedFiles, Tree, quoted};
use crate::document;
use crate::mode::FileMode;

/// The largest user-data of the smallest clouds, in bytes (EC2: 16 KiB, before base64).
const LIMIT: usize = 16 * 1024;

pub(super) fn render(errand: &RenderInput<'_>, tree: &Tree) -> RenderedFiles {
    let make = tree.directories.iter().map(|folder| {
        let path = quoted(&folder.path);
        let make = format!("[ -d {path} ] || mkdir -m {} {path}", folder.mode);
        if folder.exact { format!("{make}; chmod {} {path}; chown 0:0 {path}", folder.mode) } else { make }
    });
    // Another part of the user-data may have a bootcmd that takes the place of ours.
    let exact = tree.directories.iter().filter(|folder| folder.exact).map(|folder| {
        format!("[ \"$(stat -c '%a %u:%g' {})\" = '{} 0:0' ]", quoted(&folder.path), folder.mode.as_stat())
    });
    let right = tree.files.iter().map(|leaf| {
        let (path, mode, sum) = (quoted(&leaf.path), leaf.mode.as_stat(), cksum(leaf.text.as_bytes()));
        format!("[ \"$(stat -c '%a %u:%g' {path}) $(cksum < {path})\" = '{mode} 0:0 {sum}' ]")
    });
    let told = tree.files.iter().filter(|leaf| leaf.sysctl);
    let files = tree.files.iter().map(|leaf| {
        let (mode, lines) = (leaf.mode.to_string(), lines(&leaf.text));
        json!({"path": leaf.path, "mode": mode, "text": leaf.text, "lines": lines})
    });
    let context = json!({
        "make": make.collect::<Vec<_>>(),
        "files": files.collect::<Vec<_>>(),
        "checks": exact.chain(right).collect::<Vec<_>>(),
        "sysctls": told.map(|leaf| format!("sysctl -q -p {}", quoted(&leaf.path))).collect::<Vec<_>>(),
        "release": errand.release,
    });
    let about = "User-data for cloud-init: the files of a hardened node, without the binary.";
    let text = document::render(errand.profile, "cloud-init.yaml.tera", about, &tree.controls, &context);
    // cloud-init knows user-data by its first line.
    let text = format!("#cloud-config\n{text}");
    let mut warnings = Vec::new();
    if text.len() > LIMIT {
        warnings.push(format!(
            "the user-data has {} bytes, and some clouds take 16384: give it to them compressed (`gzip -9`), cloud-init unpacks it",
            text.len()
        ));
    }
    let file = RenderedFile::new("user-data.yaml", FileMode::PRIVATE_FILE, text);
    RenderedFiles { warnings, ..RenderedFiles::one(file) }
}

/// Returns the lines of a text that can stand as they are in a literal block; none of one that cannot.
fn lines(text: &str) -> Option<Vec<&str>> {
    let body = text.strip_suffix('\n')?;
    let plain = |line: &str| line.bytes().all(|byte| matches!(byte, b' '..=b'~')) && !line.ends_with(' ');
    let first = body.lines().next()?;
    let fits =
        !first.is_empty() && !first.starts_with(' ') && !body.ends_with('\n') && body.split('\n').all(plain);
    fits.then(|| body.split('\n').collect())
}
