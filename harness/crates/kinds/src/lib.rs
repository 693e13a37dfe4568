//! The kinds of Kubernetes as types: how a rendered object differs from its kind ([`kind`]), and a watch over the API
//! ([`mod@watch`]).
//!
//! Both are generic in the kinds, whose fields are thousands. The compiler instantiates such code in the first crate that uses it
//! with a kind, and each crate above shares it. So that this crate is that first one (`instantiations`), and is seldom compiled,
//! it depends on no other crate of the harness.
//!
//! ```
//! use harness_kinds::kind::{Mismatch, ObjectKind};
//! use serde_json::json;
//!
//! let service = ObjectKind::find("v1", "Service").unwrap();
//! let found = service.mismatches(&json!({ "spec": { "sessionAfinity": "None" } }));
//! assert!(matches!(&found[..], [Mismatch::UnknownField(path)] if path.len() == 2));
//! ```

mod instantiations;
pub mod kind;
pub mod watch;
