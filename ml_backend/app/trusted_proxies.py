"""Who really calls: behind proxies that we trust, the address that they were called from; else whoever connects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from ml_backend.errors import SettingsError

_Address = IPv4Address | IPv6Address
_MOST = 20  # hops that are read, from our end


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """The networks in which our own proxies stand.

    Each proxy appends to X-Forwarded-For whom it was called by. From our end of that list we go on while whoever speaks
    is a proxy of ours; the first that is none is the caller, and what stands before it is their own invention.

    >>> proxies = TrustedProxies.read("10.0.0.0/8")
    >>> proxies.caller("10.0.0.2", "6.6.6.6, 203.0.113.9, 10.0.0.1")
    '203.0.113.9'
    >>> proxies.caller("203.0.113.9", "127.0.0.1")
    '203.0.113.9'
    """

    networks: Sequence[IPv4Network | IPv6Network] = ()

    @classmethod
    def read(cls, text: str) -> TrustedProxies:
        """Read addresses and networks, comma-separated; SettingsError names what is neither."""
        found = []
        for part in filter(None, (one.strip() for one in text.split(","))):
            try:
                found.append(ip_network(part, strict=False))
            except ValueError:
                hint = "Wanted 10.0.0.7 or 10.0.0.0/8."
                raise SettingsError(f"{part!r} is no address and no network.", hint=hint) from None
        return cls(tuple(found))

    def caller(self, peer: str, forwarded: str) -> str:
        """Give the address that a request is from, of the one that connected and its X-Forwarded-For."""
        hops = [one.strip() for one in forwarded.split(",")][-_MOST:] if forwarded else []
        caller = peer
        while hops and self._is_ours(caller):
            said = _address(hops.pop())
            if said is None:
                break  # a proxy of ours says nothing that we can read: it stands for whoever is behind it
            caller = str(said)
        return caller

    def _is_ours(self, text: str) -> bool:
        address = _address(text)
        return address is not None and any(address in network for network in self.networks)


def _address(text: str) -> _Address | None:
    """Read an address, which some proxies write with its port; one of IPv4 in the clothes of IPv6 is one of IPv4.

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
