//! Order statistics of a few measured values.

/// Order statistics of measured values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// The smallest.
    pub min: f64,
    /// The middle one, or the mean of the two in the middle.
    pub median: f64,
    /// The largest.
    pub max: f64,
    /// The value that 99 of 100 do not exceed (nearest rank).
    pub p99: f64,
}

/// The order statistics of some values; `None` for none.
pub fn summary(values: &[f64]) -> Option<Summary> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (min, max) = (*sorted.first()?, *sorted.last()?);
    let middle = sorted.len() / 2;
    let median = match sorted.len() % 2 {
        0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
        _ => sorted[middle],
    };
    // Nearest rank, counted from one: no value is made up between two that were measured.
    let rank = (sorted.len() * 99).div_ceil(100);
    Some(Summary { min, median, max, p99: sorted[rank - 1] })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::one(&[3.0], (3.0, 3.0, 3.0, 3.0))]
    #[case::odd(&[9.0, 1.0, 2.0], (1.0, 2.0, 9.0, 9.0))]
    #[case::even(&[4.0, 1.0, 2.0, 3.0], (1.0, 2.5, 4.0, 4.0))]
    fn a_few_values(#[case] values: &[f64], #[case] (min, median, max, p99): (f64, f64, f64, f64)) {
        assert_eq!(summary(values), Some(Summary { min, median, max, p99 }));
    }

    #[test]
    fn none_have_no_summary() {
        assert_eq!(summary(&[]), None);
    }

    #[rstest]
    #[case::of_a_hundred(100, 99.0)]
    #[case::of_two_hundred(200, 198.0)]
    #[case::of_ten(10, 10.0)]
    fn the_99th_percentile_is_one_of_them(#[case] count: u32, #[case] p99: f64) {
        let values: Vec<f64> = (1..=count).rev().map(f64::from).collect();
        assert_eq!(summary(&values).unwrap().p99, p99);
    }
}
