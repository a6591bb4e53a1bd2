"""The studio's server without a browser: memory, a song from upload to its first sound, cancelling, load.

Starts `stemwise serve` in a temporary folder and adds `--songs` short songs by ten clients at once; then
another one, sends it an mp3 of `--seconds`, `--runs` times, and cancels one more. Prints a table and appends
the run to a file of JSON lines.

Usage: python benchmarks/studio_server.py [--seconds 240] [--runs 3] [--songs 50]
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import httpx

from material import write_mixture
from measure import REPOSITORY, append_json_lines, machine, table, warn_if_busy

OUTPUT = REPOSITORY / "benchmarks" / "results" / "studio_server.jsonl"
N_CLIENTS = 10
FIRST_SOUND = {"Range": "bytes=0-705599"}  # four seconds, as the page asks for them


class Studio:
    """A running server."""

    def __init__(self, folder: Path) -> None:
        command = [
            sys.executable,
            "-m",
            "stemwise",
            "serve",
            "--no-open",
            "--port",
            "0",
            "--data",
            str(folder),
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        address = re.search(r"http://\S+?/", self.process.stdout.readline())
        assert address
        self.client = httpx.Client(base_url=f"{address[0]}api", headers={"X-Stemwise": "1"}, timeout=600)
        self.client.get("/models")  # the worker is there

    def add(self, path: Path) -> str:
        with path.open("rb") as file:
            return str(self.client.post("/songs", files={"file": (path.name, file)}).json()["id"])

    def wait(self, id: str) -> None:
        while (state := self.client.get(f"/songs/{id}").json()["state"]) != "done":
            assert state in ("queued", "running"), state
            time.sleep(0.05)

    def first_sound(self, path: Path) -> float:
        """Seconds from sending a song to having the first seconds of a stem."""
        begin = time.monotonic()
        id = self.add(path)
        self.wait(id)
        assert self.client.get(f"/songs/{id}/stems/vocals", headers=FIRST_SOUND).status_code == 206
        return time.monotonic() - begin

    def cancelled(self, path: Path) -> float:
        """Seconds that it takes to cancel a song that is being separated."""
        id = self.add(path)
        while not 0.1 < self.client.get(f"/songs/{id}").json()["progress"] < 1:
            time.sleep(0.02)
        begin = time.monotonic()
        assert self.client.post(f"/songs/{id}/cancel").json()["state"] == "cancelled"
        return time.monotonic() - begin

    def load(self, path: Path, n_songs: int) -> tuple[float, float]:
        """Seconds until many songs are done, and the median wait for the list of songs meanwhile."""
        begin, waits = time.monotonic(), []
        with ThreadPoolExecutor(N_CLIENTS) as clients:
            ids = list(clients.map(lambda _: self.add(path), range(n_songs)))
        while self.client.get("/songs", params={"state": "done", "limit": 0}).json()["total"] < n_songs:
            asked = time.monotonic()
            self.client.get("/songs")
            waits.append(time.monotonic() - asked)
            time.sleep(0.2)
        for id in ids:
            self.wait(id)
        return time.monotonic() - begin, median(waits)

    def peak_mb(self, pid: int | None = None) -> float:
        status = Path(f"/proc/{pid or self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1000  # type: ignore[index]

    def worker_mb(self) -> float:
        """Of the largest of the server's processes."""
        found = subprocess.run(
            ["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=True
        )
        return max(self.peak_mb(int(pid)) for pid in found.stdout.split())

    def close(self) -> None:
        self.client.close()
        self.process.terminate()
        self.process.wait()


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--seconds", type=int, default=240, help="length of the song (default 240)")
    parser.add_argument("--runs", type=int, default=3, help="songs from upload to first sound (default 3)")
    parser.add_argument("--songs", type=int, default=50, help="short songs at once (default 50)")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="file of JSON lines to append to")
    options = parser.parse_args()
    warn_if_busy()
    with tempfile.TemporaryDirectory() as folder:
        song, short = Path(folder) / "song.mp3", Path(folder) / "short.wav"
        write_mixture(song, options.seconds)
        write_mixture(short, 2)
        loaded = Studio(Path(folder) / "load")
        load_s, list_s = loaded.load(short, options.songs)
        loaded.close()
        studio = Studio(Path(folder) / "data")
        found = {
            "first_sound_s": [studio.first_sound(song) for _ in range(options.runs)],
            "server_mb": studio.peak_mb(),
            "worker_mb": studio.worker_mb(),
            "cancel_s": studio.cancelled(song),
            "load_s": load_s,
            "list_under_load_s": list_s,
        }
        studio.close()
    seconds = ", ".join(f"{value:.1f}" for value in found["first_sound_s"])  # type: ignore[union-attr]
    rows = [
        [f"song of {options.seconds} s, upload to first sound", f"{seconds} s"],
        ["server, peak", f"{found['server_mb']:.0f} MB"],
        ["worker, peak", f"{found['worker_mb']:.0f} MB"],
        ["cancel", f"{found['cancel_s']:.2f} s"],
        [f"{options.songs} songs of 2 s by {N_CLIENTS} clients", f"{load_s:.1f} s"],
        ["list of songs meanwhile, median", f"{1000 * list_s:.0f} ms"],
    ]
    print(table(["studio's server", ""], rows))
    append_json_lines(options.output, [{**vars(options), "output": None, **found, "machine": machine()}])


if __name__ == "__main__":
    main()
