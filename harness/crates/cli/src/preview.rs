//! `cargo stack preview`: a namespace of an existing cluster for each pull request, which always goes away.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Subcommand;
use harness::cluster::Cluster;
use harness::events;
use harness::preview::{self, Expiry, GitHub, Gone, Preview, PullRequest, PullState};
use harness::session::Session;
use harness::settings::Settings;
use harness::stage::Stage;
use harness::tools::Tools;
use harness::{Result, say, tell};

/// How long `down` waits for a deploy of the same preview that goes on.
const TURN: Duration = Duration::from_secs(900);

#[derive(Subcommand)]
pub enum PreviewTask {
    /// Deploy the pull request's preview, or bring the one that is there to these artifacts, and wait until its host
    /// serves them.
    ///
    /// Builds nothing. Where GITHUB_TOKEN and GITHUB_REPOSITORY are set, a pull request that is closed or has no label
    /// `preview` gets none. What a killed one left is mended; one that goes on elsewhere is waited for.
    ///
    /// Example: PR_NUMBER=123 GIT_SHA=4f2a9c1 STACK_ARTIFACTS=$PWD/artifacts.json
    /// STACK_KUBE_CONTEXT=preview STACK_KUBE_CONTEXT_ALLOW=preview cargo stack preview up
    Up,
    /// Show the pull request's preview: its revision, its address, who changes it, when its time is over.
    ///
    /// Exit status 1 when there is none.
    ///
    /// Example: PR_NUMBER=123 cargo stack preview status
    Status,
    /// List all previews of the cluster.
    List,
    /// Remove the pull request's preview, and wait until nothing of it remains, volumes too; fine when there is none.
    ///
    /// Example: PR_NUMBER=123 cargo stack preview down
    Down {
        /// Seconds to wait for its end; after that, what holds the namespace, or a volume that is left, is named. Calling again waits on.
        #[arg(long, default_value_t = preview::WITHIN.as_secs())]
        within: u64,
        /// Leave it unless GitHub says that the pull request is closed or has no label `preview`: for whoever was told so
        /// earlier, and comes late. GITHUB_TOKEN and GITHUB_REPOSITORY are needed.
        #[arg(long)]
        unless_open: bool,
    },
    /// Remove the previews whose pull request is closed or has no label `preview`; give those that are open more time.
    ///
    /// GitHub is asked with GITHUB_TOKEN and GITHUB_REPOSITORY. Where it does not answer, or answers 404, the preview's time
    /// decides, by the API server's clock.
    ///
    /// Example: cargo stack preview sweep --dry-run
    Sweep {
        /// Print what would be removed, and remove nothing.
        #[arg(long)]
        dry_run: bool,
        /// Ask nobody: look at the time alone.
        #[arg(long)]
        expired_only: bool,
    },
}

pub async fn run(task: PreviewTask, settings: Settings) -> Result<ExitCode> {
    if matches!(task, PreviewTask::Up) {
        return up(settings).await;
    }
    events::start(&settings.state_root.join("preview"), settings.shown())?;
    // Before any cluster is asked: what is no pull request.
    let of = match task {
        PreviewTask::List | PreviewTask::Sweep { .. } => None,
        _ => Some(PullRequest::of(&settings)?),
    };
    let github = match task {
        PreviewTask::Sweep { expired_only: false, .. } | PreviewTask::Down { unless_open: true, .. } => {
            Some(GitHub::of(&settings)?)
        }
        _ => None,
    };
    let cluster = preview::connect(&settings, &Tools::new(settings.tools())).await?;
    match (task, of) {
        (PreviewTask::Status, Some(of)) => status(&cluster, of).await,
        (PreviewTask::Down { within, .. }, Some(of)) => {
            down(&cluster, of, Duration::from_secs(within), github.as_ref()).await
        }
        (PreviewTask::Sweep { dry_run, .. }, _) => {
            let lifetime = settings.preview_lifetime.get()?;
            preview::sweep(&cluster, github.as_ref(), dry_run, lifetime, |of, text| say!("pr-{of}  {text}")).await?;
            Ok(ExitCode::SUCCESS)
        }
        _ => list(&cluster).await,
    }
}

async fn up(settings: Settings) -> Result<ExitCode> {
    let session = Arc::new(Session::new(settings, Stage::Preview)?);
    let shared = session.release().await?;
    tell!("release {} in {} is ready", shared.plan.release, shared.plan.namespace);
    say!("https://{}/", PullRequest::of(&session.settings)?.host());
    Ok(ExitCode::SUCCESS)
}

async fn status(cluster: &Cluster, of: PullRequest) -> Result<ExitCode> {
    match preview::look(cluster, of).await? {
        Some(found) => say!("{}", row(&found)),
        None => say!("pr-{of}  there is no preview"),
    }
    if let Some(holder) = preview::holder(cluster, of).await? {
        say!("pr-{of}  is being changed: {holder}");
    }
    let there = preview::look(cluster, of).await?.is_some();
    Ok(if there { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn list(cluster: &Cluster) -> Result<ExitCode> {
    let previews = preview::list(cluster).await?;
    if previews.is_empty() {
        say!("no preview in the context {}", cluster.context);
    }
    for preview in previews {
        say!("{}", row(&preview));
    }
    Ok(ExitCode::SUCCESS)
}

fn row(preview: &Preview) -> String {
    let Preview { of, sha, .. } = preview;
    let until = match preview.expires {
        _ if preview.is_terminating => "is being deleted".to_owned(),
        Expiry::At(at) if at <= preview::now() => "its time is over".to_owned(),
        Expiry::At(at) => format!("{} h left", (at - preview::now()).div_ceil(3600)),
        Expiry::Unknown => "its label says no time".to_owned(),
    };
    format!("pr-{of}  {sha}  https://{}/  {until}", of.host())
}

async fn down(cluster: &Cluster, of: PullRequest, within: Duration, github: Option<&GitHub>) -> Result<ExitCode> {
    let is_over = async |found: &Preview| match github {
        Some(github) if !found.is_terminating => {
            matches!(github.state(of).await, PullState::Closed | PullState::Unlabelled)
        }
        _ => true,
    };
    match preview::down(cluster, of, TURN, within, is_over).await? {
        Gone::Removed => say!("pr-{of}  removed"),
        Gone::Absent => say!("pr-{of}  there is no preview"),
        Gone::Kept => say!("pr-{of}  kept: its pull request is open, or GitHub does not say"),
    }
    Ok(ExitCode::SUCCESS)
}
