"""Where a Ray cluster is: what an address may be, and whether anybody answers there. Knows no Ray."""

import re
import socket

from stemwise.errors import ConfigError

AUTO = "auto"  # the address of the cluster that this machine belongs to
LOCAL = "local"  # the address of a cluster that is this machine alone
CONNECT_S = 5.0


def check_address(address: str) -> None:
    """Refuse an address where no cluster can be; Ray itself would try for minutes.

    Raises:
        ConfigError: if it has another form than `HOST:PORT`, `auto` or `local`, or nobody answers there.
    """
    if address in (AUTO, LOCAL):
        return
    if not re.fullmatch(r"[^/\s]+:\d+", address):
        raise ConfigError(f"--ray is {address!r}: it must be HOST:PORT, auto or local")
    if not answers(address):
        raise ConfigError(f"there is no Ray cluster at {address!r}: nobody answers there")


def answers(address: str) -> bool:
    """Whether anybody listens at HOST:PORT."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_S).close()
    except (OSError, ValueError):
        return False
    return True
