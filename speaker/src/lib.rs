//! The speaker: answers ARP and NDP for VIPs and steers their traffic.
