//! A call of a command-line tool: with a chosen environment, a deadline for it and all that it starts, its output, and an error
//! that shows the call as it could be pasted into a shell.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::iter;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use command_fds::CommandFdExt;
use harness_base::progress::Teller;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};

use super::group::Group;
use super::{ChildKind, Environment};
use crate::error::{CommandFailure, Error, Result};

/// How often the start of a busy program file (ETXTBSY) is tried again: for about a second.
const BUSY: usize = 50;
/// How many of the last lines a failure shows.
const TAIL: usize = 30;
/// How long the output is still read after a command's end: a process that left its group may hold the pipes open.
const REST: Duration = Duration::from_secs(2);

/// A call of a program, built up and then run by [`Command::run`].
///
/// Its environment is empty at first; [`Command::given`] adds the variables of the user's that its kind of child needs.
#[derive(Debug)]
pub struct Command {
    program: PathBuf,
    args: Vec<OsString>,
    given: Vec<(String, String)>,
    envs: Vec<(String, String)>,
    folder: Option<PathBuf>,
    input: Option<String>,
    limit: Duration,
    held: Option<OwnedFd>,
    next: Option<String>,
    teller: Option<Teller>,
    output_too: bool,
    hides_output: bool,
}

/// The output of a successful command.
#[derive(Debug)]
pub struct Output {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Command {
    /// A call of `program`, with a deadline of 120 s ([`Command::limit`]), no input and an empty environment.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            given: Vec::new(),
            envs: Vec::new(),
            folder: None,
            input: None,
            limit: Duration::from_secs(120),
            held: None,
            next: None,
            teller: None,
            output_too: false,
            hides_output: false,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Adds the part of the user's environment that this kind of child needs; a printed call does not show it.
    #[must_use]
    pub fn given(mut self, environment: &Environment, child: ChildKind) -> Self {
        self.given.extend(environment.of(child));
        self
    }

    /// Sets a variable of its environment, over one of [`Command::given`].
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.envs.push((name.into(), value.into()));
        self
    }

    /// Sets variables of its environment.
    #[must_use]
    pub fn envs<N: Into<String>>(mut self, variables: impl IntoIterator<Item = (N, String)>) -> Self {
        self.envs.extend(variables.into_iter().map(|(name, value)| (name.into(), value)));
        self
    }

    /// Sets its working folder.
    #[must_use]
    pub fn folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// Sets its standard input; without, it has none.
    #[must_use]
    pub fn input(mut self, text: impl Into<String>) -> Self {
        self.input = Some(text.into());
        self
    }

    /// Sets the deadline; 120 s by default.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Lets the command and its children inherit a descriptor, such as a lock's, which is then held until the last of them ends.
    #[must_use]
    pub fn holding(mut self, descriptor: Option<OwnedFd>) -> Self {
        self.held = descriptor;
        self
    }

