//! Tests of the workspace's structure: crates depend on lower layers alone, modules of a crate have no circles, type names are
//! unique, and paths that the documentation names exist.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Module -> the modules that it names.
type Arrows = BTreeMap<String, BTreeSet<String>>;

/// Reads a file of the repository by its path. Not by `include_str!`, which has to stay in the package.
pub(crate) fn text(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names right behind `crate::` in a source, one or several in braces; not behind `$crate::` of a macro, which may be
/// another crate.
fn named(source: &str) -> BTreeSet<String> {
    let code: String =
        source.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let places = code.match_indices("crate::").filter(|(at, _)| !code[..*at].ends_with(['$', '_']));
    places.flat_map(|(at, found)| first_names(&code[at + found.len()..])).collect()
}

fn first_names(path: &str) -> Vec<String> {
    let ident = |text: &str| text.chars().take_while(|sign| sign.is_alphanumeric() || *sign == '_').collect::<String>();
    let Some(group) = path.strip_prefix('{') else { return vec![ident(path)] };
    let (mut depth, mut names, mut begins) = (0, Vec::new(), true);
    for (at, sign) in group.char_indices() {
        match sign {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => begins = true,
            sign if begins && !sign.is_whitespace() => {
                names.push(ident(&group[at..]));
                begins = false;
            }
            _ => {}
        }
    }
    names
}

/// The folders of the workspace's crates, the lowest layer first: each depends only on crates before it, its tests too.
const LAYERS: [&str; 17] = [
    "workspace-hack",
    "harness/crates/kinds",
    "harness/crates/base",
    "harness/crates/http",
    "harness/crates/kube",
    "harness/crates/settings",
    "harness/crates/manifest",
    "harness/crates/machine",
    "harness/crates/deploy",
    "harness/crates/report",
    "harness",
    "harness/crates/cli",
    "stack",
    "keeper",
    "e2e",
    "smoke",
    "cli",
];

/// The crates that may depend on the crate `harness`, but on none below it: the suites' and the stack's. What `harness` does not
/// re-export, such as a client that writes, they cannot have.
const SUITES: [&str; 3] = ["stack", "e2e", "smoke"];

/// The dependencies by path that do not lead to a lower layer, or lead to a crate without a place in [`LAYERS`]; and those of
/// [`SUITES`] on crates below the harness.
fn upwards(metadata: &serde_json::Value) -> Vec<String> {
    let root = Path::new(metadata["workspace_root"].as_str().unwrap());
    let folder = |path: &Path| path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
    let place = |folder: &String| LAYERS.iter().position(|layer| folder == layer);
    let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
    let mut found = Vec::new();
    for package in list(&metadata["packages"]) {
        let from = folder(Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap());
        for path in list(&package["dependencies"]).iter().filter_map(|dependency| dependency["path"].as_str()) {
            let to = folder(Path::new(path));
            let is_down = place(&from).zip(place(&to)).is_some_and(|(from, to)| to < from);
            let is_below = SUITES.contains(&from.as_str()) && to.starts_with("harness/");
            if !is_down || is_below {
                found.push(format!("{from} -> {to}"));
            }
        }
    }
    found
}

#[test]
#[expect(clippy::disallowed_methods, reason = "Cargo alone knows what its packages depend on")]
fn no_crate_depends_on_one_above_it() {
    let mut cargo = std::process::Command::new(env!("CARGO"));
    cargo.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    let metadata: serde_json::Value = serde_json::from_slice(&cargo.output().unwrap().stdout).unwrap();
    assert_eq!(metadata["packages"].as_array().map(Vec::len), Some(LAYERS.len()), "a crate has no place in LAYERS");
    assert_eq!(upwards(&metadata), Vec::<String>::new());
}

#[test]
fn a_dependency_upwards_is_found_and_one_of_tests_too() {
    let package = |from: &str, to: &str, kind: Option<&str>| {
        serde_json::json!({"workspace_root": "/x", "packages": [{
            "manifest_path": format!("/x/{from}/Cargo.toml"),
            "dependencies": [{"path": format!("/x/{to}"), "kind": kind}, {"path": null}],
        }]})
    };
    assert_eq!(upwards(&package("harness/crates/base", "harness", None)), ["harness/crates/base -> harness"]);
    assert_eq!(upwards(&package("harness", "e2e", Some("dev"))).len(), 1);
    assert_eq!(upwards(&package("harness", "unknown", None)).len(), 1);
    assert_eq!(upwards(&package("smoke", "harness/crates/http", Some("dev"))).len(), 1);
    assert_eq!(upwards(&package("smoke", "harness", Some("dev"))).len(), 0);
    assert_eq!(upwards(&package("harness", "harness/crates/base", Some("dev"))).len(), 0);
}

/// The harness is for any stack: what belongs to one stack is in that stack's spec.
#[test]
fn no_file_of_the_harness_names_a_stack() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = crate::hash::files(root).unwrap();
    let names = |path: &&std::path::PathBuf| {
        // In two pieces, so that this file does not.
        String::from_utf8_lossy(&std::fs::read(path).unwrap()).to_lowercase().contains(concat!("jet", "scale"))
    };
    assert!(files.len() > 250, "the sources are found otherwise than they lie: {}", files.len());
    assert_eq!(files.iter().filter(names).collect::<Vec<_>>(), Vec::<&std::path::PathBuf>::new());
}

