//! A report as people read it: a table on the terminal, and the page in `docs/`.

use std::fmt::Write as _;

use comfy_table::{Table, presets};

use super::report::{Outcome, Report};

/// The report as a table, with a line that sums it up.
pub(super) fn terminal(report: &Report) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_header(["spec", "result", "seconds"]);
    for spec in &report.specs {
        let result = match spec.outcome.reason() {
            Some(reason) => format!("{}\n{reason}", spec.outcome.word()),
            None => spec.outcome.word().to_owned(),
        };
        table.add_row([spec.name.clone(), result, spec.seconds.to_string()]);
    }
    format!("{table}\n{}", summary(report))
}

/// How it ended in one sentence.
pub(super) fn summary(report: &Report) -> String {
    let total = report.specs.len();
    let count = |wanted: fn(&Outcome) -> bool| report.specs.iter().filter(|spec| wanted(&spec.outcome)).count();
    let mut summary = format!("{} of {total} specs passed in {}", report.passed(), duration(report.seconds));
    for (count, what) in [
        (count(|outcome| matches!(outcome, Outcome::FailedAsExpected(_))), "failed as expected"),
        (count(|outcome| matches!(outcome, Outcome::Failed(_))), "FAILED"),
        (count(|outcome| matches!(outcome, Outcome::Skipped(_))), "SKIPPED"),
        (count(|outcome| matches!(outcome, Outcome::PassedUnexpectedly)), "passed AGAINST EXPECTATION"),
    ] {
        if count > 0 {
            // Writing to a string can't fail.
            let _ = write!(summary, ", {count} {what}");
        }
    }
    summary
}

/// The page for the docs.
pub(super) fn markdown(report: &Report, version: &str, cluster: &str) -> String {
    let mut page = format!(
        "# Kubernetes' own end-to-end suite\n\n\
         The specs for Services of type LoadBalancer of Kubernetes {version}, unmodified, against Herald on {cluster}.\n\
         `make e2e` runs them again and writes this page; `lab e2e 'FOCUS'` runs the specs whose names match an expression.\n\n\
         **{}** ({}).\n\n| spec | result | seconds |\n|---|---|---:|\n",
        summary(report),
        report.day,
    );
    for spec in &report.specs {
        let _ = writeln!(page, "| {} | {} | {} |", cell(&spec.name), spec.outcome.word(), spec.seconds);
    }
    let reasons = report.specs.iter().filter_map(|spec| Some((spec, spec.outcome.reason()?)));
    for (number, (spec, reason)) in reasons.enumerate() {
        if number == 0 {
            page.push_str("\nNot passed, and why:\n\n");
        }
        let _ = writeln!(page, "- *{}*: {}.", cell(&spec.name), cell(reason.trim_end_matches('.')));
    }
    page
}

/// Text that stays within a cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}

fn duration(seconds: u64) -> String {
    if seconds < 120 { format!("{seconds} s") } else { format!("{} min", seconds.div_ceil(60)) }
}

#[cfg(test)]
mod tests {
    use super::super::report::Spec;
    use super::*;

    fn report() -> Report {
        let spec = |name: &str, outcome, seconds| Spec { name: name.to_owned(), outcome, seconds };
        Report {
            specs: vec![
                spec("LoadBalancers: works", Outcome::Passed, 12),
                spec("LoadBalancers: a|b", Outcome::FailedAsExpected("one node announces"), 190),
                spec("LoadBalancers: breaks", Outcome::Failed("no answer".to_owned()), 600),
            ],
            seconds: 601,
            day: "2026-11-21".to_owned(),
        }
    }

    #[test]
    fn the_page_has_a_summary_a_row_for_each_spec_and_the_reasons() {
        let page = markdown(&report(), "v1.36.3", "three nodes");
        for line in [
            "**1 of 3 specs passed in 11 min, 1 failed as expected, 1 FAILED** (2026-11-21).",
            "| LoadBalancers: works | passed | 12 |",
            "| LoadBalancers: a\\|b | failed, as expected | 190 |",
            "- *LoadBalancers: a\\|b*: one node announces.",
            "- *LoadBalancers: breaks*: no answer.",
        ] {
            assert!(page.lines().any(|seen| seen == line), "{line:?} is not in\n{page}");
        }
    }

    #[test]
    fn the_terminal_shows_why_a_spec_failed() {
        let shown = terminal(&report());
        assert!(shown.contains("no answer") && shown.contains("1 of 3 specs passed"), "{shown}");
    }
}
