//! A scripted HTTP server over TCP that breaks connections in the ways that a network does, and the
//! fixtures that the tests of the workspace share.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! use bird_test_peer::{Peer, Reply, fixtures};
//!
//! let peer = Peer::script([Reply::Reset, Reply::json(201, fixtures::pending())]).await?;
//! println!("{}", peer.base_url());
//! assert_eq!(peer.posts(), 0);
//! # Ok(())
//! # }
//! ```
//!
//! Each request takes the next [`Reply`] of the script, whatever connection carries it. The peer records the
//! requests; most tests assert the number of POSTs.
//!
//! A function fails when no port of loopback is free, and panics when its arguments make no sense. Either fails
//! the test that calls the function.
#![allow(
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::new_without_default,
    clippy::return_self_not_must_use,
    reason = "the callers are tests of this workspace"
)]

mod backend;
pub mod fixtures;
mod peer;
mod reply;
mod request;
pub mod tls;

pub use backend::Backend;
pub use peer::{Peer, refused_url};
pub use reply::{Reply, head_and_body};
pub use request::Request;
