//! The command line of a suite's test binary: libtest's own flags, as `cargo test` users know them.
//!
//! libtest-mimic, which runs the trials, takes one filter and knows neither `--no-capture` nor `RUST_TEST_THREADS`. Flags, their
//! meanings and the exit status 101 of a wrong one are libtest's (library/test/src/cli.rs of Rust).

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind as Wrong;
use libtest_mimic::{Arguments, ColorSetting, Conclusion, FormatSetting, Trial};

use crate::error::{Error, Result};
use crate::hash;
use crate::settings::{RUST_TEST_THREADS, Settings};
use crate::tell;

/// The exit status of libtest for tests that fail, and for flags that it does not know.
const FAILED: u8 = 101;

/// libtest's flags.
#[derive(Debug, Clone, Default, PartialEq, Eq, Parser)]
#[command(
    disable_version_flag = true,
    help_template = "Usage: {name} [FLAGS] [FILTERS...]\n\n{all-args}{after-help}",
    after_help = "\nA test runs if its name contains one of the filters, or if there is none.\nRUST_TEST_THREADS is what \
                  --test-threads is where that is not given."
)]
pub struct RunnerFlags {
    /// Run ignored tests, too
    #[arg(long, conflicts_with = "ignored")]
    include_ignored: bool,
    /// Run ignored tests alone
    #[arg(long)]
    ignored: bool,
    /// Run tests and no benchmarks
    #[arg(long)]
    test: bool,
    /// Run benchmarks and no tests
    #[arg(long)]
    bench: bool,
    /// List the tests, and run none
    #[arg(long)]
    pub list: bool,
    /// Accepted: what tests write is shown at once
    #[arg(long, alias = "nocapture")]
    no_capture: bool,
    /// Accepted: what tests write is shown at once
    #[arg(long)]
    show_output: bool,
    /// Write what is said of the tests to this file
    #[arg(long, value_name = "PATH")]
    logfile: Option<String>,
    /// Run so many tests at once
    #[arg(long, value_name = "N", value_parser = positive)]
    test_threads: Option<usize>,
    /// Leave out the tests whose names contain this
    #[arg(long, value_name = "FILTER")]
    skip: Vec<String>,
    /// A sign for each test instead of a line
    #[arg(long, short, conflicts_with = "format")]
    quiet: bool,
    /// Names are the filters, and do not only contain them
    #[arg(long)]
    exact: bool,
    /// Colours
    #[arg(long, value_name = "auto|always|never", value_parser = ["auto", "always", "never"])]
    color: Option<String>,
    /// A line for each test, a sign for each, or events
    #[arg(long, value_name = "pretty|terse|json", value_parser = ["pretty", "terse", "json"])]
    format: Option<String>,
    /// In random order; with -Z unstable-options
    #[arg(long)]
    shuffle: bool,
    /// In the order that this number makes; with -Z unstable-options
    #[arg(long, value_name = "SEED")]
    shuffle_seed: Option<u64>,
    /// Allow what libtest calls unstable
    #[arg(short = 'Z', value_name = "unstable-options", value_parser = ["unstable-options"])]
    unstable: Option<String>,
    /// What the names of tests contain that run
    #[arg(value_name = "FILTERS")]
    filters: Vec<String>,
}

/// The flags that decide whether nightly tests, which take long, run.
#[derive(Debug, Clone, Copy)]
pub struct AskedFor {
    list: bool,
    ignored: bool,
    include_ignored: bool,
}

impl AskedFor {
    /// Whether a nightly test carries libtest's `ignored` flag: in a list, which nextest reads, and with `--ignored`, which runs
    /// those alone. Else the test is started, and ends as ignored with a reason, for which libtest's flag has no room.
    pub fn flags_long(self) -> bool {
        self.list || self.ignored
    }

    /// Whether a nightly test runs.
    pub fn runs_long(self) -> bool {
        self.ignored || self.include_ignored
    }
}

/// How a test binary's process ended.
#[derive(Debug)]
pub enum Ended {
    /// Its tests were listed; the exit status.
    Listed(ExitCode),
    /// Its tests ran; their conclusion.
    Ran(Conclusion),
}

impl Ended {
    /// The exit status of the process: 101 when a test failed.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Listed(code) => *code,
            Self::Ran(conclusion) => conclusion.exit_code(),
        }
    }
}

fn positive(text: &str) -> std::result::Result<usize, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "it is a number greater than 0".to_owned())
}

impl RunnerFlags {
    /// The flags of this process.
    ///
    /// # Errors
    /// The exit status to end with: 0 after `--help`, 101 after a wrong flag; its message is printed already.
    pub fn of_this_process() -> std::result::Result<Self, ExitCode> {
        Self::try_parse().and_then(Self::checked).map_err(|error| {
            // An error of printing has nowhere to be printed.
            let _ = error.print();
            match error.kind() {
                Wrong::DisplayHelp => ExitCode::SUCCESS,
                _ => ExitCode::from(FAILED),
            }
        })
    }

