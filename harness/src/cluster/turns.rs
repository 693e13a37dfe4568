//! Whose turn it is: runs that want other content wait for those that came before them, in the order in which they came.
//!
//! A flock is not first come, first served, and a run of nextest is many processes, none of which lives all the time; so
//! the runs stand in the record, each with the process whose end is the run's: nextest itself, or the suite.

use serde::{Deserialize, Serialize};

use crate::process::Process;
use crate::run::Run;

/// The runs that use a release or wait for it, in the order in which they came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turns(Vec<Turn>);

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Its identity.
    pub run: String,
    /// The process whose end is the run's.
    pub by: Process,
    /// The plan that it wants deployed; `None` while it knows none, and of a run that needs images alone.
    pub content: Option<String>,
}

impl Turns {
    /// Forgets runs that have ended.
    pub fn without_ended(&mut self) {
        self.0.retain(|turn| turn.by.lives());
    }

    /// Notes that a run is there, whatever it will want.
    pub fn arrive(&mut self, run: &Run) {
        if self.0.iter().all(|turn| turn.run != run.id) {
            self.0.push(Turn { run: run.id.clone(), by: run.process.clone(), content: None });
        }
    }

    /// Notes what a run wants, at the end of those who wait; returns the first run before it that wants other content.
    pub fn ask(&mut self, run: &Run, content: &str) -> Option<&Turn> {
        let wanted = Some(content);
        if self.0.iter().all(|turn| turn.run != run.id || turn.content.as_deref() != wanted) {
            self.0.retain(|turn| turn.run != run.id);
            let content = wanted.map(str::to_owned);
            self.0.push(Turn { run: run.id.clone(), by: run.process.clone(), content });
        }
        self.before(run, content)
    }

    /// Whether it is the turn of a run that wants this content: nobody deploys another while the run lives.
    pub fn is_on(&self, run: &Run, content: &str) -> bool {
        let stands = self.0.iter().any(|turn| turn.run == run.id && turn.content.as_deref() == Some(content));
        stands && self.before(run, content).is_none()
    }

    fn before(&self, run: &Run, content: &str) -> Option<&Turn> {
        let mut before = self.0.iter().take_while(|turn| turn.run != run.id);
        before.find(|turn| turn.content.as_deref().is_some_and(|wanted| wanted != content))
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

    fn run(id: &str) -> Run {
        Run { id: id.to_owned(), folder: std::path::PathBuf::new(), process: Process::this() }
    }

    #[test]
    fn other_content_waits_for_all_that_came_before_and_the_same_waits_for_nobody() {
        let mut turns = Turns::default();
        let (first, second, third, fourth) = (run("1"), run("2"), run("3"), run("4"));
        assert_eq!(turns.ask(&first, "a"), None);
        assert_eq!(turns.ask(&second, "a"), None);
        assert_eq!(turns.ask(&third, "b").unwrap().run, "1");
        // It would join those that run, and the third would wait for ever.
        assert_eq!(turns.ask(&fourth, "a").unwrap().run, "3");
        assert_eq!(turns.ask(&first, "a"), None);
    }

    #[test]
    fn a_run_that_wants_images_alone_is_in_nobodys_way_and_comes_last_when_it_wants_more() {
        let mut turns = Turns::default();
        turns.arrive(&run("1"));
        assert_eq!(turns.ask(&run("2"), "b"), None);
        assert_eq!(turns.ask(&run("1"), "a").unwrap().run, "2");
        assert!(turns.is_on(&run("2"), "b") && !turns.is_on(&run("2"), "a") && !turns.is_on(&run("1"), "a"));
    }

    #[test]
    fn a_run_that_has_ended_is_in_nobodys_way() {
        let mut turns = Turns::default();
        let ended = Run { process: Process { pid: 1, started: "never".to_owned() }, ..run("1") };
        turns.ask(&ended, "a");
        assert!(turns.living().is_none());
        turns.without_ended();
        assert_eq!(turns.ask(&run("2"), "b"), None);
    }
}
