//! A report as a bar chart: a small SVG, readable on a light page and on a dark one.

use std::fmt::Write as _;

use super::report::{BenchReport, Row, Unit};
use super::stats::{Summary, summary};

/// The left edge of the bars, and the length of the longest, in pixels.
const LEFT: f64 = 210.0;
const LENGTH: f64 = 380.0;
/// The height of a row, and of its bar.
const ROW: f64 = 30.0;
const BAR: f64 = 16.0;
/// The room above the first row.
const TOP: f64 = 34.0;
const WIDTH: f64 = LEFT + LENGTH + 110.0;

/// The rows of a report's first unit: a bar to the median, a line from minimum to maximum, the median's figure.
pub fn svg(report: &BenchReport) -> String {
    let unit = report.rows.first().map_or(Unit::Seconds, |row| row.unit);
    let rows: Vec<(&Row, Summary)> = report
        .rows
        .iter()
        .filter(|row| row.unit == unit)
        .filter_map(|row| Some((row, summary(&row.values)?)))
        .collect();
    let longest = rows.iter().map(|(_, of)| of.max).fold(f64::MIN_POSITIVE, f64::max);
    let height = TOP + ROW * f64::from(u32::try_from(rows.len()).unwrap_or_default()) + 8.0;
    let x = |value: f64| LEFT + LENGTH * value / longest;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {WIDTH:.0} \
         {height:.0}\" font-family=\"system-ui, sans-serif\" font-size=\"13\" role=\"img\">\n\
         <style>text{{fill:#24292f}}.ours{{fill:#1a7f5a}}.peer{{fill:#8c959f}}.range{{stroke:#24292f}}\
         @media (prefers-color-scheme: dark){{text{{fill:#e6edf3}}.range{{stroke:#e6edf3}}}}</style>\n\
         <title>{0}</title>\n<text x=\"8\" y=\"20\" font-weight=\"600\">{0}, {1}</text>\n",
        escaped(&report.title),
        unit.symbol()
    );
    let mut y = TOP;
    for (row, of) in rows {
        let middle = y + ROW / 2.0;
        let class = if row.name.starts_with("ours") { "ours" } else { "peer" };
        let _ = writeln!(
            text,
            "<text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n\
             <rect class=\"{class}\" x=\"{LEFT:.0}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{BAR:.0}\"/>\n\
             <line class=\"range\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            LEFT - 8.0,
            middle + 4.5,
            escaped(&row.name),
            middle - BAR / 2.0,
            x(of.median) - LEFT,
            x(of.min),
            x(of.max),
            x(of.max) + 8.0,
            middle + 4.5,
            unit.shown(of.median),
        );
        y += ROW;
    }
    text.push_str("</svg>\n");
    text
}

/// A text escaped for XML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::table::tests::report;
    use super::*;

    #[test]
    fn the_longest_fills_the_width_and_the_others_are_to_scale() {
        let text = svg(&report(&[("ours", Unit::Seconds, &[5.0]), ("<their> & co", Unit::Seconds, &[10.0])]));
        assert!(text.contains("width=\"190.0\"") && text.contains("width=\"380.0\""), "{text}");
        assert!(text.contains("&lt;their&gt; &amp; co") && !text.contains("<their>"), "{text}");
        assert_eq!(text.matches("class=\"ours\"").count(), 1);
    }

    #[test]
    fn rows_of_another_unit_and_without_values_have_no_bar() {
        let report = report(&[
            ("ours", Unit::Seconds, &[5.0]),
            ("memory", Unit::Mebibytes, &[50.0]),
            ("none", Unit::Seconds, &[]),
        ]);
        assert_eq!(svg(&report).matches("<rect").count(), 1);
        assert!(svg(&super::super::table::tests::report(&[])).ends_with("</svg>\n"));
    }
}
