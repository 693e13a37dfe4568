//! `cargo stack init`: examples/notes is what it makes of that example's chart, and a few lines by hand.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// How many lines somebody may have written into what was made.
const BY_HAND: usize = 60;

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/notes").canonicalize().unwrap()
}

/// A repository with the example's chart, Dockerfile and skaffold.yaml, and nothing else.
fn repository() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for part in ["app", "deploy", "skaffold.yaml"] {
        let copied = Command::new("cp").arg("-r").arg(example().join(part)).arg(folder.path()).status().unwrap();
        assert!(copied.success());
    }
    folder
}

fn init(folder: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cargo-stack")).arg("init").arg(folder).args(more).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_example_is_made_by_it_and_a_few_lines_by_hand() {
    let made = repository();
    let ran = init(made.path(), &[]);
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    let said = text(&ran.stdout);
    // From another folder the harness is elsewhere.
    let harness = said.lines().find_map(|line| line.strip_prefix("the harness is used by path, from ")).unwrap();
    let mut by_hand = Vec::new();
    for name in said.lines().filter_map(|line| line.strip_prefix("wrote ")) {
        let made = std::fs::read_to_string(made.path().join(name)).unwrap().replace(harness, "../..");
        let kept = std::fs::read_to_string(example().join(name)).unwrap_or_default();
        let lines: Vec<&str> = made.lines().map(str::trim).collect();
        by_hand.extend(
            kept.lines().map(str::trim).filter(|line| !lines.contains(line)).map(|line| format!("{name}: {line}")),
        );
        let gone = lines.iter().filter(|line| !kept.lines().any(|kept| kept.trim() == **line)).count();
        assert!(gone <= 6, "{name} is not what init makes: {gone} of its lines are not in the example\n{made}");
    }
    by_hand.extend(text(&std::fs::read(example().join("e2e/tests/e2e/notes.rs")).unwrap()).lines().map(str::to_owned));
    assert!(by_hand.len() <= BY_HAND, "{} lines by hand:\n{}", by_hand.len(), by_hand.join("\n"));
}

#[test]
fn nothing_is_written_over_and_what_is_missing_is_said() {
    let made = repository();
    std::fs::create_dir_all(made.path().join("cli")).unwrap();
    std::fs::write(made.path().join("cli/Cargo.toml"), "mine").unwrap();
    let ran = init(made.path(), &["--git", "https://git.example/harness", "--rev", "0123456"]);
    assert!(!ran.status.success());
    let said = text(&ran.stderr);
    assert!(said.contains("holds cli/Cargo.toml already: nothing was written"), "{said}");
    assert_eq!(std::fs::read_to_string(made.path().join("cli/Cargo.toml")).unwrap(), "mine");
    assert!(!made.path().join("Cargo.toml").exists() && !made.path().join("stack").exists());

    let skaffold = made.path().join("skaffold.yaml");
    let without = std::fs::read_to_string(&skaffold).unwrap().replace("IMAGE_DIGEST_notes", "IMAGE_TAG_notes");
    std::fs::write(&skaffold, without).unwrap();
    let said = text(&init(made.path(), &[]).stderr);
    assert!(said.contains("does not set the digest of notes") && said.contains("setValueTemplates"), "{said}");
}
