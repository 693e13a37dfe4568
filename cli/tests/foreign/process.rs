//! A process of the product's, and how it ended.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A call that was not started yet.
pub struct Call {
    pub command: Command,
    /// Where the run's events are written.
    pub events: PathBuf,
    /// How long it may take.
    pub limit: Duration,
}

/// How one ended.
pub struct Ran {
    pub passed: bool,
    /// Both streams, line by line as they came.
    pub text: String,
    /// The limit that was over when it was killed, if it was.
    pub killed: Option<Duration>,
}

impl Ran {
    /// What it says of its failure: the first scenario's that failed, the first line that looks like one, or its last.
    pub fn error(&self) -> String {
        let lines = || self.text.lines().map(str::trim).filter(|line| !line.is_empty());
        let of_scenario = lines().skip_while(|line| !line.starts_with("---- ")).nth(1);
        let wrong = of_scenario.or_else(|| lines().find(|line| line.starts_with("error:")));
        wrong.or_else(|| lines().next_back()).unwrap_or("nothing").to_owned()
    }

    /// Breaks the try if it had to be killed.
    #[track_caller]
    pub fn ends(&self, what: &str) {
        if let Some(limit) = self.killed {
            panic!("{what} did not end within {limit:.0?}\n{}", self.text);
        }
    }

    /// Breaks the try unless it ended well.
    #[track_caller]
    pub fn passes(&self, what: &str) -> &Self {
        self.ends(what);
        assert!(self.passed, "{what} failed: {}\n{}", self.error(), self.text);
        self
    }

    /// Breaks the try unless it failed and said all of this.
    #[track_caller]
    pub fn refuses(&self, what: &str, says: &[&str]) -> &Self {
        self.ends(what);
        let last = self.text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("nothing");
        assert!(!self.passed, "{what} ended with status 0, and said {last:?}\n{}", self.text);
        for words in says {
            assert!(
                self.text.to_lowercase().contains(&words.to_lowercase()),
                "{what} failed without the words {words:?}: {}\n{}",
                self.error(),
                self.text
            );
        }
        self
    }
}

impl Call {
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    pub async fn run(self) -> Ran {
        self.start().end().await
    }

    pub fn start(mut self) -> Running {
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::null()).kill_on_drop(true);
        let mut child = self.command.spawn().unwrap();
        let (sender, said) = watch::channel(String::new());
        let streams = vec![
            tokio::spawn(read(child.stdout.take().unwrap(), sender.clone())),
            tokio::spawn(read(child.stderr.take().unwrap(), sender)),
        ];
        Running { child, said, streams, events: self.events, limit: self.limit }
    }
}

/// One that goes on.
pub struct Running {
    child: Child,
    said: watch::Receiver<String>,
    streams: Vec<JoinHandle<()>>,
    events: PathBuf,
    limit: Duration,
}

impl Running {
    /// Waits until it has said this, or ended; whether it has.
    pub async fn says(&mut self, words: &str) -> bool {
        let found = tokio::time::timeout(self.limit, self.said.wait_for(|said| said.contains(words)));
        matches!(found.await, Ok(Ok(_)))
    }

    /// Waits until its run's events tell of this; whether they do before it ends.
    pub async fn tells(&mut self, words: &[&str]) -> bool {
        // Where the folder is not there yet, tail looks again and again, by default once in a second: a run may be over by then.
        let mut tail = super::docker::tool("tail");
        tail.args(["--follow=name", "--retry", "--lines=+1", "--quiet", "--sleep-interval=0.05"]).arg(&self.events);
        let mut tail = tail.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
        let found = async {
            while let Ok(Some(line)) = lines.next_line().await {
                if words.iter().all(|word| line.contains(word)) {
                    return true;
                }
            }
            false
        };
        let told = tokio::select! {
            found = tokio::time::timeout(self.limit, found) => found.unwrap_or(false),
            _ = self.child.wait() => false,
        };
        let _ = tail.kill().await;
        told
    }

    pub fn pid(&self) -> u32 {
        self.child.id().expect("it has ended")
    }

    /// Sends it a signal.
    pub async fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        super::docker::run(super::docker::tool("kill").args(["-s", name, &pid])).await.unwrap();
    }

    /// Kills it as nobody can refuse, and what it started with it where that did not leave its group.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Its end, or its killing when its limit is over.
    pub async fn end(mut self) -> Ran {
        let status = tokio::time::timeout(self.limit, self.child.wait()).await;
        let killed = status.is_err().then_some(self.limit);
        if killed.is_some() {
            let _ = self.child.kill().await;
        }
        // What it started may keep its streams; what it said is there by then.
        for stream in self.streams {
            let abort = stream.abort_handle();
            if tokio::time::timeout(Duration::from_secs(2), stream).await.is_err() {
                abort.abort();
            }
        }
        let passed = status.is_ok_and(|status| status.unwrap().success());
        let text = self.said.borrow().clone();
        Ran { passed, text, killed }
    }
}

async fn read(stream: impl AsyncRead + Unpin, said: watch::Sender<String>) {
    let mut lines = BufReader::new(stream).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        let line = String::from_utf8_lossy(&line).into_owned();
        said.send_modify(|said| {
            said.push_str(&line);
            said.push('\n');
        });
    }
}
