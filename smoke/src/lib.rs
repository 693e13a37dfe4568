//! Nothing but the suite in tests/smoke.
