//! Nothing but the suite in tests/e2e.
