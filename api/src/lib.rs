//! Herald's Kubernetes objects, labels and annotations, and their conversion to `herald-core`.
//!
//! | question | module |
//! |---|---|
//! | what can be written into a pool? | [`address_pool`], [`convert::pool`] |
//! | how is an address in use recorded? | [`virtual_ip`], [`convert::ledger`] |
//! | what holds for the whole cluster? | [`herald_config`], [`convert::config`] |
//! | which keys seal heartbeats? | [`convert::heartbeat`] |
//! | what restricts where an address is announced? | [`l2_advertisement`] |
//! | what does a node's speaker report? | [`speaker`] |
//! | which annotations, conditions and reasons are there? | [`keys`] |
//! | which fields of core objects are read? | [`slim`] |
//! | which Services are ours, and what do they ask for? | [`class`], [`convert::service`] |
//! | what does the cluster install? | [`crds`] |

#![forbid(unsafe_code)]
#![expect(clippy::duplicated_attributes, reason = "columns of a table share types")]
#![expect(unreachable_pub, reason = "the schema derive repeats each public struct inside a function")]

pub mod address_pool;
pub mod class;
pub mod condition;
pub mod convert;
pub mod crds;
pub mod herald_config;
pub mod keys;
pub mod l2_advertisement;
pub mod selector;
pub mod slim;
pub mod speaker;
pub mod virtual_ip;

pub use address_pool::AddressPool;
pub use herald_config::HeraldConfig;
pub use l2_advertisement::L2Advertisement;
pub use speaker::Speaker;
pub use virtual_ip::VirtualIP;
