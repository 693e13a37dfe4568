//! Kubernetes quantities (kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity).

/// A CPU quantity in thousandths of a processor: `100m` is 100, `2` is 2000. `None` for other forms, such as `0.5`.
pub fn millis(quantity: &str) -> Option<u64> {
    match quantity.strip_suffix('m') {
        Some(number) => number.parse().ok(),
        None => quantity.parse::<u64>().ok()?.checked_mul(1000),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    #[rstest]
    #[case("10m", Some(10))]
    #[case("1", Some(1000))]
    #[case("much", None)]
    fn processors(#[case] text: &str, #[case] millis: Option<u64>) {
        assert_eq!(super::millis(text), millis);
    }
}
