// SPDX-License-Identifier: Apache-2.0
//! The template engine: Tera with the quoting of YAML, or the escaping of HTML, as its escape hook.

use tera::{Context, EscapeFn, Tera};

use super::quote::yaml_string;
use crate::embedded;

/// Renders templates.
pub(super) struct Engine(Tera);

impl Engine {
    /// Parses the templates `names`, all at once: Tera checks all that it has whenever some are added.
    pub(super) fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        // Every text in a YAML template is quoted; there are no quotes around {{ }} in them.
        Self::escaping(".yaml.tera", yaml_string, names)
    }

    /// The same, where every text in a template whose name ends so goes through `escape`.
    pub(super) fn escaping<'a>(
        suffix: &'static str,
        escape: EscapeFn,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let mut tera = Tera::new();
        tera.autoescape_on([suffix]);
        tera.set_escape_fn(escape);
        let wanted = names.into_iter().map(|name| {
            *embedded::templates().iter().find(|(known, _)| *known == name).expect("it is in templates/")
        });
        tera.add_raw_templates(wanted).unwrap_or_else(|error| panic!("{error}"));
        Self(tera)
    }

    /// Renders the template `name` with `context`.
    ///
    /// # Panics
    /// If the template does not fit the context: the project has both, and the tests render every template.
    pub(super) fn render(&self, name: &str, context: &Context) -> String {
        self.0.render(name, context).unwrap_or_else(|error| panic!("{error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_put_no_quotes_around_what_is_quoted() {
        for (name, text) in embedded::templates().iter().filter(|(name, _)| name.ends_with(".yaml.tera")) {
            for quote in ["\"{{", "'{{", "}}\"", "}}'"] {
                assert!(!text.contains(quote), "{name}: {quote}");
            }
        }
    }
}
