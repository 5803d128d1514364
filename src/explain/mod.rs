// SPDX-License-Identifier: Apache-2.0
//! Explain: describes a control or a setting from the data of all rooms, and lists what sets it on this node.
//!
//! Ids, levels and titles come from verify, settings and arguments from profile, and checks from scanner. Only the reasons
//! and the pitfalls have a table here (data/explanations.yaml), and those of the departures from K3s's hardening guide
//! (data/departures.yaml). The room may import verify, scanner and every room below
//! them; it imports neither render nor output.

mod departures;
mod explained_node;
mod explanation;
mod profile_values;
mod set_by;
mod setting;
mod table;
mod topic;

pub use self::departures::{
    DepartureValues, FixedDeparture, SettingDeparture, fixed_departures, setting_departures,
};
pub use self::explained_node::ExplainedNode;
pub use self::explanation::{
    BenchmarkNumber, ControlExplanation, Explanation, LastKubeletArgument, ScannerMistake, TopicKind,
};
pub use self::profile_values::{ProfileValue, profile_values};
pub use self::set_by::{SetBy, SetterKind};
pub use self::setting::{GuideValue, SettingExplanation};
pub use self::table::{Pitfall, files_of, is_in_drop_in, settings_of};
pub use self::topic::explain;
