//! The page docs/bench.md, as `cargo stack bench --write` writes it: each figure between two markers; all else stays.

use super::report::BenchReport;

pub use super::svg::svg;
pub use super::table::table;

/// The page, in the checkout.
pub const FILE: &str = "docs/bench.md";
/// The folder of the bar charts, in the checkout.
pub const BARS: &str = "docs/bench";

/// Replaces a figure between its markers in the page, or adds it at the end.
pub fn with(page: &str, report: &BenchReport) -> String {
    let (begin, end) = (format!("<!-- bench {} -->", report.figure), format!("<!-- /bench {} -->", report.figure));
    let part = format!(
        "{begin}\n## {0}\n\n![{0}](bench/{0}.svg)\n\n{1}\n    cargo stack bench {0}\n{end}\n",
        report.figure,
        table(report)
    );
    let found = page.find(&begin).and_then(|from| {
        let to = from + page[from..].find(&end)? + end.len();
        Some((&page[..from], page[to..].trim_start_matches('\n')))
    });
    match found {
        Some((before, "")) => format!("{before}{part}"),
        Some((before, after)) => format!("{before}{part}\n{after}"),
        None => format!("{}\n\n{part}", page.trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Unit;
    use super::super::table::tests::report;
    use super::*;

    #[test]
    fn a_figure_is_replaced_where_it_stands_and_all_else_stays() {
        let first = with("# Measured\n\nBy hand.\n", &report(&[("ours", Unit::Seconds, &[1.0])]));
        assert!(first.starts_with("# Measured\n\nBy hand.\n\n<!-- bench edit -->\n## edit\n"), "{first}");
        let mut other = report(&[("ours", Unit::Seconds, &[1.0])]);
        other.figure = "other".to_owned();
        let both = with(&first, &other);
        let again = with(&both, &report(&[("ours", Unit::Seconds, &[7.0])]));
        assert!(again.contains("7.00 s") && again.matches("<!-- bench edit -->").count() == 1, "{again}");
        assert!(again.find("<!-- bench edit -->") < again.find("<!-- bench other -->"));
        assert_eq!(with(&again, &report(&[("ours", Unit::Seconds, &[7.0])])), again);
    }
}
