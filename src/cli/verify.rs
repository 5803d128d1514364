//! `verify`: is it hardened?

use super::args::{Global, Judging, VerifyArguments, VerifyFailOn};
use super::context::{Context, given, words};
use super::ui::Ui;
use crate::error::{Error, Kind, Result, exit};
use crate::node::{Root, host};
use crate::output::{self, TextOptions};
use crate::preflight::Judged;
use crate::profile::{ControlId, MAX_SOURCE_BYTES};
use crate::verify::{Cluster, Facts, Journal, Kubectl, Report, Status, Verdict, verify};

/// Longest log that is read from a file, in bytes.
const MAX_LOG_BYTES: usize = 16 * MAX_SOURCE_BYTES;

pub(super) fn run(global: &Global, arguments: &VerifyArguments, ui: &mut Ui) -> Result<u8> {
    let root = Root::open(&global.root)?;
    // Which controls are looked at is nothing that a profile has to be able to set.
    let whole = Global { only: Vec::new(), skip: vec!["none".to_owned()], ..global.clone() };
    let context = Context::new(&root, &whole, &Judging::default())?;
    let judged = Judged::of(&root, context.site.role, context.version.minor(), &context.site.data_dir)?;
    let journal = match given(arguments.journal.as_ref()) {
        Some(path) => {
            let bytes = host::read_file(&path, MAX_LOG_BYTES)?;
            Journal::of(String::from_utf8_lossy(&bytes), path)
        }
        None => Journal::read(&root),
    };
    let facts = with_live(Facts::of(judged, context.owner, journal), arguments.live)?;
    let benchmark = given(arguments.benchmark.as_ref()).unwrap_or_else(|| context.profile.benchmark.clone());
    let mut report = verify(&facts, &benchmark)?;
    select(&mut report, &words(&global.only), &words(&global.skip))?;
    if ui.json() {
        ui.out_json(&output::verify_json(&report))?;
    } else {
        let options = TextOptions {
            style: ui.stdout_style(),
            width: Ui::width(),
            summary: arguments.summary,
            only_findings: arguments.only_findings,
        };
        ui.out(&output::verify_text(&report, &options))?;
    }
    let counts = |verdict: &Verdict| verdict.waiver.is_none() && fails(verdict.status, arguments.fail_on);
    Ok(if report.verdicts.iter().any(counts) { exit::FINDINGS } else { exit::OK })
}

fn fails(status: Status, on: VerifyFailOn) -> bool {
    let least = match on {
        VerifyFailOn::Never => return false,
        VerifyFailOn::Fail => 0,
        VerifyFailOn::Warn => 1,
        VerifyFailOn::Unknown => 2,
    };
    [Status::Fail, Status::Warn, Status::Unknown].iter().take(least + 1).any(|counted| *counted == status)
}

/// Leaves out what was not asked for: numbers, sections or names.
fn select(report: &mut Report, only: &[String], skip: &[String]) -> Result<()> {
    let is = |verdict: &Verdict, word: &String| match word.parse::<ControlId>() {
        Ok(id) => verdict.id.within(&id),
        Err(_) => verdict.name == *word,
    };
    let unknown =
        |word: &&String| *word != "none" && !report.verdicts.iter().any(|verdict| is(verdict, word));
    if let Some(word) = only.iter().chain(skip).find(unknown) {
        let message = format!("benchmark {} has no control {word}", report.benchmark);
        return Err(
            Error::new(Kind::BadInput, message).hint("`k3s-harden verify` without it lists those there are")
        );
    }
    report.verdicts.retain(|verdict| {
        (only.is_empty() || only.iter().any(|word| is(verdict, word)))
            && !skip.iter().any(|word| is(verdict, word))
    });
    Ok(())
}

/// Asks the node's cluster, if that is wanted. That it does not answer is known then too: nothing passes unseen.
fn with_live(facts: Facts<'_>, live: bool) -> Result<Facts<'_>> {
    if !live {
        return Ok(facts);
    }
    let cluster = match Kubectl::of(&facts.judged) {
        Err(error) if error.kind() == Kind::Usage => return Err(error),
        kubectl => kubectl.and_then(|kubectl| Cluster::read(&kubectl, facts.judged.minor)),
    };
    if let Err(error) = &cluster {
        tracing::warn!("the cluster was not looked at: {}", error.message());
    }
    Ok(facts.with_cluster(cluster))
}
