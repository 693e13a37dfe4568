//! A run's verdicts as JUnit's XML, which CI systems show.

use std::collections::BTreeMap;
use std::time::Duration;

use harness_base::{Error, Result};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{Outcome, ScenarioOutcome};

impl Outcome {
    /// The verdicts as JUnit's XML: a suite for each module, with the whole report of each failure.
    ///
    /// # Errors
    /// [`harness_base::Error::Malformed`], never in practice.
    pub fn junit(&self) -> Result<String> {
        let mut suites: BTreeMap<&str, TestSuite> = BTreeMap::new();
        for (name, judged) in &self.0 {
            let (module, behaviour) = name.split_once("::").unwrap_or(("", name));
            let mut status = match judged.verdict {
                ScenarioOutcome::Passed => TestCaseStatus::success(),
                ScenarioOutcome::Failed => TestCaseStatus::non_success(NonSuccessKind::Failure),
                ScenarioOutcome::Ignored => TestCaseStatus::skipped(),
            };
            if judged.verdict != ScenarioOutcome::Passed {
                status.set_message(judged.reason.lines().next().unwrap_or_default());
                status.set_description(judged.reason.as_str());
            }
            let mut case = TestCase::new(behaviour, status);
            case.set_classname(module).set_time(Duration::from_secs_f64(judged.seconds.max(0.0)));
            if !judged.measured.is_empty() {
                case.set_system_out(judged.measured.join("\n"));
            }
            suites.entry(module).or_insert_with(|| TestSuite::new(module)).add_test_case(case);
        }
        let mut report = Report::new("stack");
        report.add_test_suites(suites.into_values());
        report.to_string().map_err(Error::malformed("write JUnit's XML"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::EVENTS;

    #[test]
    fn every_verdict_is_a_case_of_its_module() {
        insta::assert_snapshot!(Outcome::parse(EVENTS).junit().unwrap(), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="stack" tests="3" skipped="1" failures="1" errors="0">
            <testsuite name="a" tests="3" skipped="1" errors="0" failures="1">
                <testcase name="b" classname="a" time="0.000"/>
                <testcase name="c" classname="a" time="0.000">
                    <skipped message="no policy">no policy</skipped>
                </testcase>
                <testcase name="d" classname="a" time="0.000">
                    <failure message="first">first
        second</failure>
                </testcase>
            </testsuite>
        </testsuites>
        "#);
    }
}
