// SPDX-License-Identifier: Apache-2.0
//! For systemd: a unit that applies before K3s is started, and a drop-in that runs `preflight` first, so that the reason
//! is in the journal and K3s is not restarted every five seconds. Beside them a timer for what exists only after K3s's start.

use serde_json::json;

use super::program_path::ProgramPath;
use super::rendered_file::{RenderInput, RenderedFile, RenderedFiles};
use super::unit_word::word;
use crate::document;
use crate::mode::FileMode;

/// Renders the unit and the drop-in.
pub(super) fn render(input: &RenderInput<'_>, binary: &ProgramPath) -> RenderedFiles {
    let RenderInput { profile, target, .. } = *input;
    let unit = target.role.service();
    let about = "Brings the node to the benchmark before K3s is started.";
    let environment = environment(input);
    let data_dir = word(target.data_dir.as_str());
    let context = json!({
        "unit": unit,
        "role": target.role,
        "environment": environment,
        "binary": binary.word(),
        "script_binary": binary.in_script(),
        "data_dir": data_dir,
    });
    let text = document::render(profile, "k3s-harden.service.tera", about, &[], &context);
    let mut rendered = gate(input, binary);
    let directory = format!("{unit}.service.d");
    for file in &mut rendered.files {
        file.name = format!("{directory}/{}", file.name).into();
    }
    rendered.directories.push((directory, FileMode::PUBLIC_DIRECTORY));
    rendered.files.insert(0, RenderedFile::new("k3s-harden.service", FileMode::PUBLIC_FILE, text));
    rendered.warnings = warnings(input);
    rendered
}

/// Renders the unit that sets the modes and owners of what K3s made, and the timer that starts it.
pub(super) fn timer(input: &RenderInput<'_>, binary: &ProgramPath) -> RenderedFiles {
    let RenderInput { profile, target, .. } = *input;
    let context = json!({
        "unit": target.role.service(),
        "role": target.role,
        "environment": environment(input),
        "binary": binary.word(),
        "data_dir": word(target.data_dir.as_str()),
    });
    let file = |name: &'static str, about: &str| {
        let text = document::render(profile, &format!("{name}.tera"), about, &[], &context);
        RenderedFile::new(name, FileMode::PUBLIC_FILE, text)
    };
    RenderedFiles {
        directories: Vec::new(),
        files: vec![
            file(
                "k3s-harden-after-start.service",
                "Sets the modes and owners that K3s does not give its files.",
            ),
            file("k3s-harden-after-start.timer", "Starts the unit beside it from time to time."),
        ],
        warnings: warnings(input),
    }
}

/// Returns the variables with what the user named: `cis` is resolved again for another K3s version, and a file is read again.
fn environment(input: &RenderInput<'_>) -> Vec<String> {
    let RenderInput { inputs, .. } = *input;
    let mut environment = vec![assignment("K3S_HARDEN_PROFILE", &inputs.profiles.join(","))];
    if !inputs.skip.is_empty() {
        environment.push(assignment("K3S_HARDEN_SKIP", &inputs.skip.join(",")));
    }
    environment.extend(inputs.data_dir.as_ref().map(|path| assignment("K3S_HARDEN_DATA_DIR", path)));
    // Only on a node whose minor is newer than this version knows.
    environment
        .extend(inputs.assume_minor.map(|minor| assignment("K3S_HARDEN_ASSUME_MINOR", &minor.to_string())));
    environment
}

/// Returns warnings about what the unit needs and does not hold.
fn warnings(input: &RenderInput<'_>) -> Vec<String> {
    let RenderInput { profile, inputs, .. } = *input;
    let files = inputs.profiles.iter().filter(|name| name.contains('/'));
    let mut warnings: Vec<String> = files
        .map(|path| format!("the unit reads the profile {path}: it has to be there on the node"))
        .collect();
    if !inputs.assignments.is_empty() || inputs.settings.is_some() {
        warnings.push(
            "settings are not in the unit: write them into the node's /etc/k3s-harden/settings.yaml"
                .to_owned(),
        );
    }
    if profile.selection.only().is_some() {
        warnings.push("--only is not in the unit: it is for one run".to_owned());
    }
    warnings
}

/// Writes `name=value` for systemd's `Environment=`.
fn assignment(name: &str, value: &str) -> String {
    word(&format!("{name}={value}"))
}

/// Renders the drop-in. K3s requires the mounts that the unit requires: where one is missing the unit does not run, and
/// systemd alone can keep K3s from starting.
pub(super) fn gate(input: &RenderInput<'_>, binary: &ProgramPath) -> RenderedFiles {
    let RenderInput { profile, target, .. } = *input;
    let about = "Keeps K3s from being started where it would not start.";
    let context = json!({
        "unit": target.role.service(),
        "role": target.role,
        "data_dir": word(target.data_dir.as_str()),
        "script_binary": binary.in_script(),
    });
    let text = document::render(profile, "systemd-gate.conf.tera", about, &[], &context);
    RenderedFiles::one(RenderedFile::new("10-k3s-harden.conf", FileMode::PUBLIC_FILE, text))
}
