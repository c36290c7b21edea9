//! Scripted servers for tests. [`Peer`] listens on a TCP port, and can break connections like a real network.
//! [`InMemory`] is a transport, for tests with a paused clock.
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
//! Each request takes the next [`Reply`] of the script, whichever connection it arrives on. The server records the
//! requests, so a test can assert the number of POSTs.
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
mod in_memory;
mod peer;
mod reply;
mod request;
mod script;
pub mod tls;

pub use backend::Backend;
pub use in_memory::InMemory;
pub use peer::{Peer, refused_url};
pub use reply::{Reply, head_and_body};
pub use request::Request;
