//! The mutation score of the charts' rules, without a cluster: every mutant of every values file, and the rules that catch it.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::time::{Duration, Instant};

use super::equivalent::Equivalent;
use super::{Mutant, Operator, apply, mutants};
use crate::error::{Error, Result};
use crate::validate::{self, Rendered};

/// One mutant, and the rules that catch it.
#[derive(Debug, Clone)]
pub struct Judged {
    /// The values file's name.
    pub values: &'static str,
    /// Kind and name of the object.
    pub object: String,
    /// The path in the object.
    pub path: String,
    /// The mutation operator.
    pub operator: Operator,
    /// The change, in one line.
    pub change: String,
    /// The rules that catch it; none: it survives.
    pub caught_by: BTreeSet<&'static str>,
    /// The index of the entry that calls it equivalent, if one does.
    pub equivalent: Option<usize>,
}

/// The mutation score: all judged mutants.
#[derive(Debug, Default)]
pub struct Score {
    /// All of them, by values file, object and path.
    pub judged: Vec<Judged>,
    /// Messages about wrong entries in the file of equivalent mutants: they cover no mutant, or one that is caught.
    pub wrong: Vec<String>,
    /// The rules that catch no mutant.
    pub idle: Vec<&'static str>,
    /// How long it took.
    pub took: Duration,
}

/// A count of caught mutants among those that are not equivalent.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// How many are caught.
    pub caught: usize,
    /// How many there are, caught or not.
    pub of: usize,
}

impl Tally {
    /// The share of caught mutants in percent, rounded down; 100 for none.
    pub fn percent(self) -> usize {
        (self.caught * 100).checked_div(self.of).unwrap_or(100)
    }
}

impl Score {
    /// The tally of the mutants that a filter selects.
    pub fn tally(&self, filter: impl Fn(&Judged) -> bool) -> Tally {
        let counted = self.judged.iter().filter(|judged| judged.equivalent.is_none() && filter(judged));
        let tally = |sum: Tally, judged: &Judged| Tally {
            caught: sum.caught + usize::from(!judged.caught_by.is_empty()),
            of: sum.of + 1,
        };
        counted.fold(Tally::default(), tally)
    }

    /// The mutants that survive and are not equivalent, each change once: object, path, change, and the values files.
    pub fn survivors(&self) -> Vec<String> {
        let mut places: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        let survives = |judged: &&Judged| judged.caught_by.is_empty() && judged.equivalent.is_none();
        for judged in self.judged.iter().filter(survives) {
            let what = format!("{}: {}: {}", judged.object, judged.path, judged.change);
            places.entry(what).or_default().insert(judged.values);
        }
        let told = |(what, values): (&String, &BTreeSet<&str>)| {
            format!("{what} ({})", values.iter().copied().collect::<Vec<_>>().join(", "))
        };
        places.iter().map(told).collect()
    }

    /// For each rule, how many mutants it catches, and how many only it catches.
    pub fn by_rule(&self) -> BTreeMap<&'static str, (usize, usize)> {
        let mut rules: BTreeMap<_, (usize, usize)> = BTreeMap::new();
        for judged in &self.judged {
            for rule in &judged.caught_by {
                let (all, alone) = rules.entry(*rule).or_default();
                *all += 1;
                *alone += usize::from(judged.caught_by.len() == 1);
            }
        }
        rules
    }
}

/// Judges every `one_in`-th mutant of the renders, on all cores; the same ones each time. Only with `one_in` 1 are rules called
/// idle, and entries of the equivalent mutants called stale.
///
/// # Errors
/// [`Error::Unmet`] when a render breaks a rule without any mutation: a rule that is broken already shows nothing.
pub fn score(
    renders: &[(&'static str, Rendered)],
    equivalents: &[Equivalent],
    one_in: NonZero<usize>,
) -> Result<Score> {
    let started = Instant::now();
    for (_, rendered) in renders {
        validate::expect_none(&validate::check(rendered))?;
    }
    let all: Vec<(&'static str, &Rendered, Mutant)> = renders
        .iter()
        .flat_map(|(values, rendered)| mutants(rendered).into_iter().map(move |mutant| (*values, rendered, mutant)))
        .step_by(one_in.get())
        .collect();
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let part = all.len().div_ceil(cores).max(1);
    let judged = std::thread::scope(|scope| {
        let threads: Vec<_> = all.chunks(part).map(|part| scope.spawn(|| judge(part, equivalents))).collect();
        threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect::<std::thread::Result<Vec<_>>>()
    });
    let judged = judged.map_err(|_| Error::Unmet("a rule panicked over a mutant".to_owned()))?.concat();
    let is_whole = one_in.get() == 1;
    let wrong = wrong(&judged, equivalents, is_whole);
    let seen: BTreeSet<_> = judged.iter().flat_map(|judged| judged.caught_by.iter().copied()).collect();
    let idle = validate::OF_OBJECTS.iter().copied().chain(validate::policy::RULES.iter().map(|rule| rule.name));
    let idle = idle.filter(|rule| is_whole && !seen.contains(rule)).collect();
    Ok(Score { idle, judged, wrong, took: started.elapsed() })
}

fn judge(mutants: &[(&'static str, &Rendered, Mutant)], equivalents: &[Equivalent]) -> Vec<Judged> {
    let mut current: Option<(&'static str, Rendered)> = None;
    let one = |(values, rendered, mutant): &(&'static str, &Rendered, Mutant)| {
        let object = &rendered.objects[mutant.object];
        let before = mutant.path.find(&object.value);
        let before = before.map(|value| value.as_str().map_or(value.to_string(), str::to_owned)).unwrap_or_default();
        let place = format!("{} {} {}", object.kind(), object.name(), mutant.path.pattern());
        let mutated = match &mut current {
            Some((of, mutated)) if of == values => mutated,
            other => &mut other.insert((*values, (*rendered).clone())).1,
        };
        let changed = apply(mutated, mutant);
        let kinds: Vec<_> = changed.iter().map(|at| (*at, rendered.objects[*at].kind())).collect();
        let caught_by = validate::check_changed(mutated, &kinds).into_iter().map(|finding| finding.rule).collect();
        // Only the changed objects are restored: cloning the whole render for each mutant took most of the time.
        for at in changed {
            mutated.objects[at].clone_from(&rendered.objects[at]);
        }
        let change = mutant.told(rendered);
        Judged {
            values,
            object: format!("{} {}", object.kind(), object.name()),
            path: mutant.path.to_string(),
            operator: mutant.operator,
            caught_by,
            equivalent: equivalents.iter().position(|one| one.holds(&place, mutant.operator, &before, &change)),
            change,
        }
    };
    mutants.iter().map(one).collect()
}

/// Messages about wrong entries: one that covers a caught mutant, and, where all mutants were judged, one that covers none.
fn wrong(judged: &[Judged], equivalents: &[Equivalent], is_whole: bool) -> Vec<String> {
    let entry = |(at, one): (usize, &Equivalent)| {
        let named: Vec<_> = judged.iter().filter(|judged| judged.equivalent == Some(at)).collect();
        let title = format!("{} {}", one.path, one.operator);
        let caught = named.iter().find(|judged| !judged.caught_by.is_empty());
        match (named.is_empty(), caught) {
            (true, _) => is_whole.then(|| format!("{} names no mutant", title.trim())),
            (_, Some(judged)) => Some(format!(
                "{} names {} {}, which {:?} sees: that is not equivalent",
                title.trim(),
                judged.object,
                judged.path,
                judged.caught_by
            )),
            _ => None,
        }
    };
    equivalents.iter().enumerate().filter_map(entry).collect()
}
