//! Rounds of a benchmark: a round is one turn of each contender, in one order, so that other load on the machine meets all alike.

use std::time::Instant;

use futures::future::BoxFuture;

use super::report::{Row, Unit};
use crate::error::{Error, Result};
use crate::tell;

/// The result of one turn.
#[derive(Debug, Clone, PartialEq)]
pub struct BenchTurn {
    /// A value for each of the lane's measures.
    pub values: Vec<f64>,
    /// Whether the answer afterwards was still from before the edit; `None` where it was not checked.
    pub was_old: Option<bool>,
}

/// A contender, and its turn.
pub struct Lane<'a> {
    /// Its name.
    pub name: String,
    /// What it runs, and how it is set up.
    pub about: String,
    /// The names and units of its measures; the only measure has the empty name.
    pub measures: &'static [(&'static str, Unit)],
    /// Whether it is another tool than the harness: its failed turns are reported and counted, and are no error.
    pub is_peer: bool,
    /// It takes a turn in every `every`-th round; 1 is each round, more is for turns that take long.
    pub every: usize,
    /// Takes one turn.
    pub turn: Box<dyn Fn() -> BoxFuture<'a, Result<BenchTurn>> + 'a>,
}

impl BenchTurn {
    /// A turn with one value; the answer afterwards was not checked.
    pub fn of(value: f64) -> Self {
        Self { values: vec![value], was_old: None }
    }

    /// A turn with one value: the seconds since `started`.
    pub fn since(started: Instant) -> Self {
        Self::of(started.elapsed().as_secs_f64())
    }
}

