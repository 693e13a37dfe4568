use std::path::PathBuf;

use rstest::rstest;

use super::*;
use crate::tools::Command;

fn merged(config: &str) -> Merged {
    merge(config, Path::new("/usr/local/sbin/harness-runc")).unwrap()
}

#[test]
fn a_configuration_keeps_what_it_says() {
    let Merged::Done(text) = merged(r#"{"data-root": "/data", "runtimes": {"kata": {"path": "/k"}}}"#) else {
        panic!("nothing was merged")
    };
    insta::assert_snapshot!(text, @r#"
    {
      "data-root": "/data",
      "default-runtime": "harness",
      "runtimes": {
        "harness": {
          "path": "/usr/local/sbin/harness-runc"
        },
        "kata": {
          "path": "/k"
        }
      }
    }
    "#);
    assert_eq!(merged(&text), Merged::Already);
}

#[test]
fn another_default_runtime_stays() {
    assert_eq!(merged(r#"{"default-runtime": "kata"}"#), Merged::Other("kata".to_owned()));
    assert!(matches!(merged(""), Merged::Done(_)));
    assert!(merge("[1]", Path::new("/r")).is_err());
}

/// Runs the script with a runc that only says how it was called; what the spec is afterwards, and what runc heard.
async fn filtered(name: &str, spec: &str, args: &[&str]) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    write(&file("shop-runc"), SCRIPT, 0o755).unwrap();
    // Written by another process: a child that another test starts meanwhile holds our open files for a moment, and what is open
    // for writing cannot be run ("Text file busy"). Then the script would find the machine's own runc.
    let fake = r##"printf '#!/bin/sh\necho "$@"\n' >runc && chmod 755 runc"##;
    Command::new("/bin/sh").args(["-c", fake]).folder(folder.path()).run().await.unwrap();
    write(&file(name), spec, 0o640).unwrap();
    let output = Command::new("/bin/sh")
        .arg(file("shop-runc"))
        .args(args)
        .folder(folder.path())
        .env("PATH", format!("{}:/usr/bin:/bin", folder.path().display()))
        .run()
        .await
        .unwrap();
    let left: Vec<PathBuf> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
    (std::fs::read_to_string(file(name)).unwrap(), output.stdout.trim().to_owned())
}

#[rstest]
#[case::middle(r#"["CAP_A","CAP_SYS_RESOURCE","CAP_B"]"#, r#"["CAP_A","CAP_B"]"#)]
#[case::first(r#"["CAP_SYS_RESOURCE","CAP_B"]"#, r#"["CAP_B"]"#)]
#[case::last(r#"["CAP_A","CAP_SYS_RESOURCE"]"#, r#"["CAP_A"]"#)]
#[case::alone(r#"["CAP_SYS_RESOURCE"]"#, "[]")]
#[case::twice(r#"["CAP_SYS_RESOURCE","CAP_A","CAP_SYS_RESOURCE"]"#, r#"["CAP_A"]"#)]
#[case::spread("[\n  \"CAP_A\",\n  \"CAP_SYS_RESOURCE\"\n]", "[\n  \"CAP_A\"]")]
#[case::absent(r#"["CAP_A"]"#, r#"["CAP_A"]"#)]
#[tokio::test]
async fn the_capability_goes_from_every_set(#[case] before: &str, #[case] after: &str) {
    let spec = |set: &str| {
        format!(
            r#"{{"process":{{"args":["echo","CAP_SYS_RESOURCE"],"env":["A=\"bounding\":[\"CAP_SYS_RESOURCE\"]"],"capabilities":{{"bounding":{set},"effective":{set},"permitted": {set}}}}}}}"#
        )
    };
    let (spec_after, called) = filtered("config.json", &spec(before), &["--root", "/r", "create", "id"]).await;
    assert_eq!(spec_after.trim(), spec(after));
    serde_json::from_str::<Value>(&spec_after).unwrap();
    assert_eq!(called, "--root /r create id");
}

#[rstest]
#[case::bundle("b/config.json", &["create", "--bundle", "b", "id"], true)]
#[case::bundle_equals("b/config.json", &["run", "--bundle=b", "id"], true)]
#[case::bundle_short("b/config.json", &["create", "-b", "b", "id"], true)]
#[case::here("config.json", &["run", "id"], true)]
#[case::process("p.json", &["exec", "--process", "p.json", "id"], true)]
#[case::process_equals("p.json", &["exec", "--process=p.json", "id"], true)]
#[case::process_short("p.json", &["exec", "-p", "p.json", "id"], true)]
#[case::command_of_an_exec("p.json", &["exec", "--process", "q.json", "id", "-p", "p.json"], false)]
#[case::other_verb("config.json", &["start", "id"], false)]
#[tokio::test]
async fn the_spec_is_found_however_it_is_named(#[case] file: &str, #[case] args: &[&str], #[case] changed: bool) {
    let before = r#"{"capabilities":{"bounding":["CAP_SYS_RESOURCE"]}}"#;
    let (after, _) = filtered(file, before, args).await;
    assert_eq!(after.trim() != before, changed, "{after}");
}
