//! `cargo stack`'s tasks as a user types them, and what must not compile: one binary, for each is linked for seconds.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]
#![expect(clippy::disallowed_methods, reason = "a test starts processes as a user would, in his environment")]

mod checkouts;
mod init;
mod reaper;
mod refused;
mod settings;
