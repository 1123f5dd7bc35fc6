"""The address of the caller behind trusted proxies, from X-Forwarded-For."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from ml_backend.errors import SettingsError

_Address = IPv4Address | IPv6Address
_MAX_HOPS = 20  # that are read, from the right


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """The networks of our own proxies.

    Each proxy appends the address of its caller to X-Forwarded-For. Read from the right, the first address that is no
    proxy of ours is the caller; everything before it may be forged. werkzeug's ProxyFix counts a fixed number of hops
    instead, so a caller who reaches the app directly could forge its address.

    >>> proxies = TrustedProxies.read("10.0.0.0/8")
    >>> proxies.caller("10.0.0.2", "6.6.6.6, 203.0.113.9, 10.0.0.1")
    '203.0.113.9'
    >>> proxies.caller("203.0.113.9", "127.0.0.1")
    '203.0.113.9'
    """

    networks: Sequence[IPv4Network | IPv6Network] = ()

    @classmethod
    def read(cls, text: str) -> TrustedProxies:
        """Parse addresses and networks, separated by commas; SettingsError names what is neither."""
        networks = []
        for part in filter(None, (part.strip() for part in text.split(","))):
            try:
                networks.append(ip_network(part, strict=False))
            except ValueError:
                hint = "Wanted 10.0.0.7 or 10.0.0.0/8."
                raise SettingsError(f"{part!r} is neither an address nor a network.", hint=hint) from None
        return cls(tuple(networks))

    def caller(self, peer: str, forwarded: str) -> str:
        """Return the caller's address, given the connected address and the X-Forwarded-For header."""
        hops = [hop.strip() for hop in forwarded.split(",")][-_MAX_HOPS:] if forwarded else []
        caller = peer
        while hops and self._is_proxy(caller):
            address = _address(hops.pop())
            if address is None:
                break  # an unreadable entry: the proxy itself is the best known caller
            caller = str(address)
        return caller

    def _is_proxy(self, text: str) -> bool:
        address = _address(text)
        return address is not None and any(address in network for network in self.networks)


def _address(text: str) -> _Address | None:
    """Parse an address, with or without a port; an IPv4-mapped IPv6 address becomes IPv4; None where it is no address.

    >>> str(_address("203.0.113.9:4711")), str(_address("[2001:db8::1]:80")), str(_address("::ffff:10.0.0.1"))
    ('203.0.113.9', '2001:db8::1', '10.0.0.1')
    """
    bare = text.strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        found = ip_address(bare)
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found
