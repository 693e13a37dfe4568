//! Patterns with `*`.

/// Whether a pattern matches the whole of a text; `*` stands for any text, also an empty one.
pub fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(first) else { return false };
    text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| matches(rest, &text[at..]))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    #[rstest]
    #[case("Deployment spec.replicas", "Deployment spec.replicas", true)]
    #[case("* spec.replicas", "Deployment spec.replicas", true)]
    #[case("*.labels*", "Service metadata.labels[\"helm.sh/chart\"]", true)]
    #[case("*.labels", "Service metadata.labels.a", false)]
    #[case("Deployment spec", "Deployment spec.replicas", false)]
    #[case("*", "", true)]
    #[case("*é*", "née", true)]
    fn patterns(#[case] pattern: &str, #[case] text: &str, #[case] is: bool) {
        assert_eq!(super::matches(pattern, text), is);
    }
}
