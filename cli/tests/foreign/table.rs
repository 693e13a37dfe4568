//! The tables of docs/reliability.md: a row for each try, a column for each version that it ran with.

use std::path::Path;

use super::trial::Try;

/// Which of the page's tables.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Table {
    Tries,
    Kills,
}

impl Table {
    /// The lines that it stands between, and the head of its second column.
    fn parts(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Tries => ("<!-- tries: written by cli/tests/foreign -->\n", "<!-- end of the tries -->", "rule"),
            Self::Kills => ("<!-- kills: written by cli/tests/foreign -->\n", "<!-- end of the kills -->", "signal"),
        }
    }
}

/// Which of the versions ran.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Column {
    Before,
    Now,
}

impl Column {
    pub fn named(name: &str) -> Self {
        match name {
            "before" => Self::Before,
            "now" => Self::Now,
            other => panic!("JETSCALE_FOREIGN_COLUMN={other} is neither before nor now"),
        }
    }
}

/// Writes how a try ended into its cell, and leaves the other column as it is; rows are in the order of the names of all
/// tries, and those of tries that are no more go.
pub fn note(page: &Path, column: Column, tried: &Try, outcome: &str, names: &[String]) {
    let (begin, end, about) = tried.table.parts();
    let text = std::fs::read_to_string(page).unwrap();
    let (head, rest) = text.split_once(begin).expect("the page has no table of tries");
    let (table, tail) = rest.split_once(end).expect("the page's table of tries does not end");
    let mut rows: Vec<[String; 4]> = table.lines().skip(2).filter_map(cells).collect();
    let at = rows.iter().position(|row| row[0] == tried.name).unwrap_or_else(|| {
        rows.push([tried.name.clone(), tried.about.clone(), String::new(), String::new()]);
        rows.len() - 1
    });
    rows[at][1].clone_from(&tried.about);
    rows[at][if column == Column::Before { 2 } else { 3 }] = cell(outcome);
    let place = |row: &[String; 4]| names.iter().position(|name| *name == row[0]);
    rows.retain(|row| place(row).is_some());
    rows.sort_by_key(place);
    let rows: String = rows.iter().map(|row| format!("| {} |\n", row.join(" | "))).collect();
    let header = format!("| try | {about} | the version before | now |\n|---|---|---|---|\n");
    std::fs::write(page, format!("{head}{begin}{header}{rows}{end}{tail}")).unwrap();
}

fn cells(line: &str) -> Option<[String; 4]> {
    let line = line.strip_prefix("| ")?.strip_suffix('|')?;
    let cells: Vec<_> = line.split(" | ").map(|cell| cell.trim().to_owned()).collect();
    cells.try_into().ok()
}

/// One line without what is this run's and this machine's own: paths, hashes, this process's number.
fn cell(text: &str) -> String {
    let text = text.replace(&format!("-{}", std::process::id()), "-<pid>");
    let words = text.split_whitespace().map(|word| {
        let word = match path_in(word) {
            Some(at) => format!("{}…/{}", &word[..at], word.rsplit('/').next().unwrap_or_default()),
            None => word.to_owned(),
        };
        hashless(&word).replace('|', "/")
    });
    let line = words.collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(280) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

/// Where an absolute path begins in a word, such as `--config=/a/b`; an address and an image have none.
fn path_in(word: &str) -> Option<usize> {
    let begins =
        |at: &usize| !word[..*at].ends_with(|before: char| before.is_alphanumeric() || ":/….".contains(before));
    let mut slashes = word.match_indices('/').map(|(at, _)| at);
    slashes.find(begins).filter(|at| word[at + 1..].contains('/'))
}

/// Hexadecimal runs of eight digits and more become `<id>`.
fn hashless(word: &str) -> String {
    let mut out = String::new();
    let mut run = String::new();
    let flush = |run: &mut String, out: &mut String| {
        let is_id = run.len() >= 8 && run.bytes().any(|byte| byte.is_ascii_digit());
        out.push_str(if is_id { "<id>" } else { run });
        run.clear();
    };
    for sign in word.chars() {
        if sign.is_ascii_hexdigit() && !sign.is_ascii_uppercase() {
            run.push(sign);
        } else {
            flush(&mut run, &mut out);
            out.push(sign);
        }
    }
    flush(&mut run, &mut out);
    out
}
