"""Free ports on loopback, the same ones again in the next run if they are still free.

They are taken from below the kernel's ephemeral range (32768 and up on Linux): while a broker is down, a client that
keeps connecting to a port *inside* that range will sooner or later be given this very port as its own end, connect to
itself, and keep the broker from coming back.
"""

import random
import socket
from collections.abc import Container

from stream.local.errors import PortTakenError

HOST = "127.0.0.1"
_FIRST, _LAST = 20_000, 29_999
_TRIES = 200


def is_free(port: int) -> bool:
    """Can a server listen on this port of the loopback address now?"""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections of an earlier run in TIME_WAIT are no obstacle, a listener is.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def choose(remembered: int | None, taken: Container[int] = ()) -> int:
    """Return the remembered port if it is free, else any free one that is not `taken`."""
    if remembered is not None and remembered not in taken and is_free(remembered):
        return remembered
    draw = random.SystemRandom()
    for _ in range(_TRIES):
        port = draw.randint(_FIRST, _LAST)
        if port not in taken and is_free(port):
            return port
    raise PortTakenError(f"No free port was found on {HOST} between {_FIRST} and {_LAST}; end some programs there.")


def require(port: int, what: str) -> int:
    """Return the port that was asked for; raise PortTakenError if another program listens there."""
    if is_free(port):
        return port
    raise PortTakenError(
        f"Port {port} of {HOST}, asked for {what}, belongs to another program. "
        f"End that program (`ss -ltnp 'sport = :{port}'` names it), or ask for another port or none.",
    )
