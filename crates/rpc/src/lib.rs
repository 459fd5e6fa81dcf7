//! Capabilities between isolates: stubs, calls, pipelining, ownership, transfer rules.
//!
//! A call is a message: a path of property names, arguments by structured clone, the capabilities in them, and a reply
//! to settle. What a stub points at is one of three: a [`Service`] (an address; each call starts an invocation there),
//! an [`object::ObjectRef`] (a live function or `RpcTarget` in some context), or the answer to a call that is still
//! under way (pipelining). The rules of what may be called, and the classes that guests see, are in `js/`.

pub mod budget;
pub mod call;
pub mod client;
pub mod object;
pub mod paths;
pub mod server;
pub mod service;

mod manifest;

pub use call::{Call, Reply};
pub use manifest::EXTENSION;
pub use service::{Service, ServiceCap};
