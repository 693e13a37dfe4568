//! The files in a chart's folder that are not part of the chart: those that .helmignore names, by Helm's rules (pkg/ignore of
//! helm.sh/helm), and those that editors and desktops leave.

use std::path::Path;

use harness_base::{Error, Result};

/// Lock links and backups of editors, and files of desktops, in the syntax of .helmignore.
const LEAVINGS: &str = ".#*\n\\#*#\n*~\n*.swp\n*.swo\n*.swx\n4913\n.DS_Store\n._*\nThumbs.db\n";

/// The largest .helmignore, in bytes.
const MOST_BYTES: u64 = 64 << 10;

/// The rules for what is not part of a chart.
#[derive(Debug)]
pub struct ChartIgnore(Vec<IgnoreRule>);

#[derive(Debug)]
struct IgnoreRule {
    /// The tokens of each part of a path.
    pattern: Vec<Vec<GlobToken>>,
    /// Whether everything that does not match is ignored.
    negated: bool,
    folders_alone: bool,
    /// Whether the whole path in the chart's folder is matched, instead of the name alone.
    whole: bool,
}

/// A token of a pattern, as in Go's path.Match; none matches a slash.
#[derive(Debug, PartialEq, Eq)]
enum GlobToken {
    /// The character itself.
    Letter(char),
    /// `?`: any one character.
    Any,
    /// `*`: any characters.
    Many,
    /// `[a-z]` or `[^a-z]`: the ranges, and whether it matches what is in none of them.
    Class(Vec<(char, char)>, bool),
}

impl ChartIgnore {
    /// The rules of a chart's .helmignore, if it has one, and those of [`ChartIgnore::leavings`].
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] for a line that Helm refuses, or a file above 64 KiB; [`harness_base::Error::Io`]
    /// when the file cannot be read.
    pub fn of(chart: &Path) -> Result<Self> {
        let path = chart.join(".helmignore");
        // Anything but a plain file is refused with the chart's other files, unread: a link may lead anywhere.
        let text = match std::fs::symlink_metadata(&path) {
            Ok(found) if found.is_file() && found.len() > MOST_BYTES => {
                return Err(Error::refused(format!("{} is too large", path.display()), "keep it below 64 KiB"));
            }
            Ok(found) if found.is_file() => {
                std::fs::read_to_string(&path).map_err(Error::io(format!("read {}", path.display())))?
            }
            _ => String::new(),
        };
        Self::parse(&text).map_err(|(line, why)| {
            Error::refused(format!("{}: {line}: {why}", path.display()), "correct the line, or leave it out")
        })
    }

    /// The rules for the leavings of editors and desktops alone.
    pub fn leavings() -> Self {
        Self::parse("").unwrap_or(Self(Vec::new()))
    }

    fn parse(text: &str) -> Result<Self, (String, &'static str)> {
        let own = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let rules =
            LEAVINGS.lines().chain(own).map(|line| IgnoreRule::parse(line).map_err(|why| (line.to_owned(), why)));
        rules.collect::<Result<_, _>>().map(Self)
    }

    /// Whether a path in the chart's folder is ignored, by itself or in an ignored folder.
    pub fn has(&self, path: &Path, is_folder: bool) -> bool {
        let above = path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty());
        self.has_itself(path, is_folder) || above.into_iter().any(|above| self.has_itself(above, true))
    }

    fn has_itself(&self, path: &Path, is_folder: bool) -> bool {
        let parts: Vec<Vec<char>> = path.iter().map(|part| part.to_string_lossy().chars().collect()).collect();
        let name = &parts[parts.len().saturating_sub(1)..];
        self.0.iter().any(|rule| {
            let against = if rule.whole { &parts[..] } else { name };
            let matches = rule.pattern.len() == against.len()
                && rule.pattern.iter().zip(against).all(|(pattern, text)| fits(pattern, text));
            match rule.negated {
                true => !matches || rule.folders_alone && !is_folder,
                false => matches && (!rule.folders_alone || is_folder),
            }
        })
    }
}

impl IgnoreRule {
    fn parse(line: &str) -> Result<Self, &'static str> {
        if line.contains("**") {
            return Err("** is nothing that Helm knows");
        }
        let (negated, rest) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest));
        let (folders_alone, rest) = rest.strip_suffix('/').map_or((false, rest), |rest| (true, rest));
        let (whole, rest) = rest.strip_prefix('/').map_or((rest.contains('/'), rest), |rest| (true, rest));
        let pattern = rest.split('/').map(tokens).collect::<Option<_>>();
        let pattern = pattern.ok_or("a class or an escape in it has no end")?;
        Ok(Self { pattern, negated, folders_alone, whole })
    }
}

/// The tokens of one part of a path; `None` where a class or an escape has no end.
fn tokens(text: &str) -> Option<Vec<GlobToken>> {
    let mut letters = text.chars();
    let mut found = Vec::new();
    while let Some(letter) = letters.next() {
        found.push(match letter {
            '*' => GlobToken::Many,
            '?' => GlobToken::Any,
            '\\' => GlobToken::Letter(letters.next()?),
            '[' => class(&mut letters)?,
            other => GlobToken::Letter(other),
        });
    }
    Some(found)
}

