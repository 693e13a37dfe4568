//! The checkout as people have it, and not only as CI clones it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn ran(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Git for Windows, and who copied its configuration: texts get CRLF, with which no shell script in an image starts.
#[test]
fn line_ends_are_the_same_whatever_git_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let clone = folder.path().join("clone");
    let git = ["-c", "core.autocrlf=true", "-c", "core.eol=crlf", "clone", "--quiet"];
    ran(Command::new("git").args(git).arg(checkout()).arg(&clone));
    let listed = ran(Command::new("git").args(["ls-files", "-z", "--eol"]).current_dir(&clone)).stdout;
    let listed = String::from_utf8(listed).unwrap();
    let of = |end: &str| listed.split('\0').filter(|line| line.contains(end)).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(of("w/crlf"), Vec::<String>::new());
    assert!(of("w/lf").len() > 500, "the files are listed otherwise than they are read");
}

/// As somebody unpacks an archive of it: without a history, in a folder whose name tools like to trip over.
#[test]
fn an_archive_in_a_folder_with_spaces_is_a_checkout() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("meine Stacks (Übung)");
    std::fs::create_dir(&copy).unwrap();
    let script = "git ls-files -z | xargs -0 cp --parents --target-directory \"$1\"";
    ran(Command::new("sh").args(["-c", script, "sh"]).arg(&copy).current_dir(checkout()));
    let stack = |task: &str| {
        let mut stack = Command::new(env!("CARGO_BIN_EXE_cargo-stack"));
        stack.arg(task).current_dir(&copy).env_remove("CARGO_MANIFEST_DIR").env("XDG_STATE_HOME", folder.path());
        ran(&mut stack).stdout
    };
    let said = String::from_utf8(stack("validate")).unwrap();
    assert!(said.starts_with("no finding in "), "{said}");
    let said = String::from_utf8(stack("status")).unwrap();
    assert!(said.contains("nothing of ours is running"), "{said}");
}
