//! What scenario tests, benchmarks and the soak share: servers in pods, Services in front of them, and clients that say
//! how a call ended.
//!
//! | question | module |
//! |---|---|
//! | in which namespace and with which addresses does a scenario play? | [`stage`], `ranges` |
//! | is the lab calm, before something is broken? | [`calm`] |
//! | which pods serve? | [`server`], [`served`] |
//! | what does a Service look like, and what has become of it? | [`mod@service`] |
//! | who answers for an address on the LAN? | [`wire`] |
//! | how does a client reach it, and how did the call end? | [`call`], [`caller`] |
//! | for how long did a client go without an answer? | [`observer`], [`audience`] |
//! | what is put before the judge of who announces what? | [`trial`] |
//!
//! Starts no lab and judges nothing: tests do.

pub mod audience;
pub mod call;
pub mod caller;
pub mod calm;
pub mod observer;
mod ranges;
pub mod served;
pub mod server;
pub mod service;
pub mod stage;
pub mod trial;
pub mod wire;

pub use self::audience::Audience;
pub use self::call::Outcome;
pub use self::caller::Caller;
pub use self::ranges::Range;
pub use self::served::Served;
pub use self::server::Server;
pub use self::service::service;
pub use self::stage::Stage;
