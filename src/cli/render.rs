// SPDX-License-Identifier: Apache-2.0
//! `render`: writes the files of a node for other tools.

use std::path::Path;

use tracing::warn;

use super::args::RenderArguments;
use super::context::Context;
use super::program_place;
use super::request::RunRequest;
use super::ui::Ui;
use crate::error::{Error, ErrorKind, Result, exit};
use crate::node::{Root, host};
use crate::render::{RenderFormat, RenderInput, RenderedFile, RenderedFiles};

pub(super) fn run(request: &RunRequest, arguments: &RenderArguments, ui: &mut Ui) -> Result<u8> {
    let root = Root::open(&request.root)?;
    let context = Context::new(&root, request)?;
    context.check_inputs()?;
    let binary = program_place::choose(arguments)?;
    let input = RenderInput {
        profile: &context.profile,
        target: &context.target,
        release: context.version.release(),
        live_sysctl: request.live_sysctl,
        inputs: &context.inputs,
        binary: binary.as_ref(),
    };
    let rendered = arguments.render_format.render(&input)?;
    let places = binary.iter().flat_map(|binary| program_place::warnings(&root, binary, context.owner));
    let places: Vec<String> = places.collect();
    for warning in context.warnings.iter().chain(&rendered.warnings).chain(&places) {
        warn!("{warning}");
    }
    match (&arguments.out, rendered.files.as_slice()) {
        (Some(path), [RenderedFile { mode, bytes, .. }]) if rendered.directories.is_empty() => {
            host::write_file(path, bytes, *mode)?;
            say_written(1, path, arguments.render_format, ui)?;
        }
        (Some(path), _) => {
            if arguments.render_format.is_directory() {
                check_inside(path, &rendered)?;
            }
            write_all(path, &rendered)?;
            say_written(rendered.files.len(), path, arguments.render_format, ui)?;
        }
        (None, [RenderedFile { bytes, .. }]) => ui.out_document(bytes)?,
        (None, files) => {
            // As `systemctl cat` does: each file with its name in a comment above.
            let texts: Vec<String> =
                files.iter().map(|file| format!("# {}\n{}", file.name, file.text())).collect();
            ui.out_document(texts.join("\n").as_bytes())?;
        }
    }
    Ok(exit::OK)
}

/// Says what was written, and what the user does with it.
fn say_written(count: usize, path: &Path, format: RenderFormat, ui: &mut Ui) -> Result<()> {
    ui.say_written(count, path)?;
    ui.say_line(&format!("Next: {}", format.next_step(&path.display().to_string())))
}

/// Refuses a tree that leads through symlinks: those of an image point into its own root, not this machine's.
fn check_inside(folder: &Path, rendered: &RenderedFiles) -> Result<()> {
    let names = rendered.directories.iter().map(|(name, _)| name.as_str());
    for name in names.chain(rendered.files.iter().map(|file| &*file.name)) {
        let below = Path::new(name).ancestors().filter(|path| !path.as_os_str().is_empty());
        if let Some(link) = below.map(|path| folder.join(path)).find(|path| host::is_symlink(path)) {
            let message =
                format!("{} is a symlink, and may point outside {}", link.display(), folder.display());
            return Err(Error::new(ErrorKind::CannotWrite, message)
                .hint(format!("for an image: k3s-harden apply --root {}", folder.display())));
        }
    }
    Ok(())
}

/// Writes several files into a directory, each atomically.
fn write_all(path: &Path, rendered: &RenderedFiles) -> Result<()> {
    host::make_directories(path)?;
    for (name, mode) in &rendered.directories {
        host::make_directory(&path.join(name), *mode)?;
    }
    for file in &rendered.files {
        let target = path.join(&*file.name);
        if let Some(folder) = target.parent() {
            host::make_directories(folder)?;
        }
        host::write_file(&target, &file.bytes, file.mode)?;
    }
    Ok(())
}