impl<'a> Lane<'a> {
    /// A contender of the harness's own, with a turn in each round and one measure, in seconds.
    pub fn new<Doing>(name: impl Into<String>, about: impl Into<String>, turn: impl Fn() -> Doing + 'a) -> Self
    where
        Doing: Future<Output = Result<BenchTurn>> + Send + 'a,
    {
        let turn = Box::new(move || -> BoxFuture<'a, Result<BenchTurn>> { Box::pin(turn()) });
        Self { name: name.into(), about: about.into(), measures: SECONDS, is_peer: false, every: 1, turn }
    }
}

/// With more rounds than this, only every such round is printed.
const MANY: usize = 20;

/// One measure, in seconds.
const SECONDS: &[(&str, Unit)] = &[("", Unit::Seconds)];

/// Lets each contender take its turn in each round, after one round that is not counted, in which all is installed, compiled
/// and cached.
///
/// Prints each turn; with more than 20 rounds, those of every 20th round.
///
/// # Errors
/// The first failed turn of the harness, or of a peer in the round that is not counted, with the contender's name. Later
/// failures of peers are counted.
pub async fn interleaved(rounds: usize, lanes: &[Lane<'_>]) -> Result<Vec<Row>> {
    let mut taken: Vec<(Vec<BenchTurn>, usize)> = vec![(Vec::new(), 0); lanes.len()];
    for round in 0..=rounds {
        let is_said = rounds <= MANY || round % MANY == 0;
        for (lane, (turns, failures)) in lanes.iter().zip(&mut taken).filter(|(lane, _)| round % lane.every == 0) {
            let of = match round {
                0 => "not counted".to_owned(),
                round => format!("round {round} of {rounds}"),
            };
            let turn = match (lane.turn)().await {
                Ok(turn) => turn,
                Err(error) if lane.is_peer && round > 0 => {
                    tell!("{of}: {} failed: {}", lane.name, error.report());
                    *failures += 1;
                    continue;
                }
                Err(error) => return Err(failed(&lane.name, &error)),
            };
            if is_said {
                tell!("{of}: {}: {}", lane.name, said(lane, &turn));
            }
            if round > 0 {
                turns.push(turn);
            }
        }
    }
    Ok(lanes.iter().zip(&taken).flat_map(|(lane, (turns, failures))| rows(lane, turns, *failures)).collect())
}

fn failed(name: &str, error: &Error) -> Error {
    Error::refused(
        format!("{name} failed, and what fails is no figure\n{}", error.report()),
        "mend that, and run the same command again",
    )
}

fn said(lane: &Lane<'_>, turn: &BenchTurn) -> String {
    let values = lane.measures.iter().zip(&turn.values);
    let values: Vec<_> = values
        .map(|((name, unit), value)| format!("{name} {} {}", unit.shown(*value), unit.symbol()).trim().to_owned())
        .collect();
    let old = if turn.was_old == Some(true) { ", answered by what ran before the edit" } else { "" };
    values.join(", ") + old
}

/// A row for each measure of a lane.
fn rows(lane: &Lane<'_>, turns: &[BenchTurn], failed: usize) -> Vec<Row> {
    let looked = turns.iter().any(|turn| turn.was_old.is_some());
    let old = turns.iter().filter(|turn| turn.was_old == Some(true)).count();
    let row = |(at, (measure, unit)): (usize, &(&str, Unit))| Row {
        name: if measure.is_empty() { lane.name.clone() } else { format!("{}: {measure}", lane.name) },
        about: lane.about.clone(),
        unit: *unit,
        values: turns.iter().filter_map(|turn| turn.values.get(at).copied()).collect(),
        old_answers: looked.then_some(old),
        failed,
    };
    lane.measures.iter().enumerate().map(row).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn lane<'a>(name: &'static str, order: &'a RefCell<Vec<&'static str>>, fails: bool) -> Lane<'a> {
        Lane {
            name: name.to_owned(),
            about: String::new(),
            measures: &[("cause", Unit::Seconds), ("red", Unit::Seconds)],
            is_peer: false,
            every: 1,
            turn: Box::new(move || {
                order.borrow_mut().push(name);
                let turn = BenchTurn { values: vec![1.0, 2.0], was_old: Some(name == "b") };
                let outcome = if fails { Err(Error::Unmet("wrong verdict".to_owned())) } else { Ok(turn) };
                Box::pin(std::future::ready(outcome))
            }),
        }
    }

    #[tokio::test]
    async fn contenders_take_turns_and_the_first_round_is_not_counted() {
        let order = RefCell::default();
        let rows = interleaved(2, &[lane("a", &order, false), lane("b", &order, false)]).await.unwrap();
        assert_eq!(*order.borrow(), ["a", "b", "a", "b", "a", "b"]);
        let names: Vec<_> = rows.iter().map(|row| (row.name.as_str(), row.values.len(), row.old_answers)).collect();
        assert_eq!(
            names,
            [("a: cause", 2, Some(0)), ("a: red", 2, Some(0)), ("b: cause", 2, Some(2)), ("b: red", 2, Some(2))]
        );
    }

    #[tokio::test]
    async fn what_takes_long_takes_fewer_turns() {
        let order = RefCell::default();
        let rare = Lane { every: 2, ..lane("b", &order, false) };
        let rows = interleaved(5, &[lane("a", &order, false), rare]).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.values.len()).collect::<Vec<_>>(), [5, 5, 2, 2]);
    }

    /// Tilt, for one, now and then ends with "missing image status" (seen in one turn of 40).
    #[tokio::test]
    async fn a_peers_turn_that_fails_later_is_counted() {
        let (order, turn) = (RefCell::default(), std::cell::Cell::new(0));
        let peer = Lane {
            is_peer: true,
            turn: Box::new(|| {
                turn.set(turn.get() + 1);
                let outcome =
                    if turn.get() == 2 { Err(Error::Unmet("theirs".to_owned())) } else { Ok(BenchTurn::of(1.0)) };
                Box::pin(std::future::ready(outcome))
            }),
            ..lane("peer", &order, false)
        };
        let rows = interleaved(3, &[lane("a", &order, false), peer]).await.unwrap();
        let counted: Vec<_> = rows.iter().map(|row| (row.values.len(), row.failed)).collect();
        assert_eq!(counted, [(3, 0), (3, 0), (2, 1), (0, 1)]);
    }

    #[tokio::test]
    async fn what_fails_is_no_figure() {
        let order = RefCell::default();
        let error = interleaved(2, &[lane("a", &order, false), lane("b", &order, true)]).await.unwrap_err().report();
        assert!(error.starts_with("b failed, and what fails is no figure\nwrong verdict"), "{error}");
        assert_eq!(*order.borrow(), ["a", "b"]);
    }
}
