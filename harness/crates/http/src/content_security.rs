//! Content-Security-Policy (CSP): what a page lets a browser load and run.

/// The directives that decide which scripts a browser runs.
const OF_SCRIPTS: [&str; 4] = ["default-src", "script-src", "script-src-elem", "script-src-attr"];

/// A page's Content-Security-Policy: one policy, or several, each of which a browser enforces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentSecurityPolicy(Vec<ParsedPolicy>);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct ParsedPolicy {
    directives: Vec<(String, Vec<String>)>,
}

impl ContentSecurityPolicy {
    /// Parses a header's value; commas separate policies, as where the header is sent several times.
    pub fn parse(value: &str) -> Self {
        Self(value.split(',').map(ParsedPolicy::parse).collect())
    }

    /// The sources of the strictest policy that let in more than the site's own: any host, a whole scheme for scripts,
    /// scripts that stand in the page or are made from text. A missing rule for scripts is one too.
    pub fn laxities(&self) -> Vec<String> {
        self.0.iter().map(ParsedPolicy::laxities).min_by_key(Vec::len).unwrap_or_default()
    }

    /// Whether a policy keeps every page from framing this one.
    pub fn forbids_frames(&self) -> bool {
        self.allows_alone("frame-ancestors", "'none'")
    }

    /// Whether a policy allows this source alone for a directive: the other policies can only forbid more.
    pub fn allows_alone(&self, directive: &str, source: &str) -> bool {
        self.0.iter().any(|policy| policy.sources(directive) == [source])
    }
}

impl ParsedPolicy {
    /// Of a directive that is given twice the first counts, as for a browser; letter case does not matter.
    fn parse(value: &str) -> Self {
        let mut directives: Vec<(String, Vec<String>)> = Vec::new();
        for text in value.split(';') {
            let mut words = text.split_ascii_whitespace().map(str::to_ascii_lowercase);
            let Some(name) = words.next() else { continue };
            if directives.iter().all(|(known, _)| *known != name) {
                directives.push((name, words.collect()));
            }
        }
        Self { directives }
    }

    /// A directive's sources; none when the policy lacks it.
    fn sources(&self, directive: &str) -> Vec<&str> {
        let found = self.directives.iter().find(|(name, _)| name == directive);
        found.into_iter().flat_map(|(_, sources)| sources).map(String::as_str).collect()
    }

    fn laxities(&self) -> Vec<String> {
        let mut found = Vec::new();
        if self.sources("default-src").is_empty() && self.sources("script-src").is_empty() {
            found.push("nothing says which scripts run".to_owned());
        }
        for (name, sources) in &self.directives {
            let scripts = OF_SCRIPTS.contains(&name.as_str());
            let lax = |source: &&String| {
                source.contains('*')
                    || source.starts_with("'unsafe-")
                    || (scripts && (source.ends_with(':') || source.contains("//") || source.contains('.')))
            };
            found.extend(sources.iter().filter(lax).map(|source| format!("{name} {source}")));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::ours("default-src 'self'; img-src 'self' data:; object-src 'none'", &[])]
    #[case::nothing("", &["nothing says which scripts run"])]
    #[case::frames_alone("frame-ancestors 'none'", &["nothing says which scripts run"])]
    #[case::any_host("default-src *", &["default-src *"])]
    #[case::any_host_of_a_domain("default-src 'self'; img-src https://*.example", &["img-src https://*.example"])]
    #[case::inline("default-src 'self'; Script-Src 'self' 'UNSAFE-INLINE'", &["script-src 'unsafe-inline'"])]
    #[case::eval("default-src 'self' 'unsafe-eval'", &["default-src 'unsafe-eval'"])]
    #[case::a_scheme("default-src 'self'; script-src https:", &["script-src https:"])]
    #[case::another_host("default-src 'self' cdn.example", &["default-src cdn.example"])]
    #[case::a_strict_one_of_two("default-src *, default-src 'self'", &[])]
    #[case::both_of_two("default-src *, script-src 'unsafe-eval'", &["default-src *"])]
    #[case::the_first_counts("default-src 'self'; default-src *", &[])]
    fn what_is_lax_is_named(#[case] value: &str, #[case] lax: &[&str]) {
        assert_eq!(ContentSecurityPolicy::parse(value).laxities(), lax);
    }

    #[test]
    fn sources_are_those_of_the_directive() {
        let policy = ParsedPolicy::parse(" default-src 'self' a.example ;img-src b.example");
        assert_eq!(policy.sources("default-src"), ["'self'", "a.example"]);
        assert!(policy.sources("script-src").is_empty());
    }

    #[rstest]
    #[case("frame-ancestors 'none'", true)]
    #[case("default-src 'self'; Frame-Ancestors 'NONE'", true)]
    #[case("default-src 'self', frame-ancestors 'none'", true)]
    #[case("frame-ancestors 'self'", false)]
    #[case("default-src 'none'", false)]
    fn who_may_frame_is_said_in_any_case(#[case] value: &str, #[case] none: bool) {
        assert_eq!(ContentSecurityPolicy::parse(value).forbids_frames(), none);
    }
}
