"""Runs a program as on a kernel without nf_tables, whatever the kernel has.

usage: kernel_without.py netfilter|nf_tables|batches PROGRAM ARGUMENTS...

netfilter  Netlink has no netfilter at all: such a socket can't be had (EPROTONOSUPPORT).
nf_tables  Netfilter is there without nf_tables: its messages are refused as of nobody's (EINVAL).
batches    The same as other kernels put it (EOPNOTSUPP).

A seccomp filter of the program alone does it. For the last two the program is handed a netlink socket of another family, whose
side of the kernel knows nf_tables' messages as little and says so with the error wanted.
"""

import array
import ctypes
import errno
import fcntl
import os
import platform
import select
import socket
import struct
import sys

SOCKET, SECCOMP = {"x86_64": (41, 317), "aarch64": (198, 277)}[platform.machine()]
NETLINK_ROUTE, NETLINK_SOCK_DIAG, NETLINK_NETFILTER = 0, 4, 12
STAND_INS = {"nf_tables": NETLINK_SOCK_DIAG, "batches": NETLINK_ROUTE}

# linux/seccomp.h
SET_MODE_FILTER, NEW_LISTENER = 1, 1 << 3
ALLOW, ASK, FAIL = 0x7FFF0000, 0x7FC00000, 0x00050000
RECEIVE, ADD_DESCRIPTOR = 0xC0502100, 0x40182103
ANSWER_WITH_IT = 1 << 1

LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06


def restrict(action, flags):
    """From now on sockets of netfilter go the way of the action; where the arguments lie: struct seccomp_data."""
    steps = []
    for left, (offset, value) in zip((6, 4, 2), ((0, SOCKET), (16, socket.AF_NETLINK), (32, NETLINK_NETFILTER))):
        steps += [(LOAD, 0, 0, offset), (JUMP_IF_EQUAL, 0, left - 1, value)]
    steps += [(RETURN, 0, 0, action), (RETURN, 0, 0, ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("HP", len(steps), ctypes.addressof(code)))
    result = ctypes.CDLL(None, use_errno=True).syscall(SECCOMP, SET_MODE_FILTER, flags, program)
    if result < 0:
        sys.exit(f"a seccomp filter can't be set: {os.strerror(ctypes.get_errno())}; this needs root and Linux 5.14")
    return result


def stand_in(listener, family):
    """Hands out sockets of the other family until nobody is left to ask for one."""
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    while poll.poll()[0][1] & select.POLLIN:
        request = array.array("B", bytes(80))
        fcntl.ioctl(listener, RECEIVE, request)
        (which,) = struct.unpack_from("Q", request)
        with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, family) as other:
            answer = struct.pack("QIIII", which, ANSWER_WITH_IT, other.fileno(), 0, os.O_CLOEXEC)
            fcntl.ioctl(listener, ADD_DESCRIPTOR, answer)


what, command = sys.argv[1], sys.argv[2:]
if what == "netfilter":
    restrict(FAIL | errno.EPROTONOSUPPORT, 0)
else:
    ours, theirs = socket.socketpair()
    if os.fork() == 0:
        ours.close()
        _, (listener,), _, _ = socket.recv_fds(theirs, 1, 1)
        for standard in range(3):
            os.close(standard)
        stand_in(listener, STAND_INS[what])
        os._exit(0)
    socket.send_fds(ours, [b"."], [restrict(ASK, NEW_LISTENER)])
os.execv(command[0], command)
