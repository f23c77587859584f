//! What Herald puts on the wire and into the kernel: codecs for Ethernet, ARP and NDP, classic-BPF packet filters and nf_tables
//! batches. It decides nothing.
