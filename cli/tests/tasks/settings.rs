//! Variables that a task does not use, whatever they hold: its outcome is the same. And those that it uses are refused.

use std::path::Path;
use std::process::{Command, Output};

/// What is not allowed, or what another tool may have left in the environment.
const WRONG: &[(&str, &str)] = &[
    ("GIT_SHA", "main"),
    ("KUBECONFIG", "one:two"),
    ("PR_NUMBER", "none"),
    ("GITHUB_REPOSITORY", "no repository"),
    ("JETSCALE_STAGE", "locl"),
    ("JETSCALE_STAG", "ci"),
    ("JETSCALE_DEPLOYER", "Helm"),
    ("JETSCALE_KEEP", "1"),
    ("JETSCALE_IDLE_TTL_SECS", "10s"),
    ("JETSCALE_WINDOWS", "redy=120"),
    ("JETSCALE_ARTIFACTS", "set.json"),
    ("JETSCALE_REGISTRY_SERVER", "ghcr.io"),
    ("JETSCALE_ACCOUNT_LOGIN", "somebody"),
    ("JETSCALE_CA_BUNDLE", "ca.pem"),
    ("JETSCALE_BACKEND_DIR", "../backend"),
    ("JETSCALE_PREVIEW_LIFETIME_HOURS", "0"),
    ("JETSCALE_PREVIEW_VALUES", "values.yaml"),
    ("JETSCALE_CHARTS_DIR", "charts"),
];

/// Runs it with a state of its own, without tools, engine and permission to have them.
fn stack(home: &Path, args: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cargo-stack"))
        .args(args)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap())
        .env_clear()
        .env("HOME", home)
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
        .env("JETSCALE_SETUP", "never")
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn what_a_task_does_not_use_does_not_matter_to_it() {
    let home = tempfile::tempdir().unwrap();
    for task in ["--help", "status", "clean", "validate"] {
        let without = stack(home.path(), &[task], &[]);
        for wrong in WRONG {
            let with = stack(home.path(), &[task], &[*wrong]);
            let outcome =
                |output: &Output| (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned());
            assert_eq!(outcome(&with), outcome(&without), "{task} with {wrong:?}: {}", text(&with));
            assert!(!text(&with).contains(wrong.0) || task == "--help", "{task} with {wrong:?}: {}", text(&with));
        }
    }
}

/// It is what says what is wrong: of ours, since a run would refuse that, and of nobody else's.
#[test]
fn doctor_tells_what_a_run_would_refuse() {
    let home = tempfile::tempdir().unwrap();
    let told = text(&stack(home.path(), &["doctor"], WRONG));
    for (name, value) in WRONG.iter().filter(|(name, _)| name.starts_with("JETSCALE_")) {
        assert!(told.contains(name), "{name}={value} is not told: {told}");
    }
    assert!(!told.contains("GIT_SHA") && !told.contains("KUBECONFIG"), "{told}");
}

/// Before anything is compiled, or made.
#[test]
fn a_run_refuses_what_is_ours() {
    let home = tempfile::tempdir().unwrap();
    for task in ["verify", "up", "setup"] {
        for wrong in WRONG.iter().filter(|(name, _)| name.starts_with("JETSCALE_") && *name != "JETSCALE_STAGE") {
            let refused = stack(home.path(), &[task], &[*wrong]);
            assert_eq!(refused.status.code(), Some(1), "{task} with {wrong:?}: {}", text(&refused));
            assert!(text(&refused).contains(wrong.0), "{task} with {wrong:?}: {}", text(&refused));
        }
    }
}
