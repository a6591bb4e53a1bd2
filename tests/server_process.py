"""The studio's server for tests: a process of its own, at a free port, with a small model."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from random_models import stemwise_like
from stemwise.checkpoint import save_model

MODEL = "small"
PATIENCE_S = 240.0  # a machine that has much to do imports torch for a minute


class Server:
    """`stemwise serve` in a folder of its own, with a small imported model."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.data, self.options = folder / "data", options
        (folder / "cache" / "stemwise" / "imported").mkdir(parents=True)
        save_model(stemwise_like(), folder / "cache" / "stemwise" / "imported" / f"{MODEL}.safetensors")
        self.environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "stemwise", "serve", "--no-open", "--port", "0", "--threads", "1"]
        self.process = subprocess.Popen(
            [*command, "--data", str(self.data), *self.options],
            stdout=subprocess.PIPE,
            text=True,
            env=self.environment,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"http://\S+?/", line)
        assert found, line
        self.client = httpx.Client(base_url=found[0], headers={"X-Stemwise": "1"}, timeout=PATIENCE_S)

    def kill(self) -> None:
        self.process.kill()
        self._ended()

    def stop(self) -> int:
        self.process.terminate()
        return self._ended()

    def _ended(self) -> int:
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.client.close()
        return self.process.wait(30)

    def add(self, path: Path, name: str | None = None, **fields: str) -> httpx.Response:
        with path.open("rb") as file:
            data = {"model": MODEL, **fields}
            return self.client.post("/api/songs", data=data, files={"file": (name or path.name, file)})

    def wait(self, id: str, *states: str) -> dict[str, Any]:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            song: dict[str, Any] = self.client.get(f"/api/songs/{id}").json()
            if song["state"] in (states or ("done", "failed", "cancelled")):
                return song
            time.sleep(0.05)
        raise AssertionError(song)

    def children(self) -> list[int]:
        """Its processes."""
        found = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True)
        return list(map(int, found.stdout.split()))


def wait_until(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.05)


def memory(pid: int) -> float:
    """MB that a process has in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
