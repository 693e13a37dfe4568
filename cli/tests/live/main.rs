//! Stage live as it really runs, against servers that play a site: green where all is well, and red with the right
//! layer where something is not.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]
#![expect(clippy::disallowed_methods, reason = "a test starts processes as a user would, in his environment")]

mod certificates;
mod faults;
mod secrets;
mod server;
mod sites;
mod suite;

use harness::http::{BETWEEN_REQUESTS, MOST_REQUESTS};
use jetscale::services::SIGN_IN;

use self::certificates::Authority;
use self::server::{REVISION, healthy, start};

/// What a whole run sends: GET and HEAD alone, within the budget and at its pace.
#[tokio::test(flavor = "multi_thread")]
async fn a_whole_run_reads_and_stays_within_its_budget() {
    let server = start(None, healthy).await;
    suite::binary();
    let began = std::time::Instant::now();
    let ran = suite::run(&format!("http://{}", server.address), "", &[("GIT_SHA", &REVISION[..9])]).await;
    let took = began.elapsed();
    // A busy machine answers itself too slowly.
    let failed: Vec<_> = ran.failed().into_iter().filter(|name| !name.starts_with("latency::")).collect();
    assert!(failed.is_empty(), "{}", ran.text);
    assert!(ran.text.contains(" latency::p95_is_within_its_budget::page: p95 "), "{}", ran.text);
    let asked = server.asked.lock().unwrap();
    let writes: Vec<_> = asked.iter().filter(|asked| !matches!(asked.method.as_str(), "GET" | "HEAD")).collect();
    assert!(writes.is_empty(), "{writes:?}");
    let count = u32::try_from(asked.len()).unwrap();
    assert!((60..=u32::try_from(MOST_REQUESTS).unwrap()).contains(&count), "{count} requests");
    assert!(took >= BETWEEN_REQUESTS * (count - 1), "{count} requests in {took:?}");
}

/// What is about TLS, and what it measured: for people at the run's end, for machines in JUnit's XML.
#[tokio::test(flavor = "multi_thread")]
async fn with_tls_all_is_green_and_each_scenario_says_what_it_measured() {
    let authority = Authority::new();
    let server = start(Some(authority.acceptor("127.0.0.1", 2999)), healthy).await;
    let bundle = authority.bundle();
    let url = format!("https://{}", server.address);
    let ran = suite::run(&url, "s::", &[("JETSCALE_CA_BUNDLE", bundle.to_str().unwrap())]).await;
    assert!(ran.passed, "{}", ran.text);
    let measured = [
        "passed   tls::certificates_do_not_expire_soon: days left ",
        "passed   tls::speaks_the_current_protocol: protocol TLSv1.3",
        "passed   tls::refuses_the_obsolete_protocol: TLS 1.1 refused by an alert",
        "passed   headers::https_is_for_good: HSTS max-age=31536000",
    ];
    for part in measured {
        assert!(ran.text.contains(part), "there is no {part:?} in:\n{}", ran.text);
    }
    let junit = ran.folder.path().join("junit.xml");
    let report = std::process::Command::new(env!("CARGO_BIN_EXE_cargo-stack"))
        .args(["report", "--junit", junit.to_str().unwrap()])
        .env("JETSCALE_RUN_DIR", ran.folder.path())
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&report.stdout).contains(measured[0]), "{report:?}");
    let junit = std::fs::read_to_string(junit).unwrap();
    assert!(junit.contains("<system-out>days left "), "{junit}");
}

/// The sign-in is the one POST there is.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_signs_in_and_posts_nothing_else() {
    let server = start(None, healthy).await;
    let account = [("JETSCALE_ACCOUNT_LOGIN", "somebody"), ("JETSCALE_ACCOUNT_PASSWORD", "hunter2")];
    let ran = suite::run(&format!("http://{}", server.address), "account::i", &account).await;
    assert!(ran.passed && !ran.text.contains("hunter2"), "{}", ran.text);
    let asked = server.asked.lock().unwrap();
    let writes: Vec<_> = asked.iter().filter(|asked| asked.method != "GET").collect();
    assert!(!writes.is_empty());
    assert!(writes.iter().all(|asked| asked.method == "POST" && asked.path == SIGN_IN), "{writes:?}");
}

/// What there is depends on no setting: not on one that a run would refuse, nor on what another tool set.
#[test]
fn scenarios_are_listed_whatever_is_set() {
    let list = |variables: &[(&str, &str)]| {
        let mut suite = std::process::Command::new(suite::binary());
        suite.arg("--list").env_clear().envs(variables.iter().copied()).output().unwrap()
    };
    let without = list(&[]);
    assert!(without.status.success() && !without.stdout.is_empty(), "{without:?}");
    for wrong in [("GIT_SHA", "main"), ("KUBECONFIG", "one:two"), ("JETSCALE_STAGE", "locl"), ("JETSCALE_KEP", "1")] {
        let with = list(&[wrong]);
        assert!(with.status.success() && with.stdout == without.stdout, "{wrong:?}: {with:?}");
    }
}

/// What whoever knows `cargo test` types works here, too.
#[test]
fn flags_are_libtests() {
    let suite = |line: &str| {
        let mut suite = std::process::Command::new(suite::binary());
        suite.args(line.split_whitespace()).env_clear();
        suite
    };
    let ran = |line: &str| suite(line).output().unwrap();
    let two = ran("--list --format terse --exact api::is_ready api::is_live");
    assert_eq!(String::from_utf8_lossy(&two.stdout), "api::is_live: test\napi::is_ready: test\n");
    let none = ran("--no-capture nothing_is_called_so nor_so");
    assert!(none.status.success() && String::from_utf8_lossy(&none.stdout).contains("running 0 tests"), "{none:?}");
    let unknown = ran("--unknown");
    assert_eq!(unknown.status.code(), Some(101));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("--unknown"), "{unknown:?}");
    let threads = suite("nothing_is_called_so").env("RUST_TEST_THREADS", "many").output().unwrap();
    assert_eq!(threads.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&threads.stderr).contains("RUST_TEST_THREADS=many"), "{threads:?}");
    // As with `| head`, whose reader goes before all is written.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let cut = suite("--list").stdout(writer).output().unwrap();
    assert!(cut.status.success() && cut.stderr.is_empty(), "{cut:?}");
}

/// A file with no word in main.rs compiles to nothing.
#[test]
fn every_file_of_the_suite_is_a_module() {
    let listed = std::process::Command::new(suite::binary()).arg("--list").output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let scenarios = listed.lines().filter(|line| line.ends_with(": test"));
    let modules: std::collections::BTreeSet<_> = scenarios.filter_map(|line| line.split("::").next()).collect();
    let folder = std::fs::read_dir(suite::checkout().join("smoke/tests/smoke")).unwrap();
    let files = folder.map(|entry| entry.unwrap().file_name().to_string_lossy().trim_end_matches(".rs").to_owned());
    let files: std::collections::BTreeSet<_> = files.filter(|name| name != "main").collect();
    assert_eq!(modules, files.iter().map(String::as_str).collect());
}
