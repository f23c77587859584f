//! What the suite's runner reports, and how it is judged: which specs ran, how each ended, and whether that was to be
//! expected. Pure: reads no file and starts nothing.

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// Specs that Herald doesn't pass yet: a part of the spec's name, and why.
const EXPECTED_FAILURES: [(&str, &str); 1] = [(
    "should be able to switch session affinity for LoadBalancer service with Local traffic policy",
    "it wants one client spread over the pods of several nodes under policy Local, but one node announces an address",
)];

/// How a spec ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It passed.
    Passed,
    /// It failed, with the first line of its message.
    Failed(String),
    /// It found that it can't be run here, and said why.
    Skipped(String),
    /// It failed as expected, for this reason.
    FailedAsExpected(&'static str),
    /// It passed, though it was expected to fail.
    PassedUnexpectedly,
}

impl Outcome {
    /// Whether it is what is expected today.
    pub fn is_expected(&self) -> bool {
        matches!(self, Self::Passed | Self::FailedAsExpected(_))
    }

    /// One or two words.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed(_) => "FAILED",
            Self::Skipped(_) => "SKIPPED",
            Self::FailedAsExpected(_) => "failed, as expected",
            Self::PassedUnexpectedly => "PASSED, against expectation",
        }
    }

    /// Why it isn't a plain pass.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Passed => None,
            Self::Failed(message) | Self::Skipped(message) => Some(message),
            Self::FailedAsExpected(reason) => Some(reason),
            Self::PassedUnexpectedly => Some("take it off the list of expected failures"),
        }
    }
}

/// A spec that ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Its name without labels: the group's, then its own.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub seconds: u64,
}

/// A run of the suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The specs that ran, in the order of their names.
    pub specs: Vec<Spec>,
    /// How long all took.
    pub seconds: u64,
    /// The day it ran, `2026-11-21`.
    pub day: String,
}

impl Report {
    /// Reads the JSON report of the runner.
    ///
    /// # Errors
    /// It is not such a report.
    pub fn parse(json: &[u8]) -> Result<Self> {
        let suites: Vec<Suite> = serde_json::from_slice(json).context("this is no report of the suite's runner")?;
        let mut specs: Vec<Spec> = suites.iter().flat_map(|suite| &suite.specs).filter_map(SpecReport::read).collect();
        specs.sort_by(|a, b| a.name.cmp(&b.name));
        let day = suites.first().and_then(|suite| suite.started.get(..10)).unwrap_or_default().to_owned();
        Ok(Self { specs, seconds: suites.iter().map(|suite| suite.nanoseconds / NANOSECONDS).sum(), day })
    }

    /// How many passed.
    pub fn passed(&self) -> usize {
        self.specs.iter().filter(|spec| matches!(spec.outcome, Outcome::Passed | Outcome::PassedUnexpectedly)).count()
    }

    /// Whether specs ran and all ended as is expected today.
    pub fn is_expected(&self) -> bool {
        !self.specs.is_empty() && self.specs.iter().all(|spec| spec.outcome.is_expected())
    }
}

