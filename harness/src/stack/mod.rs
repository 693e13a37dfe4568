//! The handles a scenario gets; each one's type says what it may touch.

use std::time::Duration;

mod account;
mod charts;
mod dev;
mod images;
mod own;
mod shared;
mod site;

pub use account::Account;
pub use charts::Charts;
pub use dev::{Dev, Saved};
pub use images::Images;
pub use own::{DurableStack, OwnStack};
pub use shared::Stack;
pub use site::Site;

/// How long a workload may take to be replaced or scaled: 240 s. On a busy node a start takes its whole startup probe, and
/// the old pod then its whole grace; what cannot come about ends a wait before, by its cause.
const ROLLOUT: Duration = Duration::from_secs(240);
