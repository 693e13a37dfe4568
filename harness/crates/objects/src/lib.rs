//! Kubernetes' objects as types: compared with a manifest ([`kind`]), and watched over the API ([`mod@watch`]).
//!
//! Both are generic in the kinds of Kubernetes, whose fields are thousands. The compiler makes such code in the first crate that
//! uses it with a kind, and each crate above shares it. So that this crate is that first one, and is seldom compiled, it depends on
//! no other crate of the harness.
//!
//! ```
//! use harness_objects::kind::{Mismatch, ObjectKind};
//! use serde_json::json;
//!
//! let service = ObjectKind::find("v1", "Service").unwrap();
//! let found = service.mismatches(&json!({ "spec": { "sessionAfinity": "None" } }));
//! assert!(matches!(&found[..], [Mismatch::UnknownField(path)] if path.len() == 2));
//! ```

pub mod kind;
mod made_here;
pub mod watch;