fn class(letters: &mut std::str::Chars<'_>) -> Option<GlobToken> {
    let negated = letters.as_str().starts_with('^');
    if negated {
        letters.next();
    }
    let mut ranges = Vec::new();
    let one = |letters: &mut std::str::Chars<'_>| match letters.next()? {
        '\\' => letters.next(),
        other => Some(other),
    };
    while ranges.is_empty() || !letters.as_str().starts_with(']') {
        let from = one(letters)?;
        let to = match letters.as_str().starts_with('-') {
            true => {
                letters.next();
                one(letters)?
            }
            false => from,
        };
        ranges.push((from, to));
    }
    letters.next();
    Some(GlobToken::Class(ranges, negated))
}

/// Whether a text matches a pattern. On a mismatch only the last star is extended, so that the time is at most the pattern's
/// length times the text's.
fn fits(pattern: &[GlobToken], text: &[char]) -> bool {
    let is = |token: &GlobToken, letter: char| match token {
        GlobToken::Letter(one) => *one == letter,
        GlobToken::Any => true,
        GlobToken::Many => false,
        GlobToken::Class(ranges, negated) => {
            ranges.iter().any(|(from, to)| (*from..=*to).contains(&letter)) != *negated
        }
    };
    let (mut at, mut seen) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while seen < text.len() {
        match (pattern.get(at), star) {
            (Some(GlobToken::Many), _) => {
                star = Some((at, seen));
                at += 1;
            }
            (Some(token), _) if is(token, text[seen]) => (at, seen) = (at + 1, seen + 1),
            (_, Some((of, from))) => {
                star = Some((of, from + 1));
                (at, seen) = (of + 1, from + 1);
            }
            _ => return false,
        }
    }
    pattern[at..].iter().all(|token| *token == GlobToken::Many)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::a_lock_link_of_emacs("", "templates/.#api.yaml", false, true)]
    #[case::its_backup("", "templates/#api.yaml#", false, true)]
    #[case::a_swap_file_of_vim("", "templates/.api.yaml.swp", false, true)]
    #[case::what_a_desktop_writes("", "templates/.DS_Store", false, true)]
    #[case::a_template("", "templates/api.yaml", false, false)]
    #[case::a_partial("", "templates/_names.tpl", false, false)]
    #[case::a_name("*.orig", "templates/deep/a.orig", false, true)]
    #[case::a_comment("# *.yaml", "templates/api.yaml", false, false)]
    #[case::a_path("templates/*.yaml", "templates/api.yaml", false, true)]
    #[case::a_path_goes_no_deeper("templates/*.yaml", "templates/deep/api.yaml", false, false)]
    #[case::from_the_top("/values.yaml", "values.yaml", false, true)]
    #[case::from_the_top_alone("/values.yaml", "deep/values.yaml", false, false)]
    #[case::a_folder("tests/", "tests", true, true)]
    #[case::what_is_in_it("tests/", "tests/a.yaml", false, true)]
    #[case::a_file_of_a_folders_name("tests/", "tests", false, false)]
    #[case::all_but("!*.yaml", "templates/a.txt", false, true)]
    #[case::one_letter("?.yaml", "a.yaml", false, true)]
    #[case::one_letter_alone("?.yaml", "ab.yaml", false, false)]
    #[case::a_class("[a-cx].yaml", "x.yaml", false, true)]
    #[case::all_but_a_class("[^a-z]*", "README.md", false, true)]
    #[case::in_that_class("[^a-z]*", "values.yaml", false, false)]
    #[case::an_escape("\\*.yaml", "a.yaml", false, false)]
    #[case::what_it_stands_for("\\*.yaml", "*.yaml", false, true)]
    #[case::two_stars("a*b*c", "axxbxbxc", false, true)]
    fn what_is_none_of_a_chart(#[case] text: &str, #[case] path: &str, #[case] is_folder: bool, #[case] ignored: bool) {
        assert_eq!(ChartIgnore::parse(text).unwrap().has(Path::new(path), is_folder), ignored);
    }

    #[rstest]
    #[case("tests/**", "** is nothing that Helm knows")]
    #[case("[a-", "has no end")]
    #[case("a\\", "has no end")]
    fn what_helm_refuses_is_refused_with_its_line(#[case] line: &str, #[case] why: &str) {
        let chart = tempfile::tempdir().unwrap();
        std::fs::write(chart.path().join(".helmignore"), format!("*.orig\n{line}\n")).unwrap();
        let error = ChartIgnore::of(chart.path()).unwrap_err().report();
        assert!(error.contains(&format!(".helmignore: {line}: ")) && error.contains(why), "{error}");
    }

    /// A chart, and its .helmignore, may come from a stranger.
    #[test]
    fn many_stars_take_no_longer_than_one() {
        let ignore = ChartIgnore::parse(&format!("{}b/x", "*a".repeat(40))).unwrap();
        assert!(!ignore.has(&Path::new(&"a".repeat(250)).join("x"), false));
    }
}
