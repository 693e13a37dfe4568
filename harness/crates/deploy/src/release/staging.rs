//! Staging of charts: umbrella and subcharts are copied into one folder in the cache, named by its content's hash.
//!
//! `helm dependency build` in the checkout races with itself, and its archives differ from build to build; staged subcharts
//! are folders, so that Skaffold and Helm have nothing to fetch.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use harness_base::files::{self, private_folder, replaced_once};
use harness_base::hash;
use harness_base::name::Name;
use harness_manifest::ChartIgnore;
use harness_manifest::yaml;
use harness_settings::spec::spec;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The largest size of all charts together, in bytes: 16 MiB.
const CHARTS_BYTES: u64 = 16 << 20;

/// Staged charts, which are not edited any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staged {
    /// The folder that holds skaffold.yaml and charts/.
    pub folder: PathBuf,
    /// The content hash of the folder.
    pub hash: String,
}

impl Staged {
    /// The umbrella chart, with its subcharts inside.
    pub fn umbrella(&self) -> PathBuf {
        self.folder.join(spec().charts.folder).join(spec().charts.umbrella)
    }
}

/// One change of a file of the staged charts.
#[derive(Debug, Clone, Copy)]
pub struct Edit<'a> {
    /// The file's path in the umbrella's folder.
    pub file: &'a str,
    /// The text to replace, which the file holds exactly once; empty: the file is new.
    pub from: &'a str,
    /// The text that replaces it, or the new file's text.
    pub to: &'a str,
}

