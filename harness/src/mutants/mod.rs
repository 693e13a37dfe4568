//! Mutation testing of charts, deployments and services: whether a planted fault is found.
//!
//! [`mutants`] makes mutants of rendered objects; [`charts`] runs the rules of [`crate::validate`] on each, in memory.
//! [`faults`] reads edits of the checkout that are written by hand; [`trial`] deploys each to a real cluster and runs the
//! scenarios that must turn red. [`page`] writes both results down. The terms are those of mutation testing: a mutant is
//! caught or survives; an equivalent mutant has no effect that could be noticed ([`equivalent`]).

pub mod charts;
pub mod equivalent;
pub mod faults;
mod objects;
mod other;
pub mod page;
pub mod trial;

pub use objects::{Mutant, Mutation, Operator, apply, mutants};
