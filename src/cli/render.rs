//! `render`: the same settings for other hands.

use std::path::Path;

use tracing::warn;

use super::args::{BenchmarkArguments, GlobalArguments, RenderArguments};
use super::context::Context;
use super::ui::Ui;
use super::usage_error;
use crate::error::{Error, ErrorKind, Result, exit};
use crate::node::{Root, host};
use crate::render::{RenderInput, RenderedFile, RenderedFiles};

pub(super) fn run(global: &GlobalArguments, arguments: &RenderArguments, ui: &mut Ui) -> Result<u8> {
    if arguments.carrier.is_directory() && arguments.out.is_none() {
        return Err(usage_error("a tree of files needs a place").hint("name a directory: --out DIR"));
    }
    let root = Root::open(&global.root)?;
    let context = Context::new(&root, global, &BenchmarkArguments::default())?;
    let errand = RenderInput {
        profile: &context.profile,
        site: &context.site,
        release: context.version.release(),
        live_sysctl: !arguments.no_live_sysctl,
        told: &context.told,
    };
    let carried = arguments.carrier.render(&errand)?;
    for warning in context.warnings.iter().chain(&carried.warnings) {
        warn!("{warning}");
    }
    match (&arguments.out, carried.files.as_slice()) {
        (Some(path), [RenderedFile { mode, bytes, .. }]) if carried.directories.is_empty() => {
            host::write_file(path, bytes, *mode)?;
        }
        (Some(path), _) => {
            if arguments.carrier.is_directory() {
                check_inside(path, &carried)?;
            }
            write_all(path, &carried)?;
        }
        (None, [RenderedFile { bytes, .. }]) => ui.out_bytes(bytes)?,
        (None, files) => {
            // As `systemctl cat` does: each file with its name in a comment above.
            let texts: Vec<String> =
                files.iter().map(|file| format!("# {}\n{}", file.name, file.text())).collect();
            ui.out(&texts.join("\n"))?;
        }
    }
    Ok(exit::OK)
}

/// Refuses a tree that goes through symlinks: an image has some that mean its own root, not this machine's.
fn check_inside(folder: &Path, carried: &RenderedFiles) -> Result<()> {
    let names = carried.directories.iter().map(|(name, _)| name.as_str());
    for name in names.chain(carried.files.iter().map(|file| &*file.name)) {
        let below = Path::new(name).ancestors().filter(|path| !path.as_os_str().is_empty());
        if let Some(link) = below.map(|path| folder.join(path)).find(|path| host::is_symlink(path)) {
            let message =
                format!("{} is a symlink, and may lead out of {}", link.display(), folder.display());
            return Err(Error::new(ErrorKind::CannotWrite, message)
                .hint(format!("for an image: k3s-harden apply --root {}", folder.display())));
        }
    }
    Ok(())
}

/// Writes several files into a directory, each whole or not at all.
fn write_all(path: &Path, carried: &RenderedFiles) -> Result<()> {
    host::make_directories(path)?;
    for (name, mode) in &carried.directories {
        host::make_directory(&path.join(name), *mode)?;
    }
    for file in &carried.files {
        let target = path.join(&*file.name);
        if let Some(folder) = target.parent() {
            host::make_directories(folder)?;
        }
        host::write_file(&target, &file.bytes, file.mode)?;
    }
    Ok(())
}
