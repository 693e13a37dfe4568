use rstest::rstest;

use harness_kube::window::Window;

use super::*;

fn parse(pairs: &[(&str, &str)]) -> Settings {
    Settings::parse(&pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

fn checked(pairs: &[(&str, &str)]) -> Result<Settings> {
    let settings = parse(pairs);
    settings.check(Stage::Preview)?;
    Ok(settings)
}

#[rstest]
#[case::stage("SHOP_STAGE", "locl", "one of dev, local, ci, preview, live")]
#[case::keep("SHOP_KEEP", "1", "one of never, on-failure, always")]
#[case::deployer("SHOP_DEPLOYER", "Helm", "one of skaffold, helm")]
#[case::idle("SHOP_IDLE_TTL_SECS", "10s", "a whole number of seconds")]
#[case::relative("SHOP_RUN_DIR", "target/run", "an absolute path")]
#[case::artifacts("SHOP_ARTIFACTS", "set.json", "an absolute path or an https address")]
#[case::plain_http("SHOP_ARTIFACTS", "http://x/set.json", "an absolute path or an https address")]
#[case::half_a_login("SHOP_REGISTRY_SERVER", "ghcr.io", "set all three, or none")]
#[case::half_an_account("SHOP_ACCOUNT_LOGIN", "somebody", "set both, or none")]
#[case::branch("GIT_SHA", "main", "7 to 40 hexadecimal digits")]
#[case::too_long("GIT_SHA", "0123456789012345678901234567890123456789a", "7 to 40 hexadecimal digits")]
#[case::kubeconfigs("KUBECONFIG", "/one:two", "absolute paths, divided by colons")]
#[case::no_lifetime("SHOP_PREVIEW_LIFETIME_HOURS", "0", "1 to 720")]
#[case::no_window(
    "SHOP_WINDOWS",
    "redy=120",
    "answered, retried, replaced, room, restarted, mount, pulled, ready, unbounded"
)]
#[case::a_window_that_is_none("SHOP_WINDOWS", "none=5", "there is no window \"none\"")]
#[case::a_window_in_capitals("SHOP_WINDOWS", "READY=120", "there is no window \"READY\"")]
#[case::a_window_without_seconds("SHOP_WINDOWS", "ready", "\"ready\" is no name=seconds")]
#[case::a_window_after_the_last("SHOP_WINDOWS", "ready=120,", "\"\" is no name=seconds")]
#[case::a_window_with_a_unit("SHOP_WINDOWS", "ready=2m", "\"2m\" is no whole number from 0 to 3600")]
#[case::a_window_too_long("SHOP_WINDOWS", "ready=3601", "\"3601\" is no whole number from 0 to 3600")]
#[case::a_window_twice("SHOP_WINDOWS", "ready=1,room=2,ready=1", "ready is there twice")]
#[case::slip("SHOP_STAG", "ci", "did you mean SHOP_STAGE?")]
#[case::plural("SHOP_DEPLOYERS", "helm", "did you mean SHOP_DEPLOYER?")]
#[case::case("SHOP_LIVEURL", "x", "did you mean SHOP_LIVE_URL?")]
fn refuses(#[case] name: &str, #[case] value: &str, #[case] says: &str) {
    let text = checked(&[(name, value)]).unwrap_err().report();
    assert!(text.contains(says), "{text}");
    assert!(text.contains(name), "{text}");
}

#[rstest]
#[case::off("0", Keep::Always)]
#[case::false_word("false", Keep::Always)]
#[case::empty("", Keep::Always)]
#[case::on("true", Keep::Never)]
#[case::one("1", Keep::Never)]
fn ci_decides_what_is_kept(#[case] ci: &str, #[case] keep: Keep) {
    assert_eq!(parse(&[("CI", ci)]).keep.get().unwrap(), keep);
}

#[rstest]
#[case::nothing("", "/home/me/.kube/config")]
#[case::one("/one", "/one")]
#[case::some(":/one::/two:", "/one:/two")]
fn the_kubeconfigs_are_those_that_are_named(#[case] value: &str, #[case] files: &str) {
    let settings = checked(&[("HOME", "/home/me"), ("KUBECONFIG", value)]).unwrap();
    assert_eq!(settings.kubeconfig.get().unwrap().to_string(), files);
}

#[rstest]
#[case::nothing("", &[])]
#[case::one("ready=120", &[(Window::Ready, 120)])]
#[case::some("room=0,unbounded=3600", &[(Window::Room, 0), (Window::Unbounded, 3600)])]
fn windows_are_set_by_name(#[case] value: &str, #[case] set: &[(Window, u64)]) {
    let set = set.iter().map(|(window, secs)| (*window, Duration::from_secs(*secs))).collect();
    assert_eq!(checked(&[("SHOP_WINDOWS", value)]).unwrap().windows.get().unwrap(), Windows::new(set));
}

