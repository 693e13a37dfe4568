//! Sealed charts: a chart of our own that holds objects as they were admitted, and renders them unchanged.
//!
//! A second render by Helm could differ from the one that was checked: it may read the cluster or the time, or know that it is an
//! upgrade. In a sealed chart nothing is evaluated: its one template prints a file's bytes.

use std::fmt::Write as _;
use std::path::Path;

use harness_base::files::{self, private_folder};
use harness_manifest::yaml;
use harness_settings::spec::spec;
use serde_json::Value;

use super::parity;
use super::staging::{Staged, keep};
use crate::error::{Error, Result};

/// The largest size of the objects, in bytes: Helm's record of a release holds them twice, in a Secret of 1 MiB at most.
const LARGEST: usize = 350 << 10;
/// The path of the objects in the chart.
const OBJECTS: &str = "files/objects.json";
/// The chart's template: prints a file's bytes, without evaluating them.
const TEMPLATE: &str = "{{ .Files.Get \"files/objects.json\" }}\n";

/// Stages a chart of these objects beside staged charts, with their skaffold.yaml and an empty values file named `values`.
///
/// What remains on cancel or kill: at most a folder with a temporary name.
///
/// # Errors
/// [`harness_base::Error::Refused`] when they are too large; [`harness_base::Error::Io`].
pub fn seal(charts: &Staged, values: &str, objects: &[Value]) -> Result<Staged> {
    let text = text(objects);
    if text.len() > LARGEST {
        return Err(Error::refused(
            format!("the charts render {} KiB, and {} are the most", text.len() >> 10, LARGEST >> 10),
            "take large files out of the charts; nothing was applied",
        ));
    }
    let cache = charts.folder.parent().unwrap_or(Path::new("."));
    let what = || format!("make a folder in {}", cache.display());
    let build = tempfile::Builder::new().prefix("staging-").tempdir_in(cache).map_err(Error::io(what()))?;
    let chart = build.path().join(spec().charts.folder).join(spec().charts.umbrella);
    let about = format!(
        "apiVersion: v2\nname: {}\nversion: 0.0.0\ndescription: objects as they were admitted\n",
        spec().charts.umbrella
    );
    let files =
        [("Chart.yaml", about.as_str()), (values, ""), ("templates/objects.yaml", TEMPLATE), (OBJECTS, text.as_str())];
    for (name, text) in files {
        let path = chart.join(name);
        private_folder(path.parent().unwrap_or(&chart))?;
        std::fs::write(&path, text).map_err(Error::io(format!("write {}", path.display())))?;
    }
    files::copy(&charts.folder.join("skaffold.yaml"), &build.path().join("skaffold.yaml"))?;
    keep(build, cache)
}

/// The objects as YAML documents of one line each, in JSON that all YAML parsers read alike.
fn text(objects: &[Value]) -> String {
    objects.iter().fold(String::new(), |mut text, object| {
        text.push_str("---\n");
        for sign in object.to_string().chars() {
            let code = u32::from(sign);
            match sign {
                // YAML takes some signs beyond ASCII for the end of a line, and none of the control characters. Helm takes
                // "<no value>" out of what it renders.
                '<' | '>' | '\u{7f}'..='\u{ffff}' => _ = write!(text, "\\u{code:04x}"),
                _ => text.push(sign),
            }
        }
        text.push('\n');
        text
    })
}

/// Checks that the deployed manifest has the admitted objects and no others; Skaffold's own label is ignored.
///
/// # Errors
/// [`Error::Unmet`] with the first differences; [`harness_base::Error::Malformed`] when it cannot be read.
pub(super) fn is_deployed(admitted: &[Value], manifest: &str) -> Result<()> {
    let documents = yaml::documents(manifest).map_err(Error::malformed("read the release's manifest"))?;
    let mut deployed: Vec<Value> = documents.into_iter().filter(|object| !object.is_null()).collect();
    deployed.iter_mut().for_each(without_run_id);
    let differences = parity::differences(admitted, &deployed);
    if differences.is_empty() && admitted.len() == deployed.len() {
        return Ok(());
    }
    let lines: String = differences.iter().take(5).map(|difference| format!("\n  {difference}")).collect();
    Err(Error::Unmet(format!("what was deployed is not what was admitted:{lines}")))
}

/// Removes the label that Skaffold adds to objects and their pods, and the map of labels if it is empty then.
fn without_run_id(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if let Some(Value::Object(labels)) = map.get_mut("labels") {
                let there = labels.remove(parity::RUN_ID).is_some();
                if there && labels.is_empty() {
                    map.remove("labels");
                }
            }
            map.values_mut().for_each(without_run_id);
        }
        Value::Array(list) => list.iter_mut().for_each(without_run_id),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::line_ends(json!({"a": "1\n---\n2\u{85}\u{2028}\r"}))]
    #[case::actions(json!({"a": "{{ lookup \"v1\" \"Secret\" }} <no value>"}))]
    #[case::other_signs(json!({"ключ": "значение 🙂\u{7f}\u{0}\u{feff}"}))]
    #[case::words(json!({"on": "on", "1": "0444", "x": ["1_000", 1, true, null, 0.5]}))]
    fn what_is_written_is_read_back(#[case] object: Value) {
        let text = text(&[object.clone(), json!({"b": 1})]);
        assert_eq!(yaml::documents(&text).unwrap(), [object, json!({"b": 1})]);
        assert_eq!(text.lines().count(), 4);
        assert!(!text.contains('<'));
    }

    fn map(data: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "it"}, "data": {"x": data}})
    }

    #[test]
    fn another_object_than_the_admitted_one_is_found() {
        let admitted = [map("1")];
        let labelled =
            "kind: ConfigMap\napiVersion: v1\nmetadata: {name: it, labels: {skaffold.dev/run-id: x}}\ndata: {x: '1'}\n";
        is_deployed(&admitted, labelled).unwrap();
        let says = |manifest: &str| is_deployed(&admitted, manifest).unwrap_err().report();
        assert!(says(&labelled.replace("'1'", "'2'")).contains("data.x"), "{}", says(""));
        assert!(says("").contains("ConfigMap it: only in the first"));
        let more = format!("{labelled}---\nkind: Secret\nmetadata: {{name: more}}\n");
        assert!(says(&more).contains("Secret more: only in the second"));
        let twice = format!("{labelled}---\n{labelled}");
        assert!(says(&twice).contains("not what was admitted"));
    }

    #[test]
    fn it_is_the_same_folder_for_the_same_objects() {
        let cache = tempfile::tempdir().unwrap();
        let folder = cache.path().join("given");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("skaffold.yaml"), "kind: Config\n").unwrap();
        let charts = Staged { folder, hash: String::new() };
        let first = seal(&charts, "values.x.yaml", &[map("1")]).unwrap();
        assert_eq!(first, seal(&charts, "values.x.yaml", &[map("1")]).unwrap());
        assert_ne!(first, seal(&charts, "values.x.yaml", &[map("2")]).unwrap());
        let large = seal(&charts, "values.x.yaml", &[map(&"x".repeat(LARGEST))]).unwrap_err().report();
        assert!(large.contains("350 are the most"), "{large}");
        assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), 3);
    }
}
