//! The handles that scenarios take as their argument; a handle's type says what its scenario may touch.
//!
//! | handle | what it gives |
//! |---|---|
//! | [`Charts`] | rendered manifests; no cluster |
//! | [`Images`] | built images in the engine; no cluster |
//! | [`Site`] | GET, HEAD and WebSocket handshakes, in every stage |
//! | [`Account`] | the same, signed in |
//! | [`Stack`] | the stage's shared release: HTTP that writes, Kubernetes to read |
//! | [`OwnStack`], [`DurableStack`] | an isolated release, to restart, scale and upgrade |
//! | [`Dev`] | stage dev's Tilt, and a copy of the checkout to edit |

use std::time::Duration;

mod account;
mod charts;
mod container;
mod dev;
mod images;
mod own;
mod shared;
mod site;

pub use account::Account;
pub use charts::Charts;
pub use container::{ContainerOptions, ImageContainer};
pub use dev::{Dev, Saved};
pub use images::Images;
pub use own::{DurableStack, OwnStack};
pub use shared::Stack;
pub use site::Site;

/// The deadline for replacing or scaling a workload: 240 s. On a busy node a start takes its whole startup probe, and the old
/// pod then its whole grace period; a rollout that cannot come about ends the wait before, by its cause.
const ROLLOUT: Duration = Duration::from_secs(240);
