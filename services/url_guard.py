"""Which URLs people who are not administrators may have this server call: public addresses only.

A host name is resolved once and the addresses are judged, not the name, so that no spelling of an address and no DNS
trick leads inside. Whoever connects must use the very addresses that were judged: see `pinned_transport`.
"""

import ipaddress
import socket
from urllib.parse import urlsplit

SCHEMES = frozenset({"http", "https"})
INTERNAL_NAMES = frozenset({"localhost", "local", "internal"})  # top-level names that never lead outside

# Reachable from the inside only, though the registry of special addresses does not say so.
INTERNAL = tuple(ipaddress.ip_network(network) for network in (
    "168.63.129.16/32",  # the host of a virtual machine at Azure
    "192.0.0.0/24",  # protocol assignments; metadata of Oracle's cloud is among them
    "192.88.99.0/24",  # relays of 6to4, long deprecated
    "64:ff9b:1::/48",  # translation to private IPv4
))
# IPv6 addresses that carry an IPv4 address to which a gateway delivers: where it starts, in bits.
CARRIERS = (
    (ipaddress.ip_network("64:ff9b::/96"), 96),  # NAT64
    (ipaddress.ip_network("2002::/16"), 16),  # 6to4
    (ipaddress.ip_network("::/96"), 96),  # "IPv4-compatible", deprecated
)
TEREDO = ipaddress.ip_network("2001::/32")


class UrlRefused(Exception):
    """The URL is not allowed for this person; the message says why and names no address."""


def is_plainly_internal(url: str) -> bool:
    """Whether `url` names an internal host in so many words. It resolves nothing, and so never waits."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    if host.rpartition(".")[2] in INTERNAL_NAMES:
        return True
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return False  # a name: whoever connects judges what it leads to
    return not all(is_public(entry[4][0]) for entry in found)


def check(url: str) -> None:
    """Raise `UrlRefused` for a URL that may not be used. Blocks while the name is resolved.

    Raises:
        OSError: the host name cannot be resolved.
    """
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise UrlRefused("Only http and https URLs can be used.")
    if parts.username or parts.password:
        raise UrlRefused("The URL must not contain a user name or a password.")
    try:
        port = parts.port
    except ValueError:
        raise UrlRefused("The URL has an invalid port.") from None
    public_addresses(parts.hostname or "", port or 0)


def public_addresses(host: str, port: int) -> tuple[str, ...]:
    """The addresses of `host`, all of them public. Blocks while the name is resolved.

    One internal address among several refuses the host: which one a connection would take is not ours to say.

    Raises:
        UrlRefused: the host has an address that is not public.
        OSError: the host name cannot be resolved.
    """
    if not host:
        raise UrlRefused("The URL has no host.")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise UrlRefused("The URL has an invalid host.") from None
    addresses = tuple(dict.fromkeys(entry[4][0] for entry in found))
    if not all(is_public(address) for address in addresses):
        raise UrlRefused("The address is inside a private network, which only administrators may use.")
    return addresses


def is_public(address: str) -> bool:
    """Whether anybody on the internet could reach this numeric address."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    carried = _carried_ipv4(ip)
    if carried is not None:
        return is_public(str(carried))
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in INTERNAL)


def _carried_ipv4(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if ip.version == 4:
        return None
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if ip in TEREDO and ip.teredo is not None:
        return ip.teredo[1]  # the client behind the tunnel
    for network, start in CARRIERS:
        if ip in network:
            return ipaddress.IPv4Address((int(ip) >> (96 - start)) & 0xFFFFFFFF)
    return None
