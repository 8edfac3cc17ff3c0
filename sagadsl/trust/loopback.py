"""Which hosts are this machine: what is sent there needs no certificate."""

from __future__ import annotations

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Whether a host is this machine; one in brackets is none."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