const NANOSECONDS: u64 = 1_000_000_000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Suite {
    #[serde(rename = "StartTime")]
    started: String,
    #[serde(rename = "RunTime")]
    nanoseconds: u64,
    #[serde(rename = "SpecReports", default)]
    specs: Vec<SpecReport>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SpecReport {
    container_hierarchy_texts: Option<Vec<String>>,
    leaf_node_type: String,
    leaf_node_text: String,
    state: String,
    #[serde(rename = "RunTime")]
    nanoseconds: u64,
    num_attempts: u32,
    failure: Option<Failure>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Failure {
    message: String,
}

impl SpecReport {
    /// The spec, if it is one and was among the chosen ones. What prepares the suite counts when it failed.
    fn read(&self) -> Option<Spec> {
        let is_spec = self.leaf_node_type == "It";
        let passed = self.state == "passed";
        if self.num_attempts == 0 || (!is_spec && (passed || self.state == "skipped")) {
            return None;
        }
        let group = self.container_hierarchy_texts.iter().flatten();
        let own = if is_spec { &self.leaf_node_text } else { &self.leaf_node_type };
        let name = group.chain([own]).map(|text| without_labels(text)).collect::<Vec<_>>().join(": ");
        let message = || {
            let text = self.failure.as_ref().map_or("", |failure| failure.message.as_str());
            text.lines().find(|line| !line.trim().is_empty()).unwrap_or(&self.state).trim().to_owned()
        };
        let expected = EXPECTED_FAILURES.iter().find(|(part, _)| name.contains(part));
        let outcome = match (self.state.as_str(), expected) {
            ("passed", None) => Outcome::Passed,
            ("passed", Some(_)) => Outcome::PassedUnexpectedly,
            ("skipped" | "pending", _) => Outcome::Skipped(message()),
            (_, Some((_, reason))) => Outcome::FailedAsExpected(reason),
            (_, None) => Outcome::Failed(message()),
        };
        Some(Spec { name, outcome, seconds: self.nanoseconds / NANOSECONDS })
    }
}

/// A text without the labels in brackets that upstream weaves into names.
fn without_labels(text: &str) -> String {
    let mut words = Vec::new();
    let mut depth = 0_u32;
    for word in text.split_whitespace() {
        let opens = word.starts_with('[');
        depth += u32::from(opens);
        if depth == 0 {
            words.push(word);
        }
        if depth > 0 && word.ends_with(']') {
            depth -= 1;
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn spec(group: &str, text: &str, state: &str, message: &str) -> Value {
        json!({
            "ContainerHierarchyTexts": [group], "LeafNodeType": "It", "LeafNodeText": text, "State": state,
            "RunTime": 12_700_000_000_u64, "NumAttempts": 1, "Failure": { "Message": message },
        })
    }

    fn parse(specs: &[Value]) -> Report {
        let suite =
            json!([{ "StartTime": "2026-11-21T09:00:00Z", "RunTime": 61_000_000_000_u64, "SpecReports": specs }]);
        Report::parse(suite.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn names_lose_their_labels_and_times_are_seconds() {
        let report =
            parse(&[spec("[sig-network] LoadBalancers [Feature:Load Balancer]", "should work [Slow]", "passed", "")]);
        let [spec] = report.specs.as_slice() else { panic!("{report:?}") };
        assert_eq!((spec.name.as_str(), spec.seconds), ("LoadBalancers: should work", 12));
        assert_eq!((report.seconds, report.day.as_str()), (61, "2026-11-21"));
        assert!(report.is_expected());
    }

    #[test]
    fn specs_that_were_not_chosen_are_left_out_but_one_that_skipped_itself_is_shown_and_not_expected() {
        let mut not_chosen = spec("a", "not chosen", "skipped", "");
        not_chosen["NumAttempts"] = json!(0);
        let report = parse(&[not_chosen, spec("a", "needs a cloud", "skipped", "Only for clouds")]);
        assert_eq!(report.specs.len(), 1, "{report:?}");
        assert_eq!(report.specs[0].outcome, Outcome::Skipped("Only for clouds".to_owned()));
        assert!(!report.is_expected());
    }

    #[test]
    fn a_failure_is_expected_only_if_it_is_on_the_list() {
        let report =
            parse(&[spec("a", "breaks", "timedout", "\nTimed out after 2 min\nmore"), spec("a", "b", "passed", "")]);
        assert_eq!(report.specs[1].outcome, Outcome::Failed("Timed out after 2 min".to_owned()));
        assert!(!report.is_expected());

        let known = EXPECTED_FAILURES[0].0;
        assert!(parse(&[spec("a", known, "failed", "x")]).is_expected());
        assert!(!parse(&[spec("a", known, "passed", "")]).is_expected());
    }

    #[test]
    fn a_run_without_specs_proves_nothing() {
        assert!(!parse(&[]).is_expected());
    }

    #[test]
    fn a_suite_that_could_not_be_prepared_is_a_failure() {
        let mut before = spec("", "", "failed", "no node is ready");
        before["LeafNodeType"] = json!("SynchronizedBeforeSuite");
        before["ContainerHierarchyTexts"] = json!(null);
        let report = parse(&[before]);
        assert_eq!(report.specs[0].name, "SynchronizedBeforeSuite");
        assert!(!report.is_expected());
    }
}
