//! `explain`: what is this control or setting, why, and who sets it here?

use tracing::warn;

use super::args::{BenchmarkArguments, ExplainArguments, GlobalArguments};
use super::context::{Context, given};
use super::ui::Ui;
use crate::document::Rendered;
use crate::error::{ErrorKind, Result, exit};
use crate::explain::{ExplainedNode, explain};
use crate::k3s::K3sLog;
use crate::k3s::NodeConfig;
use crate::node::Root;
use crate::output;
use crate::verify::NodeFacts;
use crate::version::KubernetesMinor;

pub(super) fn run(global: &GlobalArguments, arguments: &ExplainArguments, ui: &mut Ui) -> Result<u8> {
    let root = Root::open(&global.root)?;
    // Which controls a run is about says nothing of what they are.
    let whole = GlobalArguments { only: Vec::new(), skip: vec!["none".to_owned()], ..global.clone() };
    let context = context(&root, &whole)?;
    let node = NodeConfig::of(&root, context.site.role, context.version.minor(), &context.site.data_dir)?;
    if let Err(error) = &node.effective {
        warn!("{error}: who sets what here is not known");
    }
    // What counts is what is configured; what K3s logged when it last started is for verify.
    let facts = NodeFacts::of(node, context.owner, K3sLog::default());
    let benchmark = given(arguments.benchmark.as_ref()).unwrap_or_else(|| context.profile.benchmark.clone());
    let here = ExplainedNode {
        facts: &facts,
        profile: &context.profile,
        site: &context.site,
        rendered: &Rendered::of(&context.profile, &context.site),
        benchmark: &benchmark,
    };
    let explanation = explain(&arguments.topic, &here)?;
    if ui.json() {
        ui.out_json(&output::explain_json(&explanation, &here))?;
    } else {
        ui.out(&output::explain_text(&explanation, &here, ui.stdout_style(), Ui::width()))?;
    }
    Ok(exit::OK)
}

/// Finds out about the node. Where no K3s says its version the newest will do: whoever asks what something is need not
/// have a node at hand.
fn context<'a>(root: &'a Root, global: &GlobalArguments) -> Result<Context<'a>> {
    match (Context::new(root, global, &BenchmarkArguments::default()), KubernetesMinor::supported().pop()) {
        (Err(error), Some(newest)) if error.kind() == ErrorKind::Usage && global.k3s_version.is_none() => {
            let newest = GlobalArguments { k3s_version: Some(newest.to_string()), ..global.clone() };
            let context = Context::new(root, &newest, &BenchmarkArguments::default())?;
            warn!(
                "{error}: explained as for {}, the newest minor; --k3s-version names another",
                context.version.minor()
            );
            Ok(context)
        }
        (context, _) => context,
    }
}
