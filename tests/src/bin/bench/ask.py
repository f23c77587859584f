"""Sends questions about an address into the LAN, evenly spaced, without waiting for answers.

usage: ask.py INTERFACE ADDRESS COUNT SECONDS-BETWEEN
"""

import sys
import time

from scapy.all import ARP, ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6, Ether, conf, get_if_addr, get_if_hwaddr
from scapy.utils6 import in6_getnsma, in6_getnsmac
from scapy.pton_ntop import inet_ntop, inet_pton
import socket

interface, address, count, pause = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
mac = get_if_hwaddr(interface)
if ":" in address:
    group = in6_getnsma(inet_pton(socket.AF_INET6, address))
    source = next(a for a, scope, i in __import__("scapy.arch", fromlist=["in6_getifaddr"]).in6_getifaddr() if i == interface and scope == 0)
    frame = (
        Ether(src=mac, dst=in6_getnsmac(group))
        / IPv6(src=source, dst=inet_ntop(socket.AF_INET6, group), hlim=255)
        / ICMPv6ND_NS(tgt=address)
        / ICMPv6NDOptSrcLLAddr(lladdr=mac)
    )
else:
    frame = Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=mac, psrc=get_if_addr(interface), pdst=address)
frame = bytes(frame)
out = conf.L2socket(iface=interface)
due = time.monotonic()
for _ in range(count):
    out.outs.send(frame)
    due += pause
    time.sleep(max(0, due - time.monotonic()))