    fn checked(self) -> std::result::Result<Self, clap::Error> {
        if self.unstable.is_none() && (self.shuffle || self.shuffle_seed.is_some()) {
            let what = "the order changes with -Z unstable-options alone\n";
            return Err(clap::Error::raw(Wrong::MissingRequiredArgument, what));
        }
        Ok(self)
    }

    /// The flags that decide whether nightly tests run.
    pub fn asked(&self) -> AskedFor {
        AskedFor { list: self.list, ignored: self.ignored, include_ignored: self.include_ignored }
    }

    /// Whether the filters and `--skip` select a test of that name.
    fn selects(&self, name: &str) -> bool {
        let is = |filter: &String| if self.exact { name == filter } else { name.contains(filter.as_str()) };
        (self.filters.is_empty() || self.filters.iter().any(is)) && !self.skip.iter().any(is)
    }

    /// The number of tests that run at once: `--test-threads`, else RUST_TEST_THREADS, else `default`; never more than `most`.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] for a variable that is no number greater than 0.
    fn threads(&self, variable: Option<&str>, (default, most): (usize, usize)) -> Result<usize> {
        let set = variable.filter(|_| self.test_threads.is_none());
        let set = set.map(|text| {
            positive(text).map_err(|why| {
                Error::refused(format!("{RUST_TEST_THREADS}={text}: {why}"), "set it to one, or unset it")
            })
        });
        Ok(self.test_threads.or(set.transpose()?).unwrap_or(default).min(most))
    }

    /// The arguments for libtest-mimic. It takes one filter only, so each test that does not run is named as skipped.
    fn arguments(&self, names: &BTreeSet<String>, threads: usize) -> Arguments {
        let skip = names.iter().filter(|name| !self.selects(name)).cloned().collect();
        Arguments {
            include_ignored: self.include_ignored,
            ignored: self.ignored,
            test: self.test,
            bench: self.bench,
            quiet: self.quiet,
            exact: true,
            skip,
            test_threads: Some(threads),
            logfile: self.logfile.clone(),
            color: self.color.as_deref().map(|word| match word {
                "always" => ColorSetting::Always,
                "never" => ColorSetting::Never,
                _ => ColorSetting::Auto,
            }),
            format: self.format.as_deref().map(|word| match word {
                "terse" => FormatSetting::Terse,
                "json" => FormatSetting::Json,
                _ => FormatSetting::Pretty,
            }),
            ..Arguments::default()
        }
    }

