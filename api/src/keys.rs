//! The words of the API that are no fields: annotation keys, the default class, condition types and reasons.

pub use herald_core::service::{ADDRESSES_ANNOTATION, POOL_ANNOTATION};

/// API group of Herald's kinds, and the prefix of everything else here.
pub const GROUP: &str = "herald-lb.io";

/// The load-balancer class that is ours unless configured otherwise.
pub const DEFAULT_CLASS: &str = "herald-lb.io/herald";

/// The finalizer that cloud controllers put on Services; used by us only on request.
pub const SERVICE_FINALIZER: &str = "service.kubernetes.io/load-balancer-cleanup";

/// Node label that keeps a node from announcing, parsed as a boolean: `false` means included, anything that is no
/// boolean (the empty value too) means excluded.
pub const EXCLUDE_NODE_LABEL: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// Taint by which the cluster autoscaler says that a node is about to go.
pub const DELETION_TAINT: &str = "ToBeDeletedByClusterAutoscaler";

/// Node label that makes a node give its addresses away, whatever its value but `false`; read like
/// [`EXCLUDE_NODE_LABEL`].
pub const DRAIN_NODE_LABEL: &str = "herald-lb.io/drain";

/// The Secret in Herald's namespace that holds the keys of heartbeats. The controller makes it if it is not there.
pub const HEARTBEAT_SECRET: &str = "herald-heartbeat-key";

/// The entry of that Secret which is no key: the UID of namespace `kube-system`, which tells one cluster from another.
pub const CLUSTER_ID_ENTRY: &str = "cluster-id";

/// The namespace whose UID names the cluster.
pub const CLUSTER_NAMESPACE: &str = "kube-system";

/// Label of an EndpointSlice that names its Service.
pub const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";

/// Condition types.
pub mod condition {
    /// On a Service: it has the addresses it asks for.
    pub const ALLOCATED: &str = "herald-lb.io/Allocated";
    /// On a Service: its addresses are announced.
    pub const SERVICE_ANNOUNCED: &str = "herald-lb.io/Announced";
    /// On a VirtualIP: a node announces it.
    pub const ANNOUNCED: &str = "Announced";
    /// On a VirtualIP: somebody else on the network answers for it.
    pub const CONFLICT: &str = "Conflict";
    /// On a VirtualIP: a pool holds the address.
    pub const IN_POOL: &str = "InPool";
    /// On an AddressPool, an L2Advertisement or a Speaker: it can do its work.
    pub const READY: &str = "Ready";
    /// On an AddressPool: another pool holds some of the same addresses.
    pub const OVERLAP: &str = "Overlap";
    /// On an AddressPool: no address is left in one of its families.
    pub const EXHAUSTED: &str = "Exhausted";
    /// On an L2Advertisement: something it names is not there.
    pub const DEAD_REFERENCE: &str = "DeadReference";
    /// On a Speaker: it works, but not as it should.
    pub const DEGRADED: &str = "Degraded";
}

/// Reasons of conditions. Each condition with status True or False has one of these.
pub mod reason {
    /// `Allocated`, True.
    pub const ALLOCATED: &str = "Allocated";
    /// `Allocated`, False: there is no AddressPool.
    pub const NO_POOL: &str = "NoPool";
    /// `Allocated`, False: no AddressPool admits the Service.
    pub const NO_MATCHING_POOL: &str = "NoMatchingPool";
    /// `Allocated`, False: every AddressPool that would do is full. `Exhausted`, True.
    pub const POOL_EXHAUSTED: &str = "PoolExhausted";
    /// `Allocated`, False: a requested address lies in no AddressPool.
    pub const ADDRESS_NOT_IN_POOL: &str = "AddressNotInPool";
    /// `Allocated`, False: a requested address is another Service's.
    pub const ADDRESS_IN_USE: &str = "AddressInUse";
    /// `Allocated`, False: no AddressPool has addresses of the family.
    pub const FAMILY_UNAVAILABLE: &str = "FamilyUnavailable";
    /// `Allocated`, False: the request can't be understood.
    pub const INVALID_REQUEST: &str = "InvalidRequest";
    /// `Allocated`, False: the API server refuses to record the address.
    pub const WRITE_REFUSED: &str = "WriteRefused";

