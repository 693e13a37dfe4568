//! The suite's own score: mutation testing of charts, deployments and services.
//!
//! [`mutants`] makes mutants of what the charts render to; [`charts`] runs the rules of [`crate::validate`] on each, in
//! memory. [`faults`] are edits of the checkout by hand; [`trial`] deploys each to a real cluster and runs the scenarios
//! that must turn red. [`page`] writes both down. The terms are those of mutation testing: a mutant is caught or survives; an equivalent
//! one changes nothing that anybody could notice ([`equivalent`]).

pub mod charts;
pub mod equivalent;
pub mod faults;
mod objects;
mod other;
pub mod page;
pub mod trial;

pub use objects::{Mutant, Mutation, Operator, apply, mutants};
