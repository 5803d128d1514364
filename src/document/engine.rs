//! The template engine: Tera with the quoting of YAML, or the escaping of HTML, as its escape hook.

use tera::{Context, EscapeFn, Tera};

use super::quote::yaml_string;

/// `templates/` by name; embedded, so that a node needs nothing but the binary.
const TEMPLATES: [(&str, &str); 21] = [
    ("90-kubelet.conf.tera", include_str!("../../templates/90-kubelet.conf.tera")),
    ("account_update.sh.tera", include_str!("../../templates/account_update.sh.tera")),
    ("account_update.yaml.tera", include_str!("../../templates/account_update.yaml.tera")),
    ("apply.sh.tera", include_str!("../../templates/apply.sh.tera")),
    ("audit.yaml.tera", include_str!("../../templates/audit.yaml.tera")),
    ("cloud-init.yaml.tera", include_str!("../../templates/cloud-init.yaml.tera")),
    ("config.yaml.tera", include_str!("../../templates/config.yaml.tera")),
    ("k3s-harden.service.tera", include_str!("../../templates/k3s-harden.service.tera")),
    (
        "policy/default-service-accounts.yaml.tera",
        include_str!("../../templates/policy/default-service-accounts.yaml.tera"),
    ),
    ("policy/dns.yaml.tera", include_str!("../../templates/policy/dns.yaml.tera")),
    ("policy/ingress-to.yaml.tera", include_str!("../../templates/policy/ingress-to.yaml.tera")),
    ("policy/intra-namespace.yaml.tera", include_str!("../../templates/policy/intra-namespace.yaml.tera")),
    ("policy/metrics-server.yaml.tera", include_str!("../../templates/policy/metrics-server.yaml.tera")),
    (
        "policy/pod-security-policies.yaml.tera",
        include_str!("../../templates/policy/pod-security-policies.yaml.tera"),
    ),
    ("policy/svclb.yaml.tera", include_str!("../../templates/policy/svclb.yaml.tera")),
    ("policy/traefik.yaml.tera", include_str!("../../templates/policy/traefik.yaml.tera")),
    ("psa.yaml.tera", include_str!("../../templates/psa.yaml.tera")),
    ("rancher-cluster.yaml.tera", include_str!("../../templates/rancher-cluster.yaml.tera")),
    ("rancher-files.yaml.tera", include_str!("../../templates/rancher-files.yaml.tera")),
    ("report.html.tera", include_str!("../../templates/report.html.tera")),
    ("systemd-gate.conf.tera", include_str!("../../templates/systemd-gate.conf.tera")),
];

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
            *TEMPLATES.iter().find(|(known, _)| *known == name).expect("the template is embedded")
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
        for (name, text) in TEMPLATES.iter().filter(|(name, _)| name.ends_with(".yaml.tera")) {
            for quote in ["\"{{", "'{{", "}}\"", "}}'"] {
                assert!(!text.contains(quote), "{name}: {quote}");
            }
        }
    }

    #[allow(clippy::disallowed_methods, reason = "a test looks at the project's own files")]
    fn files(folder: &str) -> Vec<String> {
        let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        paths
            .flat_map(|path| {
                let text = path.to_str().unwrap().to_owned();
                if path.is_dir() {
                    files(&text)
                } else {
                    vec![text.trim_start_matches("templates/").to_owned()]
                }
            })
            .collect()
    }

    #[test]
    fn every_file_in_templates_is_embedded() {
        let mut names = files("templates");
        names.sort();
        assert_eq!(names, TEMPLATES.map(|(name, _)| name));
    }
}