#[test]
fn services_names_are_left_alone_and_strange_ones_reported() {
    let settings = parse(&[("SHOP_DB_HOST", "x"), ("SHOP_COLOUR_OF_THE_SKY", "blue")]);
    assert_eq!(settings.unknown.get().unwrap(), ["SHOP_COLOUR_OF_THE_SKY"]);
}

#[test]
fn a_relative_xdg_folder_is_ignored() {
    let settings = parse(&[("HOME", "/h"), ("XDG_STATE_HOME", "here")]);
    assert_eq!(settings.state_root, PathBuf::from("/h/.local/state/shop-stack"));
}

#[test]
fn a_login_never_shows_its_password() {
    let login = |server| {
        checked(&[
            ("SHOP_REGISTRY_SERVER", server),
            ("SHOP_REGISTRY_USERNAME", "robot"),
            ("SHOP_REGISTRY_PASSWORD", "hunter2"),
        ])
    };
    let shown = format!("{:?}", login("ghcr.io").unwrap());
    assert!(shown.contains("robot at ghcr.io") && !shown.contains("hunter2"), "{shown}");
    let error = login("https://ghcr.io/v2").unwrap_err().report();
    assert!(error.contains("a registry's name alone") && !error.contains("hunter2"), "{error}");
}

#[test]
fn an_account_never_shows_its_password() {
    let pairs = [("SHOP_ACCOUNT_LOGIN", "somebody"), ("SHOP_ACCOUNT_PASSWORD", "hunter2")];
    let shown = format!("{:?}", checked(&pairs).unwrap());
    assert!(shown.contains("somebody") && !shown.contains("hunter2"), "{shown}");
    let half = checked(&pairs[1..]).unwrap_err().report();
    assert!(!half.contains("hunter2"), "{half}");
}

#[test]
fn a_revision_is_in_lower_case() {
    assert_eq!(parse(&[("GIT_SHA", "ABCDEF0")]).git_sha.get().unwrap().as_deref(), Some("abcdef0"));
}

#[test]
fn empty_is_not_set() {
    let settings = parse(&[("SHOP_STAGE", ""), ("SHOP_IDLE_TTL_SECS", "0")]);
    assert_eq!((settings.stage.get().unwrap(), settings.idle_ttl.get().unwrap()), (None, None));
}

#[rstest]
#[case::in_stages_that_ask("GIT_SHA", "main", &[Stage::Preview, Stage::Live])]
#[case::in_stage_preview("KUBECONFIG", "one:two", &[Stage::Preview])]
#[case::ours("SHOP_PREVIEW_LIFETIME_HOURS", "0", &Stage::ALL)]
fn what_others_set_is_refused_where_it_is_used(#[case] name: &str, #[case] value: &str, #[case] refused: &[Stage]) {
    let settings = parse(&[(name, value)]);
    for stage in Stage::ALL {
        assert_eq!(settings.check(stage).is_err(), refused.contains(&stage), "{stage}");
    }
}

#[test]
fn one_wrong_value_keeps_no_other_from_being_asked_for() {
    let settings = parse(&[("GIT_SHA", "main"), ("SHOP_CA_BUNDLE", "ca.pem"), ("SHOP_KEEP", "never")]);
    assert_eq!(settings.keep.get().unwrap(), Keep::Never);
    let wrong = [settings.git_sha.get().is_err(), settings.build_ca.get().is_err(), settings.node_ca.get().is_err()];
    assert_eq!(wrong, [true; 3]);
    let refused: Vec<_> = settings.refused().map(|(name, ..)| name).collect();
    assert_eq!(refused, ["SHOP_CA_BUNDLE"], "once, and none of somebody else's");
}

#[test]
fn where_it_is_unclear_nothing_may_be_set_up() {
    assert!(parse(&[]).may_set_up());
    assert!(!parse(&[("SHOP_SETUP", "nevr")]).may_set_up());
}

#[test]
fn the_documented_windows_are_those_that_count() {
    let docs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/causes.md")).unwrap();
    let rows = docs.lines().filter(|line| line.starts_with("| `"));
    let documented: Vec<_> = rows.filter_map(|row| Some(row.split_once(" s | ")?.0)).collect();
    let all = [Window::None].into_iter().chain(Window::SETTABLE);
    let wanted: Vec<_> = all.map(|window| format!("| `{}` | {}", window.name(), window.default_secs())).collect();
    assert_eq!(documented, wanted);
}
