//! Failures as annotations of GitHub Actions.

use super::{Outcome, ScenarioOutcome};

impl Outcome {
    /// A workflow command for each failed scenario, which GitHub shows on the run's page.
    pub fn annotations(&self) -> String {
        let annotation = |(name, reason): (&str, &str)| format!("::error title={}::{}\n", property(name), data(reason));
        self.of(ScenarioOutcome::Failed).map(|(name, judged)| annotation((name, &judged.reason))).collect()
    }
}

/// A command's text, which is one line (docs.github.com, "Workflow commands").
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A command's property, which ends at a colon or comma.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::EVENTS;

    #[test]
    fn a_failure_is_one_line_whatever_it_says() {
        assert_eq!(Outcome::parse(EVENTS).annotations(), "::error title=a%3A%3Ad::first%0Asecond\n");
        assert_eq!(Outcome::default().annotations(), "");
    }
}
