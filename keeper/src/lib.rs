//! Makes what each preview has on shared stores, and removes it.
//!
//! ```text
//! namespaces -> keeper -> postgres, redis, elasticache, s3
//! ```
//!
//! Runs in the cluster (charts/preview-sweeper), since that is where the stores are reached and their administrators'
//! credentials stay. `cargo stack preview up` asks by an annotation, and a finalizer gives the keeper its turn before a
//! namespace ends, whoever deletes it.

mod aws;
mod elasticache;
mod keeper;
mod postgres;
mod redis;
mod s3;
mod sweep;

pub use keeper::{Files, keep};
