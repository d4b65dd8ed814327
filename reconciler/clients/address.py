"""Addresses that are not talked to: the link-local ones, where clouds keep the machine's own secrets."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def is_link_local(host: str) -> bool:
    """Tell whether a host, written as an IP address, is link-local (RFC 3927, RFC 4291); a name is not."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_link_local


def leads_to_link_local(url: str) -> bool:
    """Tell whether an address names such a host; one that can't be read does not."""
    try:
        return is_link_local(urlsplit(url).hostname or "")
    except ValueError:
        return False
