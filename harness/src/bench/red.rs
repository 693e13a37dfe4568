//! The figure from a fault to its cause being printed, and to the run being red.

use std::time::{Duration, Instant};

use super::bench_environment::{BenchEnvironment, Runner, Warm};
use super::peer::Placed;
use super::report::{Row, Unit};
use super::rounds::{BenchTurn, Lane, interleaved};
use super::verdict::BenchTask;
use crate::error::{Error, Result};
use crate::progress::{Lines, Step};
use crate::tools::Command;

const MEASURES: &[(&str, Unit)] = &[("red", Unit::Seconds), ("cause printed", Unit::Seconds)];

/// Lets the harness and the peers take turns at a fault, at which each must fail.
///
/// # Errors
/// The first turn that did not fail.
pub(super) async fn measure(environment: &BenchEnvironment<'_>, task: &BenchTask, rounds: usize) -> Result<Vec<Row>> {
    let warm = environment.warm().await?;
    let placed = task.placed(environment, warm).await?;
    // A fault is deployed over a release that works.
    for placed in &placed {
        placed.command(environment).run().await?;
    }
    let mut lanes: Vec<_> = task.runners.iter().map(|runner| ours(environment, task, *runner)).collect();
    lanes.extend(placed.iter().map(|placed| theirs(environment, warm, task, placed)));
    let rows = interleaved(rounds, &lanes).await?;
    task.restore(&environment.copy)?;
    Ok(rows)
}

fn ours<'a>(environment: &'a BenchEnvironment<'_>, task: &'a BenchTask, runner: Runner) -> Lane<'a> {
    let turn = move || async move {
        let cause = task.edited(environment, &environment.copy)?.unwrap_or_default();
        let runs = environment.scratch(&format!("runs/{}", environment.number()))?;
        red(environment.suite(&environment.copy, runner, (task.judge)().scenario, &runs), &cause).await
    };
    let about = format!("`{}`, cluster kept; rolled back when it is red", runner.command((task.judge)().scenario));
    Lane { measures: MEASURES, ..Lane::new(runner.title(), about, turn) }
}

fn theirs<'a>(
    environment: &'a BenchEnvironment<'_>,
    warm: &'a Warm,
    task: &'a BenchTask,
    placed: &'a Placed,
) -> Lane<'a> {
    let turn = move || async move {
        let cause = task.edited(environment, &environment.copy)?.unwrap_or_default();
        let turn = red(placed.command(environment), &cause).await?;
        // The harness rolls back by itself; for a peer, the working state is deployed again, and its time is not counted.
        task.restore(&environment.copy)?;
        placed.command(environment).run().await?;
        placed.answer(warm, (task.judge)().path).await?;
        Ok(turn)
    };
    let peer = placed.peer();
    let about = format!("as for backend-edit (bench/{}); what worked is deployed again between turns", peer.folder);
    Lane { measures: MEASURES, is_peer: true, ..Lane::new(peer.name, about, turn) }
}

/// Runs what must fail, and looks for the first line with the cause's own word.
async fn red(command: Command, cause: &str) -> Result<BenchTurn> {
    let step = Step::begin("waiting for a red");
    let lines = Lines::default();
    let started = Instant::now();
    let outcome = command.telling_all(step.teller().keeping(&lines)).run().await;
    let red = started.elapsed();
    step.done();
    let printed = lines.first_with(cause).map(|at| at.saturating_duration_since(started));
    turn(outcome.err().map(Error::from).as_ref(), printed, red)
}

fn turn(outcome: Option<&Error>, printed: Option<Duration>, red: Duration) -> Result<BenchTurn> {
    if outcome.is_none() {
        return Err(Error::Unmet("it was green, in spite of a fault that keeps the backend from starting".to_owned()));
    }
    // One that never prints the cause has no figure of that.
    Ok(BenchTurn {
        values: [Some(red), printed].into_iter().flatten().map(|took| took.as_secs_f64()).collect(),
        was_old: None,
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::red_with_its_cause(true, Some(2), Some(&[3.0, 2.0][..]))]
    #[case::red_without(true, None, Some(&[3.0][..]))]
    #[case::green(false, Some(2), None)]
    fn only_a_red_is_a_turn(#[case] is_red: bool, #[case] printed: Option<u64>, #[case] values: Option<&[f64]>) {
        let error = Error::Unmet("red".to_owned());
        let outcome = turn(is_red.then_some(&error), printed.map(Duration::from_secs), Duration::from_secs(3));
        assert_eq!(outcome.ok().map(|turn| turn.values).as_deref(), values);
    }
}
