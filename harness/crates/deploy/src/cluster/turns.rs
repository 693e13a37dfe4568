//! Turns of runs on a release: runs that want other content wait for those that came before them, in the order of arrival.
//!
//! A flock is not first come, first served, and a run of nextest is many processes, none of which lives all the time. So the runs
//! are in the record, each with the process whose end is the run's: nextest itself, or the suite.

use serde::{Deserialize, Serialize};

use harness_base::process::Process;
use harness_machine::run::Run;

/// The runs that use a release or wait for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turns(Vec<Turn>);

/// One run, and its turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// The run's identity.
    pub run: String,
    /// The process whose end is the run's.
    pub by: Process,
    /// When the first process of the run that was noted here started, in milliseconds since 1970: before it waited for the lock
    /// on the record.
    pub came: u64,
    /// The hash of the plan that it wants deployed; `None` while it is not known, and for a run that needs only images.
    pub content: Option<String>,
    /// Whether it is its turn: no other content is deployed while it lives.
    pub is_on: bool,
}

impl Turns {
    /// Forgets runs that have ended.
    pub fn without_ended(&mut self) {
        self.0.retain(|turn| turn.by.lives());
    }

    /// Notes a run, before it is known what it wants.
    pub fn arrive(&mut self, run: &Run) -> &mut Turn {
        let at = self.0.iter().position(|turn| turn.run == run.id).unwrap_or_else(|| {
            let (id, by) = (run.id.clone(), run.process.clone());
            self.0.push(Turn { run: id, by, came: run.came, content: None, is_on: false });
            self.0.len() - 1
        });
        &mut self.0[at]
    }

    /// Notes the content that a run wants. Returns `None` if it is its turn; else the run to wait for, which wants other
    /// content and has its turn, or came first.
    pub fn ask(&mut self, run: &Run, content: &str) -> Option<&Turn> {
        let turn = self.arrive(run);
        if turn.content.as_deref() != Some(content) {
            (turn.content, turn.is_on) = (Some(content.to_owned()), false);
        }
        let (came, is_on) = (turn.came, turn.is_on);
        let is_in_the_way = |other: &Turn| {
            let differs = other.content.as_deref().is_some_and(|wanted| wanted != content);
            differs && (other.is_on || (!is_on && other.came < came))
        };
        let first = self.0.iter().position(|other| other.run != run.id && is_in_the_way(other));
        if first.is_none() {
            self.arrive(run).is_on = true;
        }
        first.map(|at| &self.0[at])
    }

    /// Whether it is the turn of a run that wants this content.
    pub fn is_on(&self, run: &Run, content: &str) -> bool {
        self.0.iter().any(|turn| turn.run == run.id && turn.content.as_deref() == Some(content) && turn.is_on)
    }

    /// The turn of a run that lives.
    pub fn of(&self, run: &str) -> Option<&Turn> {
        self.0.iter().find(|turn| turn.run == run && turn.by.lives())
    }

    /// The first of these runs that lives.
    pub fn living(&self) -> Option<&Turn> {
        self.0.iter().find(|turn| turn.by.lives())
    }
}

impl std::fmt::Display for Turn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "run {} ({})", self.run, self.by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(id: u64) -> Run {
        Run { id: id.to_string(), folder: std::path::PathBuf::new(), process: Process::this(), came: id }
    }

    #[test]
    fn other_content_waits_for_all_that_came_before_and_the_same_waits_for_nobody() {
        let mut turns = Turns::default();
        let (first, second, third, fourth) = (run(1), run(2), run(3), run(4));
        assert_eq!(turns.ask(&first, "a"), None);
        assert_eq!(turns.ask(&second, "a"), None);
        assert_eq!(turns.ask(&third, "b").unwrap().run, "1");
        // It would join those that run, and the third would wait for ever.
        assert_eq!(turns.ask(&fourth, "a").unwrap().run, "3");
        assert_eq!(turns.ask(&first, "a"), None);
        assert!(turns.is_on(&first, "a") && !turns.is_on(&third, "b") && !turns.is_on(&first, "b"));
    }

    #[test]
    fn the_order_is_that_of_coming_whoever_is_written_down_first() {
        let mut turns = Turns::default();
        assert_eq!(turns.ask(&run(1), "a"), None);
        assert_eq!(turns.ask(&run(3), "c").unwrap().run, "1");
        assert_eq!(turns.ask(&run(2), "b").unwrap().run, "1");
        turns.0.retain(|turn| turn.run != "1");
        assert_eq!(turns.ask(&run(3), "c").unwrap().run, "2");
        assert_eq!(turns.ask(&run(2), "b"), None);
    }

    #[test]
    fn whoever_came_first_and_asks_late_waits_for_those_whose_turn_it_is() {
        let mut turns = Turns::default();
        turns.arrive(&run(1));
        assert_eq!(turns.ask(&run(2), "b"), None);
        assert_eq!(turns.ask(&run(1), "a").unwrap().run, "2");
        // It goes on: what came before it, and is not on, is no reason to stop.
        assert_eq!(turns.ask(&run(2), "b"), None);
    }

    #[test]
    fn a_run_that_has_ended_is_in_nobodys_way() {
        let mut turns = Turns::default();
        let ended = Run { process: Process { pid: 1, started: "never".to_owned() }, ..run(1) };
        turns.ask(&ended, "a");
        assert!(turns.living().is_none());
        turns.without_ended();
        assert_eq!(turns.ask(&run(2), "b"), None);
    }
}
