// SPDX-License-Identifier: Apache-2.0
//! The page of departures from K3s's hardening guide.

use super::markdown::{Page, code, link, plain, with_code};
use super::settings::written;
use crate::explain::{DepartureValues, fixed_departures, setting_departures};

/// Returns the page.
pub(super) fn page() -> Page {
    let mut page = Page::new(
        "departures.md",
        "Departures from the guide",
        "Where the default profile differs from K3s's own hardening guide, and why.",
    );
    page.paragraph(&format!(
        "{} is the guide as it is written today. `k3s-harden profile diff k3s-guide cis` shows the same differences for the newest minor.",
        code("--profile k3s-guide")
    ));
    page.heading("Settings");
    page.paragraph(
        "Where a value is `null`, nothing is written, and the default of K3s or of its component counts.",
    );
    page.table(
        &["setting", "Kubernetes", "the guide", "ours", "why", "source"],
        setting_departures().into_iter().flat_map(|departure| {
            let (setting, why, source) = (departure.setting, departure.why, departure.source);
            departure.values.into_iter().map(move |values| {
                vec![
                    link(setting, &format!("settings.md#{setting}")),
                    minors(&values),
                    code(&written(&values.guide)),
                    code(&written(&values.ours)),
                    with_code(why),
                    plain(source),
                ]
            })
        }),
    );
    page.heading("In every profile");
    page.paragraph("No setting decides these. The profile k3s-guide has them too.");
    page.table(
        &["what", "Kubernetes", "the guide", "ours", "why", "source"],
        fixed_departures().iter().map(|departure| {
            vec![
                plain(&departure.what),
                departure.kubernetes.to_string(),
                with_code(&departure.guide),
                with_code(&departure.ours),
                with_code(&departure.why),
                plain(&departure.source),
            ]
        }),
    );
    page
}

fn minors(values: &DepartureValues) -> String {
    if values.from == values.to {
        values.from.to_string()
    } else {
        format!("{} to {}", values.from, values.to)
    }
}
