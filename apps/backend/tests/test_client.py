import pytest

from jetscale_backend.client import client_address

PEER = "10.0.0.9"


@pytest.mark.parametrize(
    ("forwarded", "proxies", "address"),
    [
        # Whoever asks directly may write what they like.
        ([], 0, PEER),
        (["198.51.100.7"], 0, PEER),
        # The router alone.
        (["198.51.100.7"], 1, "198.51.100.7"),
        (["192.0.2.1, 198.51.100.7"], 1, "198.51.100.7"),
        (["192.0.2.1", "198.51.100.7"], 1, "198.51.100.7"),
        # An edge before it, whose own address the router adds.
        (["198.51.100.7, 10.0.1.1"], 2, "198.51.100.7"),
        (["192.0.2.1, 198.51.100.7, 10.0.1.1"], 2, "198.51.100.7"),
        # Past a proxy.
        (["10.0.2.2"], 2, "10.0.2.2"),
        ([], 1, PEER),
        # No address.
        (["unknown"], 1, PEER),
        (["198.51.100.7:4711"], 1, PEER),
        ([""], 1, PEER),
    ],
)
def test_what_the_client_writes_is_not_looked_at(forwarded, proxies, address):
    assert client_address(forwarded, PEER, proxies) == address


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::9", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::9", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        (None, "unknown"),
        ("/run/socket", "unknown"),
    ],
)
def test_a_client_of_ipv6_is_its_network(peer, address):
    assert client_address([], peer, 0) == address
