//! A report as a Markdown table, which is readable in a terminal too.

use std::fmt::Write as _;

use super::report::{BenchReport, Row, Unit};
use super::stats::summary;

/// The report as a table, with the contenders' setups, the tools' versions and the machine.
pub fn table(report: &BenchReport) -> String {
    let has_tail = report.rows.iter().any(|row| row.unit == Unit::Milliseconds);
    let looked = report.rows.iter().any(|row| row.old_answers.is_some());
    let mut head = vec!["", "median", "min", "max"];
    if has_tail {
        head.push("p99");
    }
    head.extend(["ratio", "rounds"]);
    if looked {
        head.push("old answers");
    }
    let some_failed = report.rows.iter().any(|row| row.failed > 0);
    if some_failed {
        head.push("failed");
    }
    let mut cells = vec![head.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    for row in &report.rows {
        let Some(of) = summary(&row.values) else {
            // No values: each turn failed.
            if row.failed > 0 {
                let mut line = vec!["-".to_owned(); cells[0].len()];
                line[0] = row.name.clone();
                line[cells[0].len() - 1] = row.failed.to_string();
                cells.push(line);
            }
            continue;
        };
        let shown = |value: f64| format!("{} {}", row.unit.shown(value), row.unit.symbol());
        let mut line = vec![row.name.clone(), shown(of.median), shown(of.min), shown(of.max)];
        if has_tail {
            line.push(shown(of.p99));
        }
        line.push(ratio(report, row).map_or("-".to_owned(), |ratio| format!("{ratio:.2}")));
        line.push(row.values.len().to_string());
        if looked {
            line.push(row.old_answers.map_or("-".to_owned(), |old| old.to_string()));
        }
        if some_failed {
            line.push(row.failed.to_string());
        }
        cells.push(line);
    }
    let mut text = format!("{}.\n\n{}\n", report.title, aligned(&cells));
    let mut told = "";
    for row in &report.rows {
        let (contender, _) = parts(row);
        // Once for all measures of a contender.
        if contender != told {
            let _ = writeln!(text, "- {contender}: {}", row.about);
        }
        told = contender;
    }
    for note in &report.notes {
        let _ = writeln!(text, "- {note}");
    }
    let versions: Vec<_> = report.versions.iter().map(|(tool, version)| format!("{tool} {version}")).collect();
    let _ = writeln!(
        text,
        "\n{}. {} cores, {:.0} GiB, {}; load {:.1} before the first round. Commit {}, {}.",
        versions.join(", "),
        report.machine.cores,
        report.machine.memory,
        report.machine.kernel,
        report.machine.load,
        report.commit,
        report.at,
    );
    text
}

/// A row's median divided by that of the first row of the same measure and unit, which is the harness's.
pub(super) fn ratio(report: &BenchReport, row: &Row) -> Option<f64> {
    let first = report.rows.iter().find(|first| (parts(first).1, first.unit) == (parts(row).1, row.unit))?;
    let (ours, its) = (summary(&first.values)?.median, summary(&row.values)?.median);
    (ours > 0.0).then_some(its / ours)
}

/// A row's contender, and its measure if it has several.
fn parts(row: &Row) -> (&str, Option<&str>) {
    row.name.rsplit_once(": ").map_or((&row.name, None), |(contender, measure)| (contender, Some(measure)))
}

/// The table with aligned columns: names to the left, figures to the right.
fn aligned(cells: &[Vec<String>]) -> String {
    let columns = cells.first().map_or(0, Vec::len);
    let width = |column: usize| cells.iter().map(|line| line[column].chars().count()).max().unwrap_or_default().max(3);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (at, line) in cells.iter().enumerate() {
        let cell = |(column, cell): (usize, &String)| match column {
            0 => format!("{cell:<0$}", widths[column]),
            _ => format!("{cell:>0$}", widths[column]),
        };
        let line: Vec<_> = line.iter().enumerate().map(cell).collect();
        let _ = writeln!(text, "| {} |", line.join(" | "));
        if at == 0 {
            let rule = |(column, width): (usize, &usize)| match column {
                0 => "-".repeat(width + 2),
                _ => format!("{}:", "-".repeat(width + 1)),
            };
            let rules: Vec<_> = widths.iter().enumerate().map(rule).collect();
            let _ = writeln!(text, "|{}|", rules.join("|"));
        }
    }
    text
}

#[cfg(test)]
pub(super) mod tests {
    use rstest::rstest;

    use super::super::machine::Machine;
    use super::*;

    pub fn report(rows: &[(&str, Unit, &[f64])]) -> BenchReport {
        let row = |(name, unit, values): &(&str, Unit, &[f64])| Row {
            name: (*name).to_owned(),
            about: format!("what {name} is"),
            unit: *unit,
            values: values.to_vec(),
            old_answers: None,
            failed: 0,
        };
        BenchReport {
            figure: "edit".to_owned(),
            title: "From here to there".to_owned(),
            rows: rows.iter().map(row).collect(),
            notes: vec!["a note".to_owned()],
            at: "Thu, 01 Jan 1970 00:00:00 GMT".to_owned(),
            commit: "0123456".to_owned(),
            machine: Machine { cores: 2, memory: 7.9, kernel: "Linux 6.1".to_owned(), load: 0.25 },
            versions: [("skaffold".to_owned(), "2.16.1".to_owned())].into(),
        }
    }

    #[test]
    fn a_table_says_what_and_where() {
        let report =
            report(&[("ours", Unit::Seconds, &[5.0, 4.0, 6.5]), ("skaffold run", Unit::Seconds, &[10.0, 20.0, 10.0])]);
        assert_eq!(
            table(&report),
            "From here to there.\n\n\
             |              | median |    min |    max | ratio | rounds |\n\
             |--------------|-------:|-------:|-------:|------:|-------:|\n\
             | ours         | 5.00 s | 4.00 s | 6.50 s |  1.00 |      3 |\n\
             | skaffold run | 10.0 s | 10.0 s | 20.0 s |  2.00 |      3 |\n\n\
             - ours: what ours is\n- skaffold run: what skaffold run is\n- a note\n\n\
             skaffold 2.16.1. 2 cores, 8 GiB, Linux 6.1; load 0.2 before the first round. Commit 0123456, \
             Thu, 01 Jan 1970 00:00:00 GMT.\n"
        );
    }

    #[test]
    fn a_contender_is_described_once() {
        let report = report(&[("ours: red", Unit::Seconds, &[5.0]), ("ours: cause printed", Unit::Seconds, &[4.0])]);
        assert_eq!(table(&report).matches("- ours: what").count(), 1);
    }

    #[test]
    fn old_answers_and_tails_have_columns_where_somebody_looked() {
        let mut report = report(&[("ours", Unit::Milliseconds, &[1.0]), ("theirs", Unit::Milliseconds, &[50.0])]);
        report.rows[1].old_answers = Some(1);
        let table = table(&report);
        assert!(table.contains("| p99 ") || table.contains("|     p99 "), "{table}");
        assert!(table.contains("|           - |") && table.contains("|           1 |"), "{table}");
    }

    #[test]
    fn turns_that_failed_have_a_column_where_there_are_any() {
        let mut report = report(&[("ours", Unit::Seconds, &[5.0]), ("theirs", Unit::Seconds, &[9.0])]);
        assert!(!table(&report).contains("failed"));
        report.rows[1].failed = 2;
        let table = table(&report);
        assert!(table.contains("| failed |") && table.contains("|      2 |"), "{table}");
    }

    #[rstest]
    #[case::ours(0, Some(1.0))]
    #[case::theirs(1, Some(2.5))]
    #[case::the_first_of_its_unit(2, Some(1.0))]
    #[case::of_nothing(3, None)]
    #[case::the_first_of_its_measure(4, Some(1.0))]
    #[case::of_the_same_measure(5, Some(3.0))]
    fn ratios_are_to_the_first_of_the_measure(#[case] row: usize, #[case] expected: Option<f64>) {
        let report = report(&[
            ("ours", Unit::Seconds, &[2.0]),
            ("theirs", Unit::Seconds, &[5.0]),
            ("memory", Unit::Mebibytes, &[50.0]),
            ("none", Unit::Seconds, &[]),
            ("ours: red", Unit::Seconds, &[3.0]),
            ("theirs: red", Unit::Seconds, &[9.0]),
        ]);
        assert_eq!(ratio(&report, &report.rows[row]), expected);
    }
}
