//! Names of things in the cluster, each its own type so that a node's name never passes for a pool's.
//!
//! The API server has validated every one of them before we see it; these types only keep them apart.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes a name as the API server or the kernel gave it.
            pub fn new(name: impl AsRef<str>) -> Self {
                Self(Arc::from(name.as_ref()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self::new(name)
            }
        }

        impl From<String> for $name {
            fn from(name: String) -> Self {
                Self(Arc::from(name))
            }
        }
    };
}

name!(
    /// A Kubernetes Node, and the speaker that runs on it.
    NodeName
);
name!(
    /// An `AddressPool`.
    PoolName
);
name!(
    /// A namespace.
    Namespace
);
name!(
    /// A network interface as its node calls it (at most 15 bytes on Linux).
    InterfaceName
);
name!(
    /// The identity of one life of an object: deleted and created again under the same name, it differs.
    Uid
);

/// A Service's namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServiceKey {
    /// Its namespace.
    pub namespace: Namespace,
    /// Its name within the namespace.
    pub name: Arc<str>,
}

impl ServiceKey {
    /// Names a Service.
    pub fn new(namespace: impl Into<Namespace>, name: impl AsRef<str>) -> Self {
        Self { namespace: namespace.into(), name: Arc::from(name.as_ref()) }
    }
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The kernel's number of a network interface, unique within one network namespace and never reused soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IfIndex(pub u32);

impl fmt::Display for IfIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