    /// Sets the remedy that a failure shows as `next`.
    #[must_use]
    pub fn on_failure(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// Shows its standard error, line by line, as a step's progress.
    #[must_use]
    pub fn telling(mut self, teller: Teller) -> Self {
        self.teller = Some(teller);
        self
    }

    /// Shows its standard error and its standard output as a step's progress.
    #[must_use]
    pub fn telling_all(mut self, teller: Teller) -> Self {
        self.output_too = true;
        self.telling(teller)
    }

    /// Leaves its standard output out of failures, for output that holds a secret.
    #[must_use]
    pub fn hiding_output(mut self) -> Self {
        self.hides_output = true;
        self
    }

    /// The call as a shell command line; values of variables with PASSWORD, SECRET or TOKEN in their names are left out: more than
    /// [`harness_base::secrets::is_named_like_one`] would find, since nobody misses them here.
    pub fn line(&self) -> String {
        let quoted = |text: &str| shlex::try_quote(text).map_or_else(|_| format!("{text:?}"), |text| text.into_owned());
        let mut words: Vec<String> = self
            .envs
            .iter()
            .filter(|(name, _)| name != "PATH")
            .map(|(name, value)| match ["PASSWORD", "SECRET", "TOKEN"].iter().any(|word| name.contains(word)) {
                true => format!("{name}=…"),
                false => format!("{name}={}", quoted(value)),
            })
            .collect();
        words.push(quoted(&self.program.to_string_lossy()));
        words.extend(self.args.iter().map(|arg| quoted(&arg.to_string_lossy())));
        let line = words.join(" ");
        match &self.folder {
            Some(folder) => format!("(cd {} && {line})", quoted(&folder.to_string_lossy())),
            None => line,
        }
    }

    /// Runs the command until it and all that it started have ended; processes that left its process group are not waited for.
    ///
    /// After the deadline the group gets SIGTERM, and SIGKILL 2 s later; this returns when it is gone. Cancelled, the group is
    /// killed. When this process ends, by a signal or not, the group ends within 2 s; until then it holds the lock that it was
    /// given by [`Command::holding`].
    ///
    /// # Errors
    /// [`Error::Command`] when it cannot be started, exits with another status than 0, or its deadline passes.
    pub async fn run(self) -> Result<Output> {
        harness_base::events::step(self.brief(), self.run_to_its_end()).await
    }

    /// A short name for a list of steps: the program, and up to two first words that are no options.
    fn brief(&self) -> String {
        let program = self.program.file_name().unwrap_or_default().to_string_lossy();
        let words = self.args.iter().map(|arg| arg.to_string_lossy()).take_while(|arg| !arg.starts_with('-'));
        let words = words.filter(|word| !word.contains('/')).take(2);
        iter::once(program).chain(words).collect::<Vec<_>>().join(" ")
    }

    async fn run_to_its_end(mut self) -> Result<Output> {
        let line = self.line();
        tracing::debug!(command = %line, "run");
        let unstarted = |error: std::io::Error| self.failure(&line, error.to_string(), String::new());
        let group = Group::begin().map_err(unstarted)?;
        let mut command = self.prepared(&group);
        let mut child =
            spawn(&mut command).await.map_err(|error| self.failure(&line, error.to_string(), String::new()))?;
        // The parent's copy of an inherited descriptor must not outlive the call.
        drop(command);
        let writer = child.stdin.take().zip(self.input.take());
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (out, err) = (Text::default(), Text::default());
        let write = async {
            if let Some((mut pipe, text)) = writer {
                // A command that does not read its input says why by its exit status.
                let _ = pipe.write_all(text.as_bytes()).await;
            }
        };
        let on_stdout = self.teller.as_ref().filter(|_| self.output_too);
        let reading = async { tokio::join!(lines(stdout, &out, on_stdout), lines(stderr, &err, self.teller.as_ref())) };
        let mut streams = std::pin::pin!(async { tokio::join!(reading, write) });
        let mut are_read = false;
        let ended = {
            let mut end = std::pin::pin!(tokio::time::timeout(self.limit, child.wait()));
            loop {
                tokio::select! {
                    ended = &mut end => break ended,
                    _ = &mut streams, if !are_read => are_read = true,
                }
            }
        };
        group.end(&mut child).await;
        if !are_read {
            let _ = tokio::time::timeout(REST, streams).await;
        }
        let (out, err) = (out.take(), err.take());
        let shown = if self.hides_output { "" } else { out.as_str() };
        match ended {
            Ok(Ok(status)) if status.success() => Ok(Output { stdout: out, stderr: err }),
            Ok(status) => Err(self.failure(&line, said(&status), tail(&[shown, &err]))),
            Err(_) => Err(self.failure(&line, format!("not done after {:.0?}", self.limit), tail(&[shown, &err]))),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the one builder")]
    fn prepared(&mut self, group: &Group) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(&self.program);
        command
            .args(&self.args)
            .env_clear()
            .envs(self.given.iter().chain(&self.envs).map(|(name, value)| (name, value)))
            .stdin(if self.input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(group.number());
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        if let Some(descriptor) = self.held.take() {
            command.as_std_mut().preserved_fds(vec![descriptor]);
        }
        command
    }

    fn failure(&self, line: &str, status: String, tail: String) -> Error {
        Error::Command(Box::new(CommandFailure { line: line.to_owned(), status, tail, next: self.next.clone() }))
    }
}

/// Starts the command, and tries again while its file is busy. A program that was just written is, if another thread started a
/// child while the file was open: that child holds it until its own exec, and nothing tells when.
async fn spawn(command: &mut tokio::process::Command) -> std::io::Result<tokio::process::Child> {
    let mut beat = tokio::time::interval(Duration::from_millis(20));
    for _ in 0..BUSY {
        beat.tick().await;
        match command.spawn() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {}
            outcome => return outcome,
        }
    }
    command.spawn()
}

/// A stream's text so far, shared by its reader and the end of the call.
#[derive(Debug, Default)]
struct Text(Mutex<String>);

impl Text {
    fn push(&self, line: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_str(line);
    }

    fn take(&self) -> String {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn lines(stream: Option<impl AsyncRead + Unpin>, text: &Text, teller: Option<&Teller>) {
    let Some(stream) = stream else { return };
    let mut reader = BufReader::new(stream);
    let mut bytes = Vec::new();
    while reader.read_until(b'\n', &mut bytes).await.is_ok_and(|count| count > 0) {
        let line = String::from_utf8_lossy(&bytes).into_owned();
        if let Some(teller) = teller {
            teller.tell(&line);
        }
        text.push(&line);
        bytes.clear();
    }
}

fn said(status: &std::io::Result<ExitStatus>) -> String {
    status.as_ref().map_or_else(ToString::to_string, ToString::to_string)
}

fn tail(streams: &[&str]) -> String {
    let mut last = VecDeque::new();
    for line in streams.iter().flat_map(|text| text.lines()).filter(|line| !line.trim().is_empty()) {
        if last.len() == TAIL {
            last.pop_front();
        }
        last.push_back(line.trim_end());
    }
    last.make_contiguous().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failure_can_be_pasted_and_shows_status_and_streams() {
        let error = Command::new("sh")
            .args(["-c", "echo out; echo err >&2; exit 3"])
            .env("A", "b c")
            .env("DB_PASSWORD", "hunter2")
            .run()
            .await
            .unwrap_err()
            .report();
        assert!(error.contains("exit status: 3"), "{error}");
        assert!(error.contains("A='b c' DB_PASSWORD=… sh -c 'echo out; echo err >&2; exit 3'"), "{error}");
        assert!(error.contains("| out") && error.contains("| err"), "{error}");
    }

    #[tokio::test]
    async fn a_deadline_ends_it() {
        let error = Command::new("sleep").arg("60").limit(Duration::from_millis(50)).run().await.unwrap_err();
        assert!(error.report().contains("not done after 50ms"), "{}", error.report());
    }

    #[tokio::test]
    async fn a_missing_program_is_named() {
        let error = Command::new("/nowhere/kind").run().await.unwrap_err().report();
        assert!(error.contains("/nowhere/kind") && error.contains("No such file"), "{error}");
    }

    #[tokio::test]
    async fn a_child_that_inherits_a_lock_keeps_it() {
        use harness_base::lock::{Lock, Mode, kept_by};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = Lock::try_take(&path, Mode::Exclusive).unwrap().unwrap();
        let pipe = folder.path().join("pipe");
        Command::new("mkfifo").arg(&pipe).run().await.unwrap();
        let child = tokio::spawn(Command::new("cat").arg(&pipe).holding(Some(held.descriptor().unwrap())).run());
        // Opening for writing returns once the child reads, so it runs by then.
        let writer = tokio::fs::OpenOptions::new().write(true).open(&pipe).await.unwrap();
        drop(held);
        assert!(Lock::try_take(&path, Mode::Exclusive).unwrap().is_none());
        #[cfg(target_os = "linux")]
        {
            // Whoever has it open beside, and waits, keeps nothing.
            let _waiting = std::fs::File::open(&path).unwrap();
            let this = harness_base::process::Process::this();
            assert!(!kept_by(&path).is_empty() && !kept_by(&path).contains(&this), "{:?}", kept_by(&path));
        }
        drop(writer);
        child.await.unwrap().unwrap();
        Lock::take(&path, Mode::Exclusive, Duration::from_secs(5)).await.unwrap();
    }
}
