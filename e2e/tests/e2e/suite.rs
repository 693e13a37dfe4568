//! The suite itself: every file in its folder is a module of it.

use harness::Error;
use harness::expect_eq;
use harness::scenario::{ScenarioResult, Scenarios, scenario};
use harness::stack::Charts;

pub fn scenarios() -> Vec<Scenarios> {
    vec![scenario(every_file_is_a_module)]
}

/// A file with no `mod` line compiles to nothing: the folder and the list in main.rs are compared.
async fn every_file_is_a_module(charts: Charts) -> ScenarioResult {
    let folder = charts.root().join("e2e/tests/e2e");
    let entries = std::fs::read_dir(&folder).map_err(Error::io(format!("list {}", folder.display())))?;
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().trim_end_matches(".rs").to_owned());
    let mut files: Vec<String> = names.filter(|name| name != "main").collect();
    files.sort();
    expect_eq!(files, crate::MODULES)
}
