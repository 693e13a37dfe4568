//! What a page lets a browser load and run.

/// The directives by which a browser decides what it runs.
const OF_SCRIPTS: [&str; 4] = ["default-src", "script-src", "script-src-elem", "script-src-attr"];

/// A Content-Security-Policy, by its directives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentSecurityPolicy {
    directives: Vec<(String, Vec<String>)>,
}

impl ContentSecurityPolicy {
    /// Reads a header's value; of a directive that stands twice the first one counts, as for a browser.
    pub fn parse(value: &str) -> Self {
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

    /// The sources of a directive; none when it does not stand there.
    pub fn sources(&self, directive: &str) -> Vec<&str> {
        let found = self.directives.iter().find(|(name, _)| name == directive);
        found.into_iter().flat_map(|(_, sources)| sources).map(String::as_str).collect()
    }

    /// What lets in what is not the site's own: any host, a whole scheme for scripts, scripts that stand in the page or
    /// are made of texts. Nothing that decides about scripts is one too.
    pub fn laxities(&self) -> Vec<String> {
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
    #[case::the_first_counts("default-src 'self'; default-src *", &[])]
    fn what_is_lax_is_named(#[case] value: &str, #[case] lax: &[&str]) {
        assert_eq!(ContentSecurityPolicy::parse(value).laxities(), lax);
    }

    #[test]
    fn sources_are_those_of_the_directive() {
        let policy = ContentSecurityPolicy::parse(" default-src 'self' a.example ;img-src b.example");
        assert_eq!(policy.sources("default-src"), ["'self'", "a.example"]);
        assert!(policy.sources("script-src").is_empty());
    }
}