    /// Prints the list of tests as libtest does. A closed pipe (`| head`) is no error.
    fn print_list(&self, trials: &[Trial], mut out: impl Write) -> ExitCode {
        let listed =
            trials.iter().filter(|trial| self.selects(trial.name()) && (!self.ignored || trial.has_ignored_flag()));
        let mut text: String = listed.clone().map(|trial| format!("{}: test\n", trial.name())).collect();
        let terse = self.quiet || self.format.as_deref() == Some("terse");
        let count = listed.count();
        if !terse {
            text.push_str(&format!("\n{count} test{}, 0 benchmarks\n", if count == 1 { "" } else { "s" }));
        }
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                tell!("error: cannot write the list: {error}");
                ExitCode::from(FAILED)
            }
            _ => ExitCode::SUCCESS,
        }
    }

    /// Shuffles the tests if `--shuffle` or `--shuffle-seed` asks for it, and prints the seed that repeats the order.
    fn shuffled(&self, mut trials: Vec<Trial>) -> Vec<Trial> {
        if self.shuffle || self.shuffle_seed.is_some() {
            let seed = self.shuffle_seed.unwrap_or_else(|| RandomState::new().hash_one(std::process::id()));
            tell!("the order comes again with --shuffle-seed {seed}");
            trials.sort_by_cached_key(|trial| hash::text(&format!("{seed} {}", trial.name())));
        }
        trials
    }

    /// Lists the tests, or runs them. `threads`: how many at once by default, and at most.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] for a RUST_TEST_THREADS that is no number greater than 0.
    pub fn run(&self, trials: Vec<Trial>, settings: &Settings, threads: (usize, usize)) -> Result<Ended> {
        if self.list {
            #[expect(
                clippy::disallowed_methods,
                reason = "names of tests are no secrets, and who reads them may stop at any line"
            )]
            return Ok(Ended::Listed(self.print_list(&trials, std::io::stdout().lock())));
        }
        let names = trials.iter().map(|trial| trial.name().to_owned()).collect();
        let arguments = self.arguments(&names, self.threads(settings.rust_test_threads.as_deref(), threads)?);
        Ok(Ended::Ran(libtest_mimic::run(&arguments, self.shuffled(trials))))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn flags(line: &str) -> std::result::Result<RunnerFlags, Wrong> {
        let words = ["suite"].into_iter().chain(line.split_whitespace());
        RunnerFlags::try_parse_from(words).and_then(RunnerFlags::checked).map_err(|error| error.kind())
    }

    #[rstest]
    #[case::none("", &["a::one", "a::one_more", "b::two"])]
    #[case::one("one", &["a::one", "a::one_more"])]
    #[case::several("one_more two", &["a::one_more", "b::two"])]
    #[case::exactly("--exact a::one", &["a::one"])]
    #[case::several_exactly("a::one --exact b::two", &["a::one", "b::two"])]
    #[case::but_for_some("--skip more --skip two", &["a::one"])]
    #[case::but_for_one_exactly("one --exact --skip a::one", &[])]
    fn filters_are_libtests(#[case] line: &str, #[case] run: &[&str]) {
        let flags = flags(line).unwrap();
        let names = ["a::one", "a::one_more", "b::two"];
        assert_eq!(names.into_iter().filter(|name| flags.selects(name)).collect::<Vec<_>>(), run);
        // libtest-mimic runs the same tests.
        let arguments = flags.arguments(&names.map(str::to_owned).into(), 1);
        let trials = names.map(|name| Trial::test(name, || Ok(())));
        let left = trials.iter().filter(|trial| !arguments.is_filtered_out(trial)).map(Trial::name);
        assert_eq!(left.collect::<Vec<_>>(), run);
    }

    #[rstest]
    #[case::unknown("--unknown", Wrong::UnknownArgument)]
    #[case::no_number("--test-threads many", Wrong::ValueValidation)]
    #[case::none_at_once("--test-threads 0", Wrong::ValueValidation)]
    #[case::no_colour("--color red", Wrong::InvalidValue)]
    #[case::no_format("--format xml", Wrong::InvalidValue)]
    #[case::unstable("--shuffle", Wrong::MissingRequiredArgument)]
    #[case::both_of_two("--ignored --include-ignored", Wrong::ArgumentConflict)]
    #[case::help("--help", Wrong::DisplayHelp)]
    fn what_is_no_flag_is_refused(#[case] line: &str, #[case] why: Wrong) {
        assert_eq!(flags(line).unwrap_err(), why);
    }

    #[rstest]
    #[case("--no-capture --nocapture-is-none", false)]
    #[case("--no-capture", true)]
    #[case("--nocapture", true)]
    #[case("--show-output --color never --format json", true)]
    #[case("-q --logfile x --include-ignored", true)]
    #[case("-Z unstable-options --shuffle --shuffle-seed 7", true)]
    fn flags_that_are_libtests_are_known(#[case] line: &str, #[case] known: bool) {
        assert_eq!(flags(line).is_ok(), known);
    }

    #[rstest]
    #[case::neither("", None, (8, 100), Some(8))]
    #[case::the_variable("", Some("3"), (8, 100), Some(3))]
    #[case::the_flag_first("--test-threads 2", Some("x"), (8, 100), Some(2))]
    #[case::no_more_than_there_may_be("", Some("8"), (2, 2), Some(2))]
    #[case::no_number("", Some("x"), (8, 100), None)]
    #[case::none("", Some("0"), (8, 100), None)]
    fn as_many_run_at_once_as_somebody_says(
        #[case] line: &str,
        #[case] variable: Option<&str>,
        #[case] threads: (usize, usize),
        #[case] wanted: Option<usize>,
    ) {
        assert_eq!(flags(line).unwrap().threads(variable, threads).ok(), wanted);
    }

    /// A pipe whose reader has closed it.
    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_list_is_libtests_and_ends_quietly_with_its_reader() {
        let trials = [Trial::test("a::one", || Ok(())), Trial::test("b::two", || Ok(())).with_ignored_flag(true)];
        let list = |line: &str| {
            let mut out = Vec::new();
            assert_eq!(flags(line).unwrap().print_list(&trials, &mut out), ExitCode::SUCCESS);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(list("--list"), "a::one: test\nb::two: test\n\n2 tests, 0 benchmarks\n");
        assert_eq!(list("--list --format terse --ignored"), "b::two: test\n");
        assert_eq!(list("--list a:: -q"), "a::one: test\n");
        assert_eq!(flags("--list").unwrap().print_list(&trials, Closed), ExitCode::SUCCESS);
    }

    #[test]
    fn a_seed_makes_one_order() {
        let order = |seed: u32| {
            let trials = (0..20).map(|number| Trial::test(number.to_string(), || Ok(()))).collect();
            let flags = flags(&format!("-Z unstable-options --shuffle-seed {seed}")).unwrap();
            flags.shuffled(trials).iter().map(|trial| trial.name().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
        assert_ne!(order(1), (0..20).map(|number: i32| number.to_string()).collect::<Vec<_>>());
    }
}