/// The paths that a source includes at compile time from outside its package; `depth`: how many folders of the package the
/// source is in.
fn included_from_outside(depth: usize, source: &str) -> Vec<&str> {
    let quoted = |at: usize| source[at..].split('"').nth(1).unwrap_or_default();
    let calls = ["include_str!(\"", "include_bytes!(\"", "include!(\""];
    let found = calls.iter().flat_map(|call| source.match_indices(call)).map(|(at, _)| quoted(at));
    found.filter(|path| path.split('/').take_while(|part| *part == "..").count() > depth).collect()
}

/// A crate from a registry is its package alone, without the repository around it.
#[test]
fn what_a_crate_includes_lies_in_its_package() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut looked_at = 0;
    for layer in LAYERS {
        let package = root.join(layer);
        for file in crate::hash::files(&package).unwrap() {
            let inside = file.strip_prefix(&package).unwrap();
            // A crate below a crate's folder is a package of its own.
            if file.extension().is_none_or(|ending| ending != "rs") || inside.starts_with("crates") {
                continue;
            }
            let source = std::fs::read_to_string(&file).unwrap();
            let outside = included_from_outside(inside.components().count() - 1, &source);
            assert_eq!(outside, Vec::<&str>::new(), "{}", file.display());
            looked_at += 1;
        }
    }
    assert!(looked_at > 300, "the sources are found otherwise than they lie: {looked_at}");
    let source = concat!("include_", "str!(\"../../deploy/a.json\")");
    assert_eq!(included_from_outside(1, source), ["../../deploy/a.json"]);
    assert_eq!(included_from_outside(2, source), Vec::<&str>::new());
}

/// The paths of the harness that a text names.
fn paths_of_the_harness(text: &str) -> impl Iterator<Item = &str> {
    let begins = ["harness/src/", "harness/crates/"].into_iter().flat_map(|begin| text.match_indices(begin));
    let is_in_path = |sign: char| sign.is_ascii_alphanumeric() || "_-/.".contains(sign);
    begins.map(move |(at, _)| {
        let rest = &text[at..];
        rest[..rest.find(|sign| !is_in_path(sign)).unwrap_or(rest.len())].trim_end_matches(['.', '/'])
    })
}

/// Readers of the documentation follow these paths.
#[test]
fn paths_that_the_documentation_names_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (mut named, mut missing) = (0, BTreeSet::new());
    let folders = ["docs", "e2e/mutants", "kind", "charts", ".ci", ".github"].map(|folder| root.join(folder));
    let files = folders.iter().flat_map(|folder| crate::hash::files(folder).unwrap()).chain([root.join("README.md")]);
    for file in files {
        let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
        for path in paths_of_the_harness(&text) {
            named += 1;
            if !root.join(path).exists() {
                missing.insert(format!("{}: {path}", file.display()));
            }
        }
    }
    assert!(named > 30, "the documentation is read otherwise than it is written: {named}");
    assert_eq!(missing, BTreeSet::new());
    let text = "in (../harness/src/a.rs#L1), harness/crates/b/src.";
    assert_eq!(paths_of_the_harness(text).collect::<Vec<_>>(), ["harness/src/a.rs", "harness/crates/b/src"]);
}

/// A source up to its tests, which are last in it.
fn without_tests(source: &str) -> &str {
    let inline = |at: &usize| source[*at..].lines().nth(1).is_some_and(|line| line.ends_with('{'));
    let begins = source.match_indices("#[cfg(test)]\n").map(|(at, _)| at).find(inline);
    &source[..begins.unwrap_or(source.len())]
}

