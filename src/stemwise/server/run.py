"""A running server: one for a data folder, at one address, until it is told to end."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from urllib.parse import quote

import uvicorn
from fastapi import FastAPI

from stemwise.errors import ConfigError
from stemwise.lock import locked
from stemwise.server.app import create_app
from stemwise.server.settings import Settings


def run(settings: Settings, port: int, ready: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        settings: what the server is told.
        port: to listen at; 0 for any that is free.
        ready: called with the address to open in a browser of this machine, once the server answers.

    Raises:
        ConfigError: if nobody can listen there, or another server is using the data folder.
        JournalError: if the journal cannot be opened.
    """
    settings.data.mkdir(parents=True, exist_ok=True)
    with _only_one(settings.data), _listening(settings.host, port) as listening:
        application = create_app(settings)
        address = _address(listening, settings)
        with suppress(KeyboardInterrupt):  # which uvicorn raises again when it has ended
            _Server(application, lambda: ready(address)).run([listening])


class _Server(uvicorn.Server):
    def __init__(self, application: FastAPI, ready: Callable[[], None]) -> None:
        self.application, self.ready = application, ready
        config = uvicorn.Config(
            application,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="none",
            lifespan="on",
            timeout_graceful_shutdown=2,
        )
        super().__init__(config)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            await asyncio.to_thread(self.ready)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.application.state.studio.events.close()  # pages that watch would keep it from ending
        super().handle_exit(sig, frame)


@contextmanager
def _only_one(data: Path) -> Iterator[None]:
    """Two servers would do the same songs."""
    try:
        with locked(data / "lock", wait=False):
            yield
    except BlockingIOError:
        raise ConfigError(f"data is {data}, which another server is using: choose another folder") from None


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(where[:2], family=family, backlog=200)
    except OSError as error:
        raise ConfigError(f"cannot listen at {host} port {port}: {error.strerror or error}") from error


def _address(listening: socket.socket, settings: Settings) -> str:
    """What to open in a browser, on this machine."""
    host, port = listening.getsockname()[:2]
    if not settings.is_local:
        host = settings.names[0] if settings.names else socket.gethostname()
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{port}/" + (f"?token={quote(settings.token, safe='')}" if settings.token else "")
