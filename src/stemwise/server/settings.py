"""What a server is told when it starts."""

import ipaddress
import os
import socket
import sys
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

from stemwise.errors import ConfigError

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one server takes.

    Attributes:
        bytes: of one upload.
        duration_s: of one song.
        queue: songs that wait or are being separated.
        disk_bytes: of all that the server keeps.
        kept_s: how long the input of a song that failed or was cancelled is kept.
        stems_kept_s: how long a song is kept after it is done; None until somebody deletes it.
    """

    bytes: int = 2 << 30
    duration_s: float = 3 * 3600.0
    queue: int = 200
    disk_bytes: int = 100 << 30
    kept_s: float = 7 * DAY_S
    stems_kept_s: float | None = None

    def __post_init__(self) -> None:
        for name in ("bytes", "duration_s", "queue", "disk_bytes", "kept_s", "stems_kept_s"):
            value = getattr(self, name)
            if value is not None and not 0 < value < inf:
                raise ConfigError(f"limit {name} is {value}: it must be positive and finite")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that a server is told.

    Attributes:
        data: folder for songs, stems and, unless `database` says otherwise, the journal.
        host: address or name to listen at.
        names: by which others may call it, beside `host` and the names of this machine.
        token: that every request must show; needed to listen beyond this machine.
        folders: of which songs may be separated in place.
        database: journal, as `Journal` takes it; None for a file in `data`.
        n_workers: songs separated at a time.
        threads: of each; None for torch's own choice.
        limits: what is too much.
    """

    data: Path
    host: str = "127.0.0.1"
    names: tuple[str, ...] = ()
    token: str | None = None
    folders: tuple[Path, ...] = ()
    database: str | None = None
    n_workers: int = 1
    threads: int | None = None
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not self.is_local and not self.token:
            raise ConfigError(
                f"host is {self.host!r}, which others can reach: give a --token that they must know"
            )
        if self.token is not None and len(self.token) < 8:
            raise ConfigError(f"token has {len(self.token)} characters: it must have 8 or more")
        if self.token is not None and not (self.token.isascii() and self.token.isprintable()):
            raise ConfigError("token has characters that no header can hold: it must be printable ASCII")
        if self.n_workers < 1:
            raise ConfigError(f"workers is {self.n_workers}: it must be 1 or more")
        for folder in self.folders:
            if not folder.is_dir():
                raise ConfigError(f"folder {folder} does not exist")

    @property
    def is_local(self) -> bool:
        """Whether only programs of this machine can reach the server."""
        return self.host == "localhost" or _is_loopback(self.host)

    def answers_to(self, name: str) -> bool:
        """Whether a request may name this host, in either case.

        A page of another site can have its own name point to this machine (DNS rebinding), but its requests
        name that site. An address cannot be made to point elsewhere.
        """
        name = name.lower()
        if name in ("localhost", *map(str.lower, self.names)) or _is_loopback(name):
            return True
        if self.is_local:
            return False
        own = (self.host, socket.gethostname(), socket.getfqdn())
        return _is_address(name) or name in map(str.lower, own)


def default_data() -> Path:
    """Where a studio keeps its songs, by the platform's convention."""
    home = Path.home()
    if sys.platform == "win32":
        folder = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        folder = home / "Library" / "Application Support"
    else:
        folder = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    return folder / "stemwise" / "studio"


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(name: str) -> bool:
    return _is_address(name) and ipaddress.ip_address(name).is_loopback
