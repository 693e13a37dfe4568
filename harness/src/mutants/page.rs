//! docs/mutants.md: the score, as `cargo stack mutants --write` found it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::Operator;
use super::charts::{Judged, Score, Tally};
use super::equivalent::Equivalent;
use super::faults::Catalogue;
use super::trial::{Sight, Trials};

/// The page, in the checkout.
pub const FILE: &str = "docs/mutants.md";

/// The part about the charts.
pub fn charts(score: &Score, equivalents: &[Equivalent]) -> String {
    let mut page = String::from("## Charts, without a cluster\n\n");
    let _ = writeln!(
        page,
        "Mutants of what each values file renders to: every field removed, and changed to other plausible values of its type;\n\
         what opens a door, added; each directive of the router's configuration removed, and its last argument changed. Each\n\
         is looked at by the rules of `charts::fit_kubernetes_types` and `charts::obey_policy`. {} mutants in {:.0} s.\n",
        score.judged.len(),
        score.took.as_secs_f64(),
    );
    page.push_str("| mutants | caught | of | % | equivalent |\n|---|---|---|---|---|\n");
    let mut row = |name: &str, filter: &dyn Fn(&Judged) -> bool| {
        let Tally { caught, of } = score.tally(filter);
        let same = score.judged.iter().filter(|judged| judged.equivalent.is_some() && filter(judged)).count();
        let _ = writeln!(page, "| {name} | {caught} | {of} | {} | {same} |", Tally { caught, of }.percent());
    };
    for operator in Operator::ALL {
        row(operator.name(), &|judged| judged.operator == operator);
    }
    let files: BTreeSet<_> = score.judged.iter().map(|judged| judged.values).collect();
    for file in files {
        row(&format!("of values {file}"), &|judged| judged.values == file);
    }
    row("**all**", &|_| true);
    page.push_str("\nRules, with the mutants that each sees, and those that it alone sees:\n\n| rule | sees | alone |\n|---|---|---|\n");
    for (rule, (all, alone)) in score.by_rule() {
        let _ = writeln!(page, "| {rule} | {all} | {alone} |");
    }
    let survivors = score.survivors();
    let _ = writeln!(page, "\nSurvivors, {} places:\n", survivors.len());
    for survivor in survivors {
        let _ = writeln!(page, "- `{}`", survivor.replace('`', "'"));
    }
    page.push_str("\nEquivalent ones, which nobody could notice:\n\n| where | what | why |\n|---|---|---|\n");
    for Equivalent { path, operator, value, change, because } in equivalents {
        let what = [operator, value, change].into_iter().filter(|text| !text.is_empty());
        let what: Vec<_> = what.map(|text| format!("`{}`", text.replace('`', "'"))).collect();
        let _ = writeln!(page, "| `{path}` | {} | {because} |", what.join(", "));
    }
    page
}

/// The part about deployments and services.
pub fn faults(trials: &Trials, catalogue: &Catalogue) -> String {
    let mut page = String::from("## Deployments and services, on a cluster\n\n");
    let caught = trials.tried.iter().filter(|tried| tried.is_caught()).count();
    let _ = writeln!(
        page,
        "Faults that a colleague could merge, each applied to a copy of the checkout, deployed from there to a Kind cluster,\n\
         and looked at by the scenarios that must see it, each run alone. {caught} of {} are caught; {:.0} min. Afterwards the\n\
         whole suite ran in the same copies without a fault: {}.\n",
        trials.tried.len(),
        trials.took.as_secs_f64() / 60.0,
        if trials.red_anyway.is_empty() {
            "green".to_owned()
        } else {
            format!("red: {}", trials.red_anyway.join(", "))
        },
    );
    page.push_str("| fault | who suffers what | scenario | it | s |\n|---|---|---|---|---|\n");
    for tried in &trials.tried {
        for (at, (scenario, sight)) in tried.sights.iter().enumerate() {
            let said = match sight {
                Sight::Caught => "turns red".to_owned(),
                Sight::Green => "**stays green**".to_owned(),
                Sight::NotDeployed(why) => format!("**is never asked**: nothing could be deployed: {}", cell(why)),
                Sight::NotRun(why) => format!("**does not run**: {}", cell(why)),
            };
            let (name, suffers, secs) = match at {
                0 => (tried.fault.as_str(), cell(&tried.suffers), format!("{:.0}", tried.took.as_secs_f64())),
                _ => ("", String::new(), String::new()),
            };
            let _ = writeln!(page, "| {name} | {suffers} | `{scenario}` | {said} | {secs} |");
        }
    }
    page.push_str("\nScenarios that no fault is planted for:\n\n| scenarios | why |\n|---|---|\n");
    for one in &catalogue.unplanted {
        let _ = writeln!(page, "| `{}` | {} |", one.scenarios, cell(&one.because));
    }
    page
}

/// The whole page.
pub fn whole(charts: &str, faults: &str) -> String {
    format!(
        "# A red is known to be red\n\n\
         The suite's own score, by mutation testing: what a colleague could break, and which scenario or rule sees it. Made by\n\
         `cargo stack mutants --write`; the mutants are described in [e2e/mutants/](../e2e/mutants/faults.yaml).\n\n{charts}\n{faults}"
    )
}

/// A text as it may stand in a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
