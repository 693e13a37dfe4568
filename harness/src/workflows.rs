//! Tests of the workflows in .github, beyond their syntax.

/// Actions are pinned by commit: a tag could be moved by whoever may push to the action's repository, and would then run other
/// code with our credentials.
#[test]
fn every_action_of_a_workflow_is_named_by_its_commit() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../.github/workflows");
    let mut count = 0;
    for file in crate::hash::files(&folder).unwrap() {
        let text = std::fs::read_to_string(&file).unwrap();
        for used in text.lines().filter_map(|line| line.trim_start().trim_start_matches("- ").strip_prefix("uses: ")) {
            let (_, pin) = used.split_once('@').unwrap();
            let (commit, version) = pin.split_once(" # v").unwrap_or((pin, ""));
            let is_commit = commit.len() == 40 && commit.bytes().all(|sign| sign.is_ascii_hexdigit());
            assert!(is_commit && !version.is_empty(), "{}: {used}", file.display());
            count += 1;
        }
    }
    assert!(count > 10, "only {count} actions were found");
}

/// Deploys and teardowns of one pull request take turns, and no event is dropped: by default at most one run waits, and the next
/// one cancels it.
#[test]
fn events_of_one_pull_request_wait_for_each_other() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../.github/workflows");
    let concurrency = |name: &str| {
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        crate::yaml::value(&text).unwrap()["concurrency"].clone()
    };
    let [up, down] = ["preview.yaml", "preview-cleanup.yaml"].map(concurrency);
    for one in [&up, &down] {
        assert_eq!((one["queue"].as_str(), one["cancel-in-progress"].as_bool()), (Some("max"), Some(false)), "{one}");
    }
    assert_eq!(up["group"], "preview-${{ github.event.pull_request.number }}");
    assert!(
        down["group"].as_str().unwrap().contains("format('preview-{0}', github.event.pull_request.number)"),
        "{down}"
    );
}
