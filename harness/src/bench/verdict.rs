//! The figure from an edit, or from none, to a verdict: the harness's by a scenario, a peer's by its exit status and one request.

use std::time::{Instant, SystemTime};

use super::bench_environment::{BenchEnvironment, Checkout, Runner, Warm};
use super::peer::{Peer, Placed, answer};
use super::report::Row;
use super::rounds::{BenchTurn, Lane, interleaved};
use crate::error::{Error, Result};
use crate::spec::{BenchEdit, BenchJudge};

/// The task of a turn: an edit, and what is judged afterwards.
#[derive(Debug, Clone, Copy)]
pub struct BenchTask {
    /// The edit before each turn; `None`: nothing is changed.
    pub edit: Option<fn() -> &'static BenchEdit>,
    /// The scenario and the path that judge the result.
    pub judge: fn() -> &'static BenchJudge,
    /// The runners of the harness's suite; each is a contender.
    pub runners: &'static [Runner],
    /// The other tools that take part.
    pub peers: &'static [Peer],
}

impl BenchTask {
    /// Makes the task's edit, if it has one; returns the number that it wrote.
    pub(super) fn edited(&self, environment: &BenchEnvironment<'_>, of: &Checkout) -> Result<Option<String>> {
        self.edit.map(|edit| apply(edit(), of, environment.number())).transpose()
    }

    /// Makes each peer's namespace.
    pub(super) async fn placed(&self, environment: &BenchEnvironment<'_>, warm: &Warm) -> Result<Vec<Placed>> {
        let mut placed = Vec::new();
        for peer in self.peers {
            placed.push(peer.place(environment, warm).await?);
        }
        Ok(placed)
    }

    /// Undoes the edit, for the next figure.
    pub(super) fn restore(&self, of: &Checkout) -> Result<()> {
        self.edit.map_or(Ok(()), |edit| of.write(edit().file, &of.pristine(edit().file)?))
    }
}

/// Lets the harness and the peers take turns at a task.
///
/// # Errors
/// The first turn without the right verdict.
pub(super) async fn measure(environment: &BenchEnvironment<'_>, task: &BenchTask, rounds: usize) -> Result<Vec<Row>> {
    let warm = environment.warm().await?;
    let placed = task.placed(environment, warm).await?;
    let mut lanes = Vec::new();
    for runner in task.runners {
        lanes.push(ours(environment, warm, task, *runner));
    }
    if let Some(against) = &environment.against {
        environment.compiled(against).await?;
        lanes.push(other(environment, against, task));
    }
    lanes.extend(placed.iter().map(|placed| theirs(environment, warm, task, placed)));
    let rows = interleaved(rounds, &lanes).await?;
    [Some(&environment.copy), environment.against.as_ref()]
        .into_iter()
        .flatten()
        .try_for_each(|of| task.restore(of))?;
    Ok(rows)
}

fn ours<'a>(environment: &'a BenchEnvironment<'_>, warm: &'a Warm, task: &'a BenchTask, runner: Runner) -> Lane<'a> {
    let turn = move || async move {
        let number = task.edited(environment, &environment.copy)?;
        let started = Instant::now();
        environment.passes(&environment.copy, runner, (task.judge)().scenario).await?;
        let took = started.elapsed();
        // The same request as the peers', after the time was taken.
        let was_old = match shown(task, number) {
            Some(number) => Some(!answer(warm, &warm.plan, (task.judge)().path).await?.text().contains(&number)),
            None => None,
        };
        Ok(BenchTurn { values: vec![took.as_secs_f64()], was_old })
    };
    let about = format!("`{}`, cluster kept", runner.command((task.judge)().scenario));
    Lane::new(runner.title(), about, turn)
}

/// The harness at another revision: with its charts, its suite, and a cluster of its own, as each checkout has one.
fn other<'a>(environment: &'a BenchEnvironment<'_>, against: &'a Checkout, task: &'a BenchTask) -> Lane<'a> {
    let revision = environment.options.against.as_deref().unwrap_or_default();
    let turn = move || async move {
        task.edited(environment, against)?;
        let started = Instant::now();
        environment.passes(against, Runner::Nextest, (task.judge)().scenario).await?;
        Ok(BenchTurn::since(started))
    };
    let about = format!("charts, harness and suite of {revision}, on a cluster of its own beside the other");
    Lane::new(format!("ours at {revision}"), about, turn)
}

fn theirs<'a>(
    environment: &'a BenchEnvironment<'_>,
    warm: &'a Warm,
    task: &'a BenchTask,
    placed: &'a Placed,
) -> Lane<'a> {
    let turn = move || async move {
        let number = task.edited(environment, &environment.copy)?;
        let started = Instant::now();
        placed.command(environment).run().await?;
        let reply = placed.answer(warm, (task.judge)().path).await?;
        let took = started.elapsed();
        let was_old = shown(task, number).map(|number| !reply.text().contains(&number));
        Ok(BenchTurn { values: vec![took.as_secs_f64()], was_old })
    };
    let Peer { name, about, .. } = placed.peer();
    let about = format!("{about} (bench/{})", placed.peer().folder);
    Lane { is_peer: true, ..Lane::new(name, about, turn) }
}

/// The edit's number, if the served answer shows it.
fn shown(task: &BenchTask, number: Option<String>) -> Option<String> {
    number.filter(|_| task.edit.is_some_and(|edit| edit().shows))
}

/// Makes an edit with a number that was not used before, and returns the number.
fn apply(edit: &BenchEdit, to: &Checkout, number: u32) -> Result<String> {
    let before = to.pristine(edit.file)?;
    // By the second, since the engine may still have layers of another run of the bench. Nine digits, the first of them 1, so
    // that the number is a valid amount of memory as well.
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs() % 100_000;
    let number = format!("1{since:05}{:03}", number % 1000);
    let after = before.replacen(edit.from, &edit.to.replace("{number}", &number), 1);
    if after == before {
        return Err(Error::refused(
            format!("{} does not hold {:?}, which this figure edits", edit.file, edit.from),
            "correct the stack's spec (StackSpec, bench)",
        ));
    }
    to.write(edit.file, &after)?;
    Ok(number)
}