    /// `Announced`, True.
    pub const ANNOUNCED: &str = "Announced";
    /// `Announced`, False: no speaker runs.
    pub const NO_SPEAKER: &str = "NoSpeaker";
    /// `Announced`, False: no node has an interface in the address's subnet.
    pub const NO_SEGMENT: &str = "NoSegment";
    /// `Announced`, False: traffic policy Local, and no node has a usable endpoint.
    pub const NO_LOCAL_ENDPOINTS: &str = "NoLocalEndpoints";
    /// `Announced`, False: the nodes that could are excluded.
    pub const NODES_EXCLUDED: &str = "NodesExcluded";
    /// `Announced`, False: the pool asks for an L2Advertisement and none selects it.
    pub const NOT_ADVERTISED: &str = "NotAdvertised";

    /// `Announced`, False, on a Service or VirtualIP: somebody else on the network answers for the address.
    /// `Conflict`, True: a machine that is no node of the cluster.
    pub const ADDRESS_CONFLICT: &str = "AddressConflict";
    /// `Announced`, False: the network is being asked whether somebody has the address already.
    pub const PROBING: &str = "Probing";

    /// `Conflict`, True: a node of the cluster answers for it, but not Herald's speaker there: another load balancer.
    pub const OTHER_LOAD_BALANCER: &str = "OtherLoadBalancer";
    /// `Conflict`, True: a node that asked the network got another MAC address than the announcer's.
    pub const WRONG_ANSWER: &str = "WrongAnswer";
    /// `Conflict`, True: a node that asked the network got no answer.
    pub const NO_ANSWER: &str = "NoAnswer";
    /// `Conflict`, False.
    pub const NO_CONFLICT: &str = "NoConflict";

    /// `InPool`, True.
    pub const IN_POOL: &str = "InPool";
    /// `InPool`, False: the pool it came from is there, without this address.
    pub const OUTSIDE_POOL: &str = "OutsidePool";
    /// `InPool`, False: the pool it came from is gone.
    pub const POOL_GONE: &str = "PoolGone";

    /// `Ready`, True.
    pub const READY: &str = "Ready";
    /// `Ready`, False, on an AddressPool: its addresses can't be read.
    pub const INVALID_ADDRESSES: &str = "InvalidAddresses";
    /// `Ready`, False, on any object: a field can't be read.
    pub const INVALID_SPEC: &str = "InvalidSpec";
    /// `Overlap`, True: some of its addresses belong to another pool, or another pool's to it.
    pub const POOLS_OVERLAP: &str = "PoolsOverlap";
    /// `Overlap`, False.
    pub const NO_OVERLAP: &str = "NoOverlap";
    /// `Exhausted`, False.
    pub const ADDRESSES_AVAILABLE: &str = "AddressesAvailable";
    /// `DeadReference`, True: a name or selector matches nothing.
    pub const MATCHES_NOTHING: &str = "MatchesNothing";
    /// `DeadReference`, False.
    pub const ALL_FOUND: &str = "AllFound";

    /// `Ready`, False, on a Speaker: it has stopped in order.
    pub const STOPPED: &str = "Stopped";
    /// `Degraded`, True: none of the node's interfaces is one to announce on.
    pub const NO_INTERFACE: &str = "NoInterface";
    /// `Degraded`, True: the kernel refuses the rules that guard the addresses.
    pub const STEERING_FAILED: &str = "SteeringFailed";
    /// `Degraded`, True: frames can't be sent or received as they should.
    pub const PACKET_SOCKET_FAILED: &str = "PacketSocketFailed";
    /// `Degraded`, True: the speaker gets too little of the processor to judge others.
    pub const LATE: &str = "Late";
    /// `Degraded`, True: two speakers run under the name of this node.
    pub const DUPLICATE_NAME: &str = "DuplicateName";
    /// `Degraded`, True: an interface of another node has the MAC address of one of this node's.
    pub const DUPLICATE_MAC: &str = "DuplicateMac";
    /// `Degraded`, True: the Secret with the keys of heartbeats is missing or can't be read.
    pub const HEARTBEAT_KEY_UNREADABLE: &str = "HeartbeatKeyUnreadable";
    /// `Degraded`, True: a node refuses this one's heartbeats although its speaker lives: a firewall.
    pub const HEARTBEATS_REFUSED: &str = "HeartbeatsRefused";
    /// `Degraded`, True: neither a majority of the other speakers nor the gateway is heard.
    pub const ISOLATED: &str = "Isolated";
    /// `Degraded`, True: kube-proxy on this node says that it is not well.
    pub const KUBE_PROXY_UNHEALTHY: &str = "KubeProxyUnhealthy";
    /// `Degraded`, False.
    pub const ALL_WELL: &str = "AllWell";
}
