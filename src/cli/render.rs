//! `render`: the same settings for other hands.

use tracing::warn;

use super::args::{Global, Judging, RenderArguments};
use super::context::Context;
use super::ui::Ui;
use crate::carrier::CarriedFile;
use crate::error::{Result, exit};
use crate::node::{Root, host};

pub(super) fn run(global: &Global, arguments: &RenderArguments, ui: &mut Ui) -> Result<u8> {
    let root = Root::open(&global.root)?;
    let context = Context::new(&root, global, &Judging::default())?;
    let carried = arguments.carrier.render(&context.profile, &context.site, context.version.release());
    for warning in &carried.warnings {
        warn!("{warning}");
    }
    match (&arguments.out, carried.files.as_slice()) {
        (Some(path), [CarriedFile { mode, text, .. }]) => host::write_file(path, text.as_bytes(), *mode)?,
        (Some(path), files) => {
            host::make_directories(path)?;
            for file in files {
                host::write_file(&path.join(file.name), file.text.as_bytes(), file.mode)?;
            }
        }
        (None, [CarriedFile { text, .. }]) => ui.out(text)?,
        (None, files) => {
            // As `systemctl cat` does: each file with its name in a comment above.
            let texts: Vec<String> =
                files.iter().map(|file| format!("# {}\n{}", file.name, file.text)).collect();
            ui.out(&texts.join("\n"))?;
        }
    }
    Ok(exit::OK)
}
