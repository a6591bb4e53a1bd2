"""What somebody at the studio's page waits for, and what the page costs, in a real browser.

    make test-studio && python benchmarks/studio_page.py

- From a song that is dropped to its first sound: sent, separated, opened, played.
- From a click on solo to silence of the others, in the audio graph: the stems are constants, so that
  the sum says which are heard. The loudspeaker's own delay comes on top.
- Memory of the browser's process that shows the page (proportional set size: of what is shared, its
  share) while a song of an hour is played, sought through and slowed down.
"""

import argparse
import statistics
import struct
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from playwright.sync_api import sync_playwright

from measure import REPOSITORY, append_json_lines, machine, table, warn_if_busy

sys.path.insert(0, str(REPOSITORY / "tests"))
from studio import BROWSER, FLAGS, RATE, StudioServer, heard, listen, open_song, play

STEMS = {"vocals": 0.1, "drums": 0.2, "bass": 0.05, "other": 0.4}


def first_sound(page: Any, server: StudioServer, folder: Path, seconds: float) -> float:
    """Seconds from dropping a song to hearing it."""
    example, rate = soundfile.read(REPOSITORY / "examples" / "example_song.mp3")
    song = np.resize(example, (int(seconds * rate), 2))
    path = folder / f"song{time.monotonic_ns()}.mp3"
    soundfile.write(path, song, rate)
    page.goto(server.url)
    page.locator(".model").first.wait_for()
    began = time.monotonic()
    page.locator("input[type=file]").first.set_input_files(path)
    page.get_by_role("button", name="Separate 1 song").click()
    page.get_by_role("button", name="Play").click(timeout=300_000)
    page.wait_for_function("() => heard.blocks.some((block) => block.some((sample) => sample !== 0))")
    return time.monotonic() - began


def solo_delays(page: Any, id: str, n: int = 20) -> list[float]:
    """Seconds from clicks on solo to the others being 40 dB down."""
    open_song(page, id)
    page.keyboard.press("l")
    play(page)
    delays = []
    for index in range(n):
        page.wait_for_timeout(300)
        clicked = page.evaluate(
            """() => {
                 const { currentTime, sampleRate } = heard.context;
                 document.querySelector("[aria-label='Solo drums']").click();
                 return Math.round(currentTime * sampleRate);
               }"""
        )
        page.wait_for_function(
            "(end) => heard.first + 128 * heard.blocks.length > end", arg=clicked + 3 * RATE // 10
        )
        first, sound = heard(page, clicked - 4096)
        wanted = STEMS["drums"] if index % 2 == 0 else sum(STEMS.values())
        wrong = np.abs(sound[0, clicked - first :] - wanted) > 0.01 * sum(STEMS.values())
        delays.append(float(np.flatnonzero(wrong)[-1] + 1) / RATE)
    return delays


def stretch(path: Path, seconds: float) -> None:
    """Make a wav file of 16 bits and two channels as long as that, with silence that takes no disk."""
    n_bytes = int(seconds * RATE) * 4
    with path.open("r+b") as file:
        head = file.read(4096)
        data = head.index(b"data")
        file.seek(4)
        file.write(struct.pack("<I", n_bytes + data))
        file.seek(data + 4)
        file.write(struct.pack("<I", n_bytes))
        file.truncate(data + 8 + n_bytes)


def renderer_bytes() -> int:
    """Proportional set size of the browser's largest process that shows pages."""
    sizes = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"--type=renderer" in (process / "cmdline").read_bytes():
                rollup = (process / "smaps_rollup").read_text()
                sizes.append(1024 * int(rollup.split("Pss:")[1].split()[0]))
        except OSError:
            continue
    return max(sizes)


def hour_memory(page: Any, server: StudioServer, id: str, watch_s: float) -> tuple[int, int]:
    """Bytes of the page's process before an hour's song is opened, and the most while it is played."""
    for stem in STEMS:
        stretch(server.data / "songs" / id / f"{stem}.wav", 3600)
        (server.data / "songs" / id / f"{stem}.peaks").unlink(missing_ok=True)
    page.goto(server.url)
    page.wait_for_timeout(1000)
    before = most = renderer_bytes()
    open_song(page, id)
    page.keyboard.press("Space")
    box = page.locator('.lane[data-stem="drums"] .track').bounding_box()
    end = time.monotonic() + watch_s
    step = 0
    while time.monotonic() < end:
        page.wait_for_timeout(700)
        step += 1
        if step % 2:
            page.mouse.click(box["x"] + box["width"] * (step * 0.37 % 1), box["y"] + 20)
        if step == 20:
            page.keyboard.press("-")
        most = max(most, renderer_bytes())
    assert page.locator(".play[data-state=playing]").count() == 1
    return before, most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=240, help="of the song that is dropped")
    parser.add_argument("--runs", type=int, default=3, help="songs that are dropped")
    parser.add_argument(
        "--watch", type=float, default=30, help="seconds for which the song of an hour is played"
    )
    parser.add_argument("--output", type=Path, default=REPOSITORY / "benchmarks/results/studio_page.jsonl")
    options = parser.parse_args()
    warn_if_busy()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as player:
        server = StudioServer(Path(folder) / "data", threads=None)
        browser = player.chromium.launch(executable_path=BROWSER, args=FLAGS)
        try:
            page = browser.new_page()
            listen(page)
            waits = [first_sound(page, server, Path(folder), options.seconds) for _ in range(options.runs)]
            constants = {stem: np.full((12 * RATE, 2), level) for stem, level in STEMS.items()}
            id = server.prepare(Path(folder), "Constants", constants)
            page.goto(server.url)
            delays = solo_delays(page, id)
            page.close()
            before, most = hour_memory(browser.new_page(), server, id, options.watch)
        finally:
            browser.close()
            server.stop()
    figures = {"first_sound_s": waits, "solo_s": delays, "page_bytes": before, "page_with_hour_bytes": most}
    append_json_lines(options.output, [{**machine(), "song_s": options.seconds, **figures}])
    rows = [
        [
            f"drop to first sound, {options.seconds:g} s of music",
            f"{statistics.median(waits):.1f} s",
            f"{max(waits):.1f} s",
        ],
        [
            "solo heard, in the graph",
            f"{1000 * statistics.median(delays):.0f} ms",
            f"{1000 * max(delays):.0f} ms",
        ],
        ["page, no song open", f"{before / 1e6:.0f} MB", ""],
        ["page, an hour's song played", f"{most / 1e6:.0f} MB", ""],
    ]
    print(table(["", "median", "worst"], rows))


if __name__ == "__main__":
    main()
