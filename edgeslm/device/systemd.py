"""What a service tells systemd of itself (sd_notify(3))."""

from __future__ import annotations

import os
import socket


def tell_systemd(state: str) -> None:
    """`READY=1` is what a unit with Type=notify waits for; nothing happens outside of one."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sink:
            sink.sendto(state.encode(), f"\0{address[1:]}" if address.startswith("@") else address)
