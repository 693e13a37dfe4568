//! The page docs/mutants.md: the mutation score, as `cargo stack mutants --write` writes it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::Operator;
use super::charts::{Judged, Score, Tally};
use super::equivalent::Equivalent;
use super::faults::Catalogue;
use super::trial::{Sight, Trials};

/// The page, in the checkout.
pub const FILE: &str = "docs/mutants.md";

const HEAD: &str = "# The suite's score: planted faults, and who sees them\n\n\
    The suite's own score, by mutation testing: what a colleague could break, and which rule or scenario sees it. Made by\n\
    `cargo stack mutants --write`. Why it is so: [decision 8](decisions/0008-mutants-of-rendered-objects.md); what is\n\
    planted: [e2e/mutants/](../e2e/mutants/faults.yaml).\n\n";
const CHARTS: &str = "## Charts, without a cluster";
const FAULTS: &str = "## Deployments and services, on a cluster";

/// The page's part about the charts, in Markdown.
pub fn charts(score: &Score, equivalents: &[Equivalent]) -> String {
    let mut page = format!("{CHARTS}\n\n");
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

/// The page's part about deployments and services, in Markdown.
pub fn faults(trials: &Trials, catalogue: &Catalogue) -> String {
    let mut page = format!("{FAULTS}\n\n");
    let caught = trials.tried.iter().filter(|tried| tried.is_caught()).count();
    let _ = writeln!(
        page,
        "Faults that a colleague could merge, each applied to a copy of the checkout, deployed from there to a Kind cluster,\n\
         and looked at by the scenarios that must see it, each run alone. {caught} of {} are caught{}. Afterwards the whole suite\n\
         ran in such a copy without a fault: {}. Seconds are of several side by side, with the deploy.\n",
        trials.tried.len(),
        match trials.left.len() {
            0 => String::new(),
            left => format!("; for {left} more there was no time"),
        },
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
    if !trials.left.is_empty() {
        let _ = writeln!(page, "\nNot judged yet: {}.", trials.left.join(", "));
    }
    page.push_str("\nScenarios that no fault is planted for:\n\n| scenarios | why |\n|---|---|\n");
    for one in &catalogue.unplanted {
        let _ = writeln!(page, "| `{}` | {} |", one.scenarios, cell(&one.because));
    }
    page
}

/// Replaces one part of the page; the other part stays as it was.
pub fn with(page: &str, part: &str) -> String {
    let part_of = |heading: &str| {
        let start = page.find(heading).map(|at| &page[at..]);
        start.map(|text| text[2..].find("\n## ").map_or(text, |end| &text[..end + 3]).trim_end())
    };
    let parts = [CHARTS, FAULTS]
        .map(|heading| if part.starts_with(heading) { part.trim_end() } else { part_of(heading).unwrap_or_default() });
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    format!("{HEAD}{}\n", parts.join("\n\n"))
}

/// A text escaped for a cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_replaced_and_the_other_stays() {
        let first = with("", &format!("{FAULTS}\n\nf1\n"));
        let both = with(&first, &format!("{CHARTS}\n\nc1\n"));
        assert_eq!(both, format!("{HEAD}{CHARTS}\n\nc1\n\n{FAULTS}\n\nf1\n"));
        let again = with(&both, &format!("{FAULTS}\n\nf2\n"));
        assert_eq!(again, format!("{HEAD}{CHARTS}\n\nc1\n\n{FAULTS}\n\nf2\n"));
    }
}