impl Staged {
    /// Copies the charts into a folder, with these edits, for scenarios that plant a fault.
    ///
    /// # Errors
    /// [`harness_base::Error::Io`] when the copy cannot be made; [`Error::Unmet`] when a file does not hold the text exactly
    /// once.
    pub fn planted(&self, folder: &Path, edits: &[Edit<'_>]) -> Result<Self> {
        for file in hash::files(&self.folder)? {
            copy_file(&file, &folder.join(file.strip_prefix(&self.folder).unwrap_or(&file)))?;
        }
        let copy = Self { folder: folder.to_owned(), hash: String::new() };
        for Edit { file, from, to } in edits {
            let path = copy.umbrella().join(file);
            let text = if from.is_empty() {
                (*to).to_owned()
            } else {
                let before = std::fs::read_to_string(&path).map_err(Error::io(format!("read {}", path.display())))?;
                let once = || Error::Unmet(format!("{file} does not hold this once: {from}"));
                replaced_once(&before, from, to).map_err(|_| once())?
            };
            std::fs::write(&path, text).map_err(Error::io(format!("write {}", path.display())))?;
        }
        Ok(Self { hash: hash::folder(folder)?, ..copy })
    }
}

/// The part of Chart.yaml that names subcharts.
#[derive(Deserialize)]
struct ChartFile {
    #[serde(default)]
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: Name,
    repository: String,
}

/// Copies skaffold.yaml, the umbrella and the subcharts that it names into `cache`, unless they are there.
///
/// What remains on cancel or kill: at most a folder with a temporary name.
///
/// # Errors
/// [`harness_base::Error::Refused`] when the umbrella names a subchart that is not in the checkout.
pub fn stage_charts(checkout: &Path, cache: &Path) -> Result<Staged> {
    stage_given_charts(checkout, &checkout.join(spec().charts.folder), cache)
}

/// [`stage_charts`] with charts from another folder, which are taken as data: skaffold.yaml, which can name commands, is the
/// checkout's own.
///
/// # Errors
/// As [`stage_charts`]. [`harness_base::Error::Refused`] in both for a dependency that is not beside the umbrella, for links and
/// other files that are not plain, for names that differ in letter case alone, and for more than 16 MiB.
pub fn stage_given_charts(checkout: &Path, charts: &Path, cache: &Path) -> Result<Staged> {
    private_folder(cache)?;
    let build = tempfile::Builder::new()
        .prefix("staging-")
        .tempdir_in(cache)
        .map_err(Error::io(format!("make a folder in {}", cache.display())))?;
    let umbrella = build.path().join(spec().charts.folder).join(spec().charts.umbrella);
    let source = charts.join(spec().charts.umbrella);
    let mut left = CHARTS_BYTES;
    if std::fs::symlink_metadata(charts).is_ok_and(|found| found.is_symlink()) {
        return Err(Error::refused(format!("{} is a symbolic link", charts.display()), "name the folder itself"));
    }
    copy_chart(&source, &umbrella, &mut left)?;
    copy_file(&checkout.join("skaffold.yaml"), &build.path().join("skaffold.yaml"))?;
    // Read from the copy: in the chart's own folder it may be a link that the chart's .helmignore names.
    let path = umbrella.join("Chart.yaml");
    let text = std::fs::read_to_string(&path).map_err(Error::io(format!("read {}", path.display())))?;
    let chart: ChartFile = yaml::read(&text).map_err(Error::malformed(format!("read {}", path.display())))?;
    let mut names = BTreeSet::new();
    for dependency in chart.dependencies {
        if !names.insert(dependency.name.clone()) {
            return Err(Error::refused(
                format!("{} names the dependency {} twice", path.display(), dependency.name),
                format!("keep one of them in {}", path.display()),
            ));
        }
        // A subchart has to be beside the umbrella.
        let beside = dependency.repository.strip_prefix("file://../").and_then(|name| name.parse::<Name>().ok());
        let folder = beside.map(|name| charts.join(name.as_str()));
        let folder = folder.filter(|folder| folder.join("Chart.yaml").is_file()).ok_or_else(|| {
            Error::refused(
                format!(
                    "{} names the dependency {} at {}, and there is no chart",
                    path.display(),
                    dependency.name,
                    dependency.repository
                ),
                format!("add the chart, or correct the dependency in {}", path.display()),
            )
        })?;
        copy_chart(&folder, &umbrella.join("charts").join(dependency.name.as_str()), &mut left)?;
    }
    keep(build, cache)
}

/// Renames a finished folder to its content's hash; if there is one already, that one is used.
pub(super) fn keep(build: tempfile::TempDir, cache: &Path) -> Result<Staged> {
    let hash = hash::folder(build.path())?;
    let folder = cache.join(hash::short(&hash));
    match std::fs::rename(build.path(), &folder) {
        Ok(()) => drop(build.keep()),
        // The same content was staged before; its time is updated, so that it is kept.
        Err(_) if folder.is_dir() => touch(&folder)?,
        Err(error) => return Err(Error::io(format!("make {}", folder.display()))(error)),
    }
    Ok(Staged { folder, hash })
}

/// Sets a folder's modification time to now.
fn touch(folder: &Path) -> Result<()> {
    let touched = std::fs::File::open(folder).and_then(|folder| folder.set_modified(std::time::SystemTime::now()));
    touched.map_err(Error::io(format!("note that {} is wanted", folder.display())))
}

/// Copies a chart without the files that `helm dependency build` may have left in it.
fn copy_chart(from: &Path, to: &Path, left: &mut u64) -> Result<()> {
    // A link in the chart's place is refused below, before anything behind it is read.
    let ignore = if is_plain_folder(from) { ChartIgnore::of(from)? } else { ChartIgnore::leavings() };
    let mut files = Vec::new();
    plain_files(from, Path::new(""), &ignore, left, &mut files)?;
    let made_by_helm = |file: &Path| file.starts_with("charts") || file == Path::new("Chart.lock");
    files.iter().filter(|file| !made_by_helm(file)).try_for_each(|file| copy_file(&from.join(file), &to.join(file)))
}

fn is_plain_folder(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
}

/// Lists the files below a folder of a chart, by their paths in the chart, and subtracts their sizes from `left`.
///
/// Refuses anything but plain files and folders (a link could lead to any file of this machine, which a template could write into
/// a manifest; a pipe is read for ever), two names that differ in letter case alone, and more than `left` bytes. Ignored files
/// are not looked at.
fn plain_files(
    chart: &Path,
    inside: &Path,
    ignore: &ChartIgnore,
    left: &mut u64,
    files: &mut Vec<PathBuf>,
) -> Result<()> {
    // Joined with an empty path, it would end with a slash, and a link in its place be followed.
    let folder = &if inside.as_os_str().is_empty() { chart.to_owned() } else { chart.join(inside) };
    let odd = |path: &Path, why: &str| {
        Err(Error::refused(format!("{} {why}", path.display()), "put plain files into the chart, and nothing else"))
    };
    let kind = |path: &Path| std::fs::symlink_metadata(path).map_err(Error::io(format!("look at {}", path.display())));
    if !kind(folder)?.is_dir() {
        return odd(folder, "is no folder, or a symbolic link to one");
    }
    let mut names = BTreeSet::new();
    let say = || format!("list {}", folder.display());
    for entry in std::fs::read_dir(folder).map_err(Error::io(say()))? {
        let path = entry.map_err(Error::io(say()))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return odd(&path, "has a name that is no UTF-8");
        };
        let found = kind(&path)?;
        let inside = inside.join(name);
        if ignore.has(&inside, found.is_dir()) {
            continue;
        }
        if !names.insert(name.to_lowercase()) {
            return odd(&path, "has a name that another file beside it has too, but for upper and lower case");
        }
        if found.is_dir() {
            plain_files(chart, &inside, ignore, left, files)?;
            continue;
        }
        if found.is_symlink() {
            return odd(&path, "is a symbolic link");
        }
        if !found.is_file() {
            return odd(&path, "is no plain file");
        }
        let Some(rest) = left.checked_sub(found.len()) else {
            return odd(&path, &format!("is too large: charts have {} MiB together", CHARTS_BYTES >> 20));
        };
        *left = rest;
        files.push(inside);
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> Result<()> {
    if let Some(parent) = to.parent() {
        private_folder(parent)?;
    }
    Ok(files::copy(from, to)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkout(dependency: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("skaffold.yaml", "kind: Config\n");
        write(
            "charts/app/Chart.yaml",
            &format!("name: app\ndependencies:\n- {{name: backend, repository: '{dependency}'}}\n"),
        );
        write("charts/app/charts/backend-0.1.0.tgz", "an archive");
        write("charts/backend/Chart.yaml", "name: backend\n");
        root
    }

    #[test]
    fn subcharts_become_folders_and_the_same_content_is_one_folder() {
        let root = checkout("file://../backend");
        let cache = tempfile::tempdir().unwrap();
        let first = stage_charts(root.path(), cache.path()).unwrap();
        assert!(first.umbrella().join("charts/backend/Chart.yaml").is_file());
        assert!(!first.umbrella().join("charts/backend-0.1.0.tgz").exists());
        assert_eq!(first, stage_charts(root.path(), cache.path()).unwrap());
        std::fs::write(root.path().join("charts/backend/values.yaml"), "a: 1\n").unwrap();
        assert_ne!(first, stage_charts(root.path(), cache.path()).unwrap());
        assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), 2, "no temporary folder remains");
    }

    #[rstest::rstest]
    #[case::out_of_the_charts("file://../../backend")]
    #[case::absolute("file:///etc")]
    #[case::dots("file://../..")]
    #[case::of_the_network("https://charts.example.org")]
    fn a_dependency_elsewhere_is_refused(#[case] dependency: &str) {
        let root = checkout(dependency);
        std::fs::create_dir_all(root.path().join("backend")).unwrap();
        std::fs::write(root.path().join("backend/Chart.yaml"), "name: backend\n").unwrap();
        let cache = tempfile::tempdir().unwrap();
        let error = stage_charts(root.path(), cache.path()).unwrap_err().report();
        assert!(error.contains(dependency), "{error}");
    }

    #[rstest::rstest]
    #[case::absolute("/x")]
    #[case::parent("../x")]
    #[case::two_parts("a/b")]
    #[case::here(".")]
    #[case::nothing("")]
    #[case::nul("a\\0b")]
    #[case::case_twin("Backend")]
    fn a_name_that_could_be_a_path_is_refused(#[case] name: &str) {
        let (root, cache) = (checkout("file://../backend"), tempfile::tempdir().unwrap());
        let text = format!("dependencies: [{{name: \"{name}\", repository: file://../backend}}]\n");
        std::fs::write(root.path().join("charts/app/Chart.yaml"), text).unwrap();
        let error = stage_charts(root.path(), cache.path()).unwrap_err().report();
        assert!(error.contains("is no name"), "{error}");
        assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), 0, "something remains");
    }

    #[test]
    fn a_dependency_that_stands_twice_is_refused() {
        let (root, cache) = (checkout("file://../backend"), tempfile::tempdir().unwrap());
        let one = "{name: backend, repository: file://../backend}";
        std::fs::write(root.path().join("charts/app/Chart.yaml"), format!("dependencies: [{one}, {one}]\n")).unwrap();
        let error = stage_charts(root.path(), cache.path()).unwrap_err().report();
        assert!(error.contains("backend twice"), "{error}");
    }

    #[test]
    fn what_editors_leave_changes_nothing_and_what_helm_ignores_neither() {
        let (root, cache) = (checkout("file://../backend"), tempfile::tempdir().unwrap());
        let chart = root.path().join("charts/backend");
        std::fs::write(chart.join(".helmignore"), "*.orig\n").unwrap();
        let before = stage_charts(root.path(), cache.path()).unwrap().hash;
        std::os::unix::fs::symlink("someone@machine.1:2", chart.join(".#values.yaml")).unwrap();
        // Whoever goes behind these comes to no end.
        for name in ["a~", "b~"] {
            std::os::unix::fs::symlink(".", chart.join(name)).unwrap();
        }
        for left in ["values.yaml~", ".values.yaml.swp", ".DS_Store", "values.yaml.orig"] {
            std::fs::write(chart.join(left), "left").unwrap();
        }
        assert_eq!(stage_charts(root.path(), cache.path()).unwrap().hash, before);
        std::fs::write(chart.join("more.yaml"), "").unwrap();
        assert_ne!(stage_charts(root.path(), cache.path()).unwrap().hash, before);
    }

    /// Puts something odd into the charts.
    type Plant = fn(&Path) -> std::io::Result<()>;

    #[rstest::rstest]
    #[case::link((|charts| std::os::unix::fs::symlink("/etc/hostname", charts.join("backend/files"))) as Plant, "backend/files is a symbolic link")]
    #[case::link_as_helmignore((|charts| std::os::unix::fs::symlink("/etc/hostname", charts.join("backend/.helmignore"))) as Plant, "backend/.helmignore is a symbolic link")]
    #[case::link_to_a_chart((|charts| { std::fs::rename(charts.join("backend"), charts.join("b"))?; std::os::unix::fs::symlink("b", charts.join("backend")) }) as Plant, "backend is no folder")]
    #[case::pipe((|charts| rustix::fs::mknodat(rustix::fs::CWD, charts.join("backend/pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0).map_err(Into::into)) as Plant, "backend/pipe is no plain file")]
    #[case::ignored_chart_file((|charts| { std::fs::write(charts.join("app/.helmignore"), "Chart.yaml\n")?; std::fs::remove_file(charts.join("app/Chart.yaml"))?; std::os::unix::fs::symlink("/etc/hostname", charts.join("app/Chart.yaml")) }) as Plant, "Chart.yaml")]
    #[case::case_twin((|charts| std::fs::write(charts.join("backend/chart.yaml"), "")) as Plant, "but for upper and lower case")]
    #[case::large((|charts| std::fs::File::create(charts.join("backend/large"))?.set_len(1 << 40)) as Plant, "backend/large is too large")]
    fn what_is_no_plain_file_is_refused(#[case] plant: Plant, #[case] says: &str) {
        let (root, cache) = (checkout("file://../backend"), tempfile::tempdir().unwrap());
        plant(&root.path().join("charts")).unwrap();
        let error = stage_charts(root.path(), cache.path()).unwrap_err().report();
        assert!(error.contains(says), "{error}");
    }

    #[test]
    fn a_missing_dependency_is_named() {
        let root = checkout("file://../frontend");
        let cache = tempfile::tempdir().unwrap();
        let error = stage_charts(root.path(), cache.path()).unwrap_err().report();
        assert!(error.contains("backend") && error.contains("file://../frontend"), "{error}");
    }
}
