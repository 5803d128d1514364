// SPDX-License-Identifier: Apache-2.0
//! cloud-init user-data: the files without the binary.
//!
//! `bootcmd` creates the directories before `write_files` does with its own modes. cloud-init continues after a module
//! fails, so `runcmd` first checks all files, and what follows (K3s) only runs if they are right.

use serde_json::json;

use super::cksum::cksum;
use super::rendered_file::{RenderInput, RenderedFile, RenderedFiles};
use super::tree::Tree;
use crate::document;
use crate::mode::FileMode;
use crate::shell_word::quoted;

/// The largest user-data of the smallest clouds, in bytes (EC2: 16 KiB, before base64).
const LIMIT: usize = 16 * 1024;

pub(super) fn render(input: &RenderInput<'_>, tree: &Tree) -> RenderedFiles {
    let create = tree.directories.iter().map(|directory| {
        let path = quoted(&directory.path);
        let create = format!("[ -d {path} ] || mkdir -m {} {path}", directory.mode);
        if directory.exact {
            format!("{create}; chmod {} {path}; chown 0:0 {path}", directory.mode)
        } else {
            create
        }
    });
    // Another part of the user-data may replace our bootcmd with its own.
    let exact_directories = tree.directories.iter().filter(|directory| directory.exact).map(|directory| {
        format!(
            "[ \"$(stat -c '%a %u:%g' {})\" = '{} 0:0' ]",
            quoted(&directory.path),
            directory.mode.as_stat()
        )
    });
    let correct_files = tree.files.iter().map(|file| {
        let (path, mode, sum) = (quoted(&file.path), file.mode.as_stat(), cksum(file.text.as_bytes()));
        format!("[ \"$(stat -c '%a %u:%g' {path}) $(cksum < {path})\" = '{mode} 0:0 {sum}' ]")
    });
    let sysctl_files = tree.files.iter().filter(|file| file.sysctl);
    let files = tree.files.iter().map(|file| {
        let (mode, lines) = (file.mode.to_string(), lines(&file.text));
        json!({"path": file.path, "mode": mode, "text": file.text, "lines": lines})
    });
    let context = json!({
        "make": create.collect::<Vec<_>>(),
        "files": files.collect::<Vec<_>>(),
        "checks": exact_directories.chain(correct_files).collect::<Vec<_>>(),
        "sysctls": sysctl_files.map(|file| format!("sysctl -q -p {}", quoted(&file.path))).collect::<Vec<_>>(),
        "release": input.release,
        "minor": input.profile.minor,
    });
    let about = "User-data for cloud-init: the files of a hardened node, without the binary.";
    let text = document::render(input.profile, "cloud-init.yaml.tera", about, &tree.controls, &context);
    // cloud-init recognises user-data by its first line.
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

/// Returns the lines of a text if a YAML literal block can hold them unchanged.
fn lines(text: &str) -> Option<Vec<&str>> {
    let body = text.strip_suffix('\n')?;
    let plain = |line: &str| line.bytes().all(|byte| matches!(byte, b' '..=b'~')) && !line.ends_with(' ');
    let first = body.lines().next()?;
    let fits =
        !first.is_empty() && !first.starts_with(' ') && !body.ends_with('\n') && body.split('\n').all(plain);
    fits.then(|| body.split('\n').collect())
}
