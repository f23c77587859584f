"""Sends one SCTP INIT and prints, as JSON, what came back: "icmp TYPE/CODE", "sctp abort", "sctp init-ack", or null.

Arguments: interface, address, port, seconds to wait for an answer.
"""

import json
import logging
import sys

logging.getLogger("scapy").setLevel(logging.CRITICAL)
from scapy.layers.inet import ICMP, IP, IPerror  # noqa: E402
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6ParamProblem, IPerror6, IPv6  # noqa: E402
from scapy.layers.sctp import SCTP, SCTPChunkAbort, SCTPChunkInit, SCTPChunkInitAck  # noqa: E402
from scapy.sendrecv import send, sniff  # noqa: E402

interface, address, port, wait = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
network = IPv6(dst=address) if ":" in address else IP(dst=address)
question = network / SCTP(sport=40000, dport=port) / SCTPChunkInit(init_tag=7, a_rwnd=65535, n_out_streams=1, n_in_streams=1)


def answer(packet):
    if ICMP in packet and packet[ICMP].type == 3 and IPerror in packet and packet[IPerror].dst == address:
        return f"icmp {packet[ICMP].type}/{packet[ICMP].code}"
    for error in (ICMPv6DestUnreach, ICMPv6ParamProblem):
        if error in packet and IPerror6 in packet and packet[IPerror6].dst == address:
            return f"icmp {packet[error].type}/{packet[error].code}"
    if SCTP in packet and packet[SCTP].sport == port:
        if SCTPChunkAbort in packet:
            return "sctp abort"
        if SCTPChunkInitAck in packet:
            return "sctp init-ack"
    return None


packets = sniff(
    iface=interface,
    timeout=wait,
    count=1,
    lfilter=lambda packet: answer(packet) is not None,
    started_callback=lambda: send(question, verbose=0),
)
print(json.dumps(answer(packets[0]) if packets else None))
