"""A studio for tests: the real server as a process, a real browser, and ears in the page's audio graph."""

import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "src" / "stemwise" / "server" / "page"
RATE = 44100
PATIENCE_S = 240.0  # a machine that has much to do imports torch for a minute
BROWSER = "/usr/bin/chromium"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]
NEEDS = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path(BROWSER).exists(), reason="no chromium: make test-studio installs it"),
    pytest.mark.skipif(not (PAGE / "index.html").exists(), reason="no page: make studio builds it"),
]

# Everything that the page sends to the loudspeaker is kept too, block by block, each with its frame.
EAR = """
class Ear extends AudioWorkletProcessor {
  constructor() { super(); this.blocks = []; }
  process([input]) {
    const frame = input[0] ?? new Float32Array(128);
    const both = new Float32Array(256);
    both.set(frame); both.set(input[1] ?? frame, 128);
    if (this.blocks.push(both) === 16) {
      this.port.postMessage([currentFrame - 15 * 128, this.blocks]);
      this.blocks = [];
    }
    return true;
  }
}
registerProcessor("ear", Ear);
"""
# The only worklet of the page changes speed and key: it is tuned once its sound goes through that.
LISTEN = """
(() => {
  const connect = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function (target, ...rest) {
    const { context } = this;
    if (target instanceof AudioWorkletNode) window.isTuned = true;
    if (target === context.destination && context instanceof AudioContext) {
      const heard = (window.heard = { context, blocks: [], first: null });
      const url = URL.createObjectURL(new Blob([EAR], { type: "text/javascript" }));
      heard.ready = context.audioWorklet.addModule(url).then(() => {
        const ear = new AudioWorkletNode(context, "ear");
        ear.port.onmessage = ({ data: [frame, blocks] }) => {
          heard.first ??= frame;
          heard.blocks.push(...blocks);
        };
        connect.call(this, ear);
        connect.call(ear, context.destination);
      });
    }
    return connect.call(this, target, ...rest);
  };
})();
"""
TAKE = """
(since) => {
  const { blocks, first } = window.heard;
  const from = Math.max(0, Math.floor((since - first) / 128));
  const samples = new Float32Array(256 * (blocks.length - from));
  blocks.slice(from).forEach((block, i) => samples.set(block, 256 * i));
  const bytes = new Uint8Array(samples.buffer);
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return [first + 128 * from, btoa(text)];
}
"""


def listen(page: Any) -> None:
    """Keep what a page plays from now on; before it loads. Its security policy must let the ear in."""

    def let_in(route: Any) -> None:
        answer = route.fetch()
        policy = answer.headers["content-security-policy"].replace("script-src", "script-src blob:")
        route.fulfill(response=answer, headers={**answer.headers, "content-security-policy": policy})

    page.route(re.compile(r"^http://[^/]+/$"), let_in)
    page.add_init_script(f"const EAR = {json.dumps(EAR)};{LISTEN}")


def now(page: Any) -> int:
    """The frame of the page's audio graph."""
    frame: int = page.evaluate("Math.round(heard.context.currentTime * heard.context.sampleRate)")
    return frame


def heard(page: Any, since: int = 0) -> tuple[int, NDArray[np.float32]]:
    """What was played from a frame on: the first frame that is kept, and `(channels, samples)`."""
    first, text = page.evaluate(TAKE, since)
    blocks = np.frombuffer(base64.b64decode(text), np.float32).reshape(-1, 2, 128)
    return first, blocks.transpose(1, 0, 2).reshape(2, -1)


def listen_for(page: Any, seconds: float) -> NDArray[np.float32]:
    """What is played in the next seconds, from the next block on."""
    start = now(page) + 2 * 16 * 128
    page.wait_for_function(
        "(end) => heard.blocks.length && heard.first + 128 * heard.blocks.length > end",
        arg=start + int(seconds * RATE),
    )
    first, sound = heard(page, start)
    return sound[:, max(0, start - first) :][:, : int(seconds * RATE)]


def play_on(page: Any, seconds: float) -> None:
    """Wait until so much more has been played."""
    page.wait_for_function(
        "(end) => heard.context.currentTime * heard.context.sampleRate > end",
        arg=now(page) + int(seconds * RATE),
    )


def open_song(page: Any, id: str) -> None:
    page.locator(f'[data-id="{id}"] a').click()
    page.get_by_role("button", name="Play").wait_for()


def play(page: Any) -> None:
    page.evaluate("heard.ready")
    page.keyboard.press("Space")
    page.locator(".play[data-state=playing]").wait_for()


def set_fader(page: Any, name: str, value: float) -> None:
    move = "(e, to) => { e.value = to; e.dispatchEvent(new InputEvent('input', { bubbles: true })) }"
    page.get_by_label(name).evaluate(move, value)


def write_song(path: Path, seconds: float, seed: int = 0) -> Path:
    """Quiet noise, which is separated as well as music is."""
    noise = np.random.default_rng(seed).standard_normal((int(seconds * RATE), 2)) * 0.05
    soundfile.write(path, noise, RATE, subtype="PCM_16")
    return path


class StudioServer:
    """`stemwise serve` in a folder of its own; it can be killed and started again at the same address."""

    def __init__(self, data: Path, threads: int | None = 1) -> None:
        self.data, self.threads = data, threads
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "stemwise", "serve", "--no-open"]
        if self.threads is not None:
            command += ["--threads", str(self.threads)]
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port), "--data", str(self.data)],
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
            start_new_session=True,
        )
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.get("/api/models")
                return
            except OSError:
                assert self.process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)

    def kill(self) -> None:
        """As a power cut would; its own processes end with it."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:
            return json.load(answer)

    def send(self, path: Path, title: str) -> str:
        """Add a song to the queue, past the page; returns its id."""
        edge = "a-line-that-is-in-no-song"
        head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{title}.wav"\r\n\r\n'
        request = urllib.request.Request(
            f"{self.url}/api/songs",
            head.encode() + path.read_bytes() + f"\r\n--{edge}--\r\n".encode(),
            {"Content-Type": f"multipart/form-data; boundary={edge}", "X-Stemwise": "1"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            id: str = json.load(answer)["id"]
        return id

    def wait(self, id: str) -> dict[str, Any]:
        """Wait until a song is done."""
        while True:
            song: dict[str, Any] = self.get(f"/api/songs/{id}")
            if song["state"] not in ("queued", "running"):
                return song
            time.sleep(0.1)

    def prepare(self, folder: Path, title: str, stems: dict[str, NDArray[np.float64]]) -> str:
        """A song with stems, each `(samples, channels)`, that a test knows; returns its id."""
        n_samples = len(next(iter(stems.values())))
        id = self.send(write_song(folder / "input.wav", n_samples / RATE), title)
        assert self.wait(id)["state"] == "done"
        for stem, samples in stems.items():
            path = self.data / "songs" / id / f"{stem}.wav"
            assert path.exists()
            soundfile.write(path, samples, RATE, subtype="PCM_16")
        return id
