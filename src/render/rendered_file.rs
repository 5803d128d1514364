// SPDX-License-Identifier: Apache-2.0
//! What a format renders, and the files that it gives.

use std::borrow::Cow;

use super::program_path::ProgramPath;
use crate::apply::RunInputs;
use crate::document::RenderTarget;
use crate::mode::FileMode;
use crate::profile::Profile;

/// What is rendered.
#[derive(Debug, Clone, Copy)]
pub struct RenderInput<'a> {
    /// The resolved profile.
    pub profile: &'a Profile,
    /// The node.
    pub target: &'a RenderTarget,
    /// The K3s release, if it is known in full.
    pub release: Option<&'a str>,
    /// Whether the running kernel's parameters are set too, beside their file.
    pub live_sysctl: bool,
    /// The inputs of the run, for a format that runs k3s-harden with them on the node.
    pub inputs: &'a RunInputs,
    /// Where k3s-harden is on the node; needed by a format that runs it there.
    pub binary: Option<&'a ProgramPath>,
}

/// The files of a format.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RenderedFiles {
    /// Directories that the files need, parents first, with their modes; names are relative.
    pub directories: Vec<(String, FileMode)>,
    /// The files, in order.
    pub files: Vec<RenderedFile>,
    /// Warnings for the user.
    pub warnings: Vec<String>,
}

/// One file of a format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedFile {
    /// Its name, or its path below the directory.
    pub name: Cow<'static, str>,
    /// Its mode.
    pub mode: FileMode,
    /// Its content.
    pub bytes: Vec<u8>,
}

impl RenderedFile {
    pub(super) fn new(name: &'static str, mode: FileMode, text: String) -> Self {
        Self { name: name.into(), mode, bytes: text.into_bytes() }
    }

    /// Returns its content as text; an archive has none.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }
}

impl RenderedFiles {
    pub(super) fn one(file: RenderedFile) -> Self {
        Self { files: vec![file], ..Self::default() }
    }
}
