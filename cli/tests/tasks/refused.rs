//! What cannot be written: a scenario of the smoke suite that changes something, a removal of what does not carry our mark,
//! a lock in the wrong order. It does not compile, and for that reason alone.
//!
//! Each program of tests/tasks/refused says at a line's end which error it is to give: `//~ E0599 post` is a code and a word
//! of ours that the error names. The compiler's own words are not compared: they change with it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// An error: its line, its code, and what it says, or the word that it is to name.
type Found = (u64, String, String);

#[test]
fn what_must_not_be_does_not_compile() {
    let compiler = Compiler::find();
    for (folder, refusals) in [("reading", 7), ("removing", 7), ("holding", 5)] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tasks/refused").join(folder);
        let (mut refused, mut allowed) = (0, 0);
        for program in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let wanted = wanted(&std::fs::read_to_string(&program).unwrap());
            let (found, said) = compiler.errors(&program);
            assert!(fits(&found, &wanted), "{}: {found:?} instead of {wanted:?}\n{said}", program.display());
            *(if wanted.is_empty() { &mut allowed } else { &mut refused }) += 1;
        }
        // What is allowed shows that the others are refused for what they do.
        assert_eq!((refused, allowed), (refusals, 1), "programs in {}", folder.display());
    }
}

/// The errors that a program says it gives.
fn wanted(program: &str) -> Vec<Found> {
    let mark = |(line, text): (u64, &str)| {
        let (code, word) = text.split_once("//~ ")?.1.split_once(' ')?;
        Some((line, code.to_owned(), word.to_owned()))
    };
    (1..).zip(program.lines()).filter_map(mark).collect()
}

/// The errors that the compiler tells, one JSON object a line; those without a code only count them.
fn found(messages: &str) -> Vec<Found> {
    let error = |line: &str| {
        let message: Value = serde_json::from_str(line).ok()?;
        let code = message["code"]["code"].as_str().filter(|_| message["level"] == "error")?;
        let mut spans = message["spans"].as_array()?.iter();
        let line = spans.find(|span| span["is_primary"] == true).and_then(|span| span["line_start"].as_u64());
        Some((line.unwrap_or_default(), code.to_owned(), message["message"].as_str()?.to_owned()))
    };
    messages.lines().filter_map(error).collect()
}

/// Whether there is each error that is wanted, and no other.
fn fits(found: &[Found], wanted: &[Found]) -> bool {
    let same =
        |(found, wanted): (&Found, &Found)| found.0 == wanted.0 && found.1 == wanted.1 && found.2.contains(&wanted.2);
    found.len() == wanted.len() && found.iter().zip(wanted).all(same)
}

/// The compiler, and the library as it is built already.
struct Compiler {
    library: PathBuf,
}

impl Compiler {
    /// Asks cargo for the library of this very build, so that nothing is compiled twice.
    fn find() -> Self {
        let mut cargo = Command::new(env!("CARGO"));
        for name in of_this_test() {
            cargo.env_remove(name);
        }
        let arguments = ["test", "--workspace", "--test", "tasks", "--no-run", "--message-format", "json"];
        let built = cargo.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let messages = String::from_utf8(built.stdout).unwrap();
        let mut messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let is_library = |message: &Value| {
            message["target"]["name"] == "harness"
                && message["target"]["kind"][0] == "lib"
                && message["profile"]["test"] == false
        };
        let artifact = messages.find(is_library).unwrap();
        let files = artifact["filenames"].as_array().unwrap().iter().filter_map(Value::as_str);
        Self { library: files.filter(|file| file.ends_with(".rlib")).map(PathBuf::from).next().unwrap() }
    }

    /// The errors of a program, and all that was said.
    fn errors(&self, program: &Path) -> (Vec<Found>, String) {
        let folder = tempfile::tempdir().unwrap();
        let mut library = std::ffi::OsString::from("harness=");
        library.push(&self.library);
        let mut dependencies = std::ffi::OsString::from("dependency=");
        dependencies.push(self.library.parent().unwrap());
        let output = Command::new(Path::new(env!("CARGO")).with_file_name("rustc"))
            .args(["--edition", "2024", "--emit", "metadata", "--error-format", "json", "--extern"])
            .arg(library)
            .arg("-L")
            .arg(dependencies)
            .arg("--out-dir")
            .arg(folder.path())
            .arg(program)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let found = found(&said);
        assert_eq!(output.status.success(), found.is_empty(), "{}: {said}", program.display());
        (found, said)
    }
}

/// What cargo told this test about its package: build scripts would see a change, and everything be built anew.
#[expect(clippy::disallowed_methods, reason = "these are no settings")]
fn of_this_test() -> impl Iterator<Item = String> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    names.filter(|name| ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|start| name.starts_with(start)))
}

#[test]
fn an_error_elsewhere_of_another_kind_or_about_another_word_does_not_fit() {
    let message = |line: u64, code: &str, text: &str| {
        let spans =
            serde_json::json!([{"is_primary": false, "line_start": 99}, {"is_primary": true, "line_start": line}]);
        serde_json::json!({"level": "error", "code": {"code": code}, "spans": spans, "message": text}).to_string()
    };
    let wanted = wanted("fn main() {\n    site.put(); //~ E0599 put\n}\n");
    let good = message(2, "E0599", "no method named `put` found for struct `Site` in the current scope");
    let newer = message(2, "E0599", "`Site` has no method `put`");
    let warning = message(2, "E0599", "put").replace("error", "warning");
    let stop = serde_json::json!({"level": "error", "code": null, "spans": [], "message": "aborting"}).to_string();
    for (told, fit) in [
        (format!("{good}\n{stop}\n{warning}"), true),
        (newer, true),
        (stop, false),
        (message(3, "E0599", "put"), false),
        (message(2, "E0433", "put"), false),
        (message(2, "E0599", "no method named `get` found"), false),
        (format!("{good}\n{good}"), false),
    ] {
        assert_eq!(fits(&found(&told), &wanted), fit, "{told}");
    }
}
