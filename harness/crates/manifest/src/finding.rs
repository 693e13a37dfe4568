//! Findings: what is wrong, where, and in which values files.

use std::fmt;

use harness_settings::spec::spec;

use crate::path::Path;

/// One fault in a chart or another file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The name of the broken rule.
    pub rule: &'static str,
    /// The fault in words.
    pub message: String,
    /// The rendered object, if the finding is about one.
    pub subject: Option<Subject>,
    /// The place in the object; empty for the object itself.
    pub path: Path,
    /// The values files whose renders show it; empty for a fault in a file that every stage reads.
    pub values: Vec<&'static str>,
    /// The file, and its line where that is known.
    pub place: Option<Place>,
}

/// A rendered object, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The object's kind.
    pub kind: String,
    /// The object's name.
    pub name: String,
}

/// A place in the checkout.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, relative to the checkout.
    pub file: String,
    /// The line, from 1.
    pub line: Option<usize>,
}

impl Finding {
    /// A finding about a place in the checkout.
    pub fn at(rule: &'static str, place: Place, message: impl Into<String>) -> Self {
        let (subject, path, values) = (None, Path::default(), Vec::new());
        Self { rule, message: message.into(), subject, path, values, place: Some(place) }
    }

    /// The finding as a GitHub Actions workflow command, which annotates the line in the pull request.
    pub fn annotation(&self) -> String {
        let data = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
        let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
        let mut properties = Vec::new();
        if let Some(place) = &self.place {
            properties.push(format!("file={}", property(&place.file)));
            properties.extend(place.line.map(|line| format!("line={line}")));
        }
        properties.push(format!("title={}", property(self.rule)));
        format!("::error {}::{}", properties.join(","), data(&self.what()))
    }

    /// The message with object, path and values files.
    fn what(&self) -> String {
        let mut about: Vec<String> =
            self.subject.iter().map(|Subject { kind, name }| format!("{kind} {name}")).collect();
        about.extend((!self.path.is_empty()).then(|| self.path.to_string()));
        about.extend(match self.values.len() {
            0 => None,
            _ if spec().values.all.iter().all(|one| self.values.contains(&one.file)) => {
                Some("every values file".to_owned())
            }
            _ => Some(self.values.join(", ")),
        });
        if about.is_empty() { self.message.clone() } else { format!("{} ({})", self.message, about.join("; ")) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        self.line.map_or(Ok(()), |line| write!(f, ":{line}"))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        write!(f, "{}: {}", self.rule, self.what())
    }
}

/// Merges findings that differ in their values files alone, and sorts them by place and rule.
pub fn merge(findings: impl IntoIterator<Item = Finding>) -> Vec<Finding> {
    let mut merged: Vec<Finding> = Vec::new();
    for finding in findings {
        let same = |other: &&mut Finding| {
            (other.rule, &other.message, &other.subject, &other.path, &other.place)
                == (finding.rule, &finding.message, &finding.subject, &finding.path, &finding.place)
        };
        match merged.iter_mut().find(same) {
            Some(other) => {
                for values in finding.values {
                    if !other.values.contains(&values) {
                        other.values.push(values);
                    }
                }
            }
            None => merged.push(finding),
        }
    }
    merged.sort_by(|a, b| (&a.place, a.rule).cmp(&(&b.place, b.rule)));
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(values: &'static str) -> Finding {
        Finding {
            values: vec![values],
            subject: Some(Subject { kind: "Deployment".into(), name: "shop-backend".into() }),
            path: Path::default().key("spec").key("replicas"),
            ..Finding::at("types", Place { file: "charts/x.yaml".into(), line: Some(7) }, "50% wrong")
        }
    }

    #[test]
    fn the_same_in_two_values_files_is_one_finding() {
        let merged = merge([finding("values.live.yaml"), finding("values.preview.yaml"), finding("values.live.yaml")]);
        let texts: Vec<_> = merged.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(texts.join("\n"), @"charts/x.yaml:7: types: 50% wrong (Deployment shop-backend; spec.replicas; values.live.yaml, values.preview.yaml)");
    }

    #[test]
    fn an_annotation_is_one_escaped_line() {
        let mut finding = finding("values.live.yaml");
        finding.message.push_str("\nand more");
        insta::assert_snapshot!(finding.annotation(), @"::error file=charts/x.yaml,line=7,title=types::50%25 wrong%0Aand more (Deployment shop-backend; spec.replicas; values.live.yaml)");
    }
}