/// The sources of a folder of this package without tests, by their paths there.
fn sources(folder: &str) -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let is_code = |path: &str| path.ends_with(".rs") && !path.ends_with("tests.rs") && !path.contains("/tests/");
    let files = crate::hash::files(&root).unwrap().into_iter();
    let paths = files.map(|file| file.strip_prefix(&root).unwrap().to_string_lossy().into_owned());
    let read = |path: &String| without_tests(&std::fs::read_to_string(root.join(path)).unwrap()).to_owned();
    paths.filter(|path| is_code(path)).map(|path| (path.clone(), read(&path))).collect()
}

/// The folders of the crates whose modules are looked at.
const CRATES: [&str; 11] = [
    "src",
    "crates/base/src",
    "crates/kinds/src",
    "crates/http/src",
    "crates/kube/src",
    "crates/settings/src",
    "crates/manifest/src",
    "crates/machine/src",
    "crates/deploy/src",
    "crates/report/src",
    "crates/cli/src",
];

/// The arrows between a crate's modules, but for those of tests.
fn arrows(folder: &str) -> Arrows {
    let mut all = Arrows::new();
    for (path, source) in sources(folder) {
        let module = path.split('/').next().unwrap().trim_end_matches(".rs").to_owned();
        all.entry(module).or_default().extend(named(&source));
    }
    let modules: BTreeSet<String> = all.keys().cloned().collect();
    for (module, to) in &mut all {
        to.retain(|name| name != module && modules.contains(name));
    }
    all
}

/// The modules that are in a circle or lead to one: what is left once modules without arrows to others are removed, again and
/// again.
fn in_circles(mut all: Arrows) -> Arrows {
    loop {
        let left: BTreeSet<String> = all.keys().cloned().collect();
        all.retain(|_, to| to.iter().any(|name| left.contains(name)));
        for to in all.values_mut() {
            to.retain(|name| left.contains(name));
        }
        if all.len() == left.len() {
            return all;
        }
    }
}

#[test]
fn no_module_leads_back_to_itself() {
    let mut looked_at = 0;
    for folder in CRATES {
        let all = arrows(folder);
        looked_at += all.len();
        let left = in_circles(all);
        assert!(left.is_empty(), "in {folder} these lead to each other, or to such: {left:#?}");
    }
    let is_read = arrows("crates/deploy/src")["release"].contains("cluster");
    assert!(is_read && looked_at > 100, "the sources are read otherwise than they are written: {looked_at}");
}

/// The name of the type that a line declares, with any visibility; those within functions are indented, and left out.
fn type_of(line: &str) -> Option<&str> {
    let declared =
        ["pub ", "pub(crate) ", "pub(super) "].iter().find_map(|word| line.strip_prefix(word)).unwrap_or(line);
    let rest = ["struct ", "enum ", "trait ", "type "].iter().find_map(|word| declared.strip_prefix(word))?;
    rest.split(|sign: char| !sign.is_alphanumeric()).next()
}

#[test]
fn no_two_types_share_a_name() {
    let mut places = BTreeMap::<String, Vec<String>>::new();
    for (path, source) in sources("src").into_iter().chain(sources("crates")) {
        // An error and a result are each crate's own.
        for name in source.lines().filter_map(type_of).filter(|name| !["Error", "Result"].contains(name)) {
            places.entry(name.to_owned()).or_default().push(path.clone());
        }
    }
    assert!(places.len() > 400, "the sources are read otherwise than they are written: {places:?}");
    places.retain(|_, places| places.len() > 1);
    assert!(places.is_empty(), "{places:#?}");
}

#[test]
fn names_are_read_as_they_are_written() {
    let source = "use crate::{a::{self, B}, c};\nfn f() { crate::d::g(); $crate::e(); }\n// crate::comment\n";
    assert_eq!(named(source).into_iter().collect::<Vec<_>>(), ["a", "c", "d"]);
}

#[test]
fn a_circle_is_found_and_who_stands_beside_it_is_not() {
    let arrows = |pairs: &[(&str, &str)]| {
        let mut all = Arrows::new();
        for (from, to) in pairs {
            all.entry((*from).to_owned()).or_default().insert((*to).to_owned());
            all.entry((*to).to_owned()).or_default();
        }
        all
    };
    assert_eq!(in_circles(arrows(&[("a", "b"), ("b", "c"), ("a", "c")])), Arrows::new());
    let left = in_circles(arrows(&[("a", "b"), ("b", "a"), ("b", "c")]));
    assert_eq!(left.into_keys().collect::<Vec<_>>(), ["a", "b"]);
}
