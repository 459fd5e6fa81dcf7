//! What stands between the outside and Workers: projects read from disk, bindings between them, HTTP ingress, the
//! test runner. Knows nothing of V8.
//!
//! | module | owns |
//! |---|---|
//! | [`bundle`] | a project's modules, gathered from its main module on |
//! | [`projects`] | projects that are served together: Workers and their bindings |
//! | [`ingress`] | HTTP/1.1 in, responses out, a clean stop |
//! | [`admin`] | the operators' address: metrics |
//! | [`test_runner`] | `atoll test` |

pub mod admin;
pub mod bundle;
pub mod ingress;
pub mod projects;
mod socket;
pub mod test_runner;

pub use atoll_loader::limits::{CONNECTIONS, ISOLATES};
pub use projects::{Projects, ServeError};
