"""Who asks, by address: what failed sign-ins are counted by."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

# A client of IPv6 has a whole network of this size to itself, and may take a new address for each guess.
IPV6_PREFIX = 64
UNKNOWN = "unknown"


def client_address(forwarded: Sequence[str], peer: str | None, proxies: int) -> str:
    """The client as the outermost of our own proxies saw it; of IPv6 its network.

    Each proxy appends whom it saw to X-Forwarded-For. So the last entries are our proxies' own, as many as
    there are; what stands before them is the client's to write, and is not looked at. Fewer entries: somebody
    inside, who came past the outer proxies.
    """
    entries = [entry.strip() for line in forwarded for entry in line.split(",")] if proxies else []
    seen = entries[-proxies:][:1]
    for text in (*seen, peer or ""):
        try:
            return _network(text)
        except ValueError:
            continue  # No address, such as one with a port: all such count as one client, their proxy.
    return UNKNOWN


def _network(text: str) -> str:
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address), IPV6_PREFIX), strict=False))
