//! The handles a scenario gets; each one's type says what it may touch.

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
