"""Draws the pictures of docs/studio.md: the page as it is, with the example song in it.

    make studio && python tools/make_screenshots.py

Needs playwright and Debian's chromium, as the tests do.
"""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from studio import BROWSER, FLAGS, StudioServer  # noqa: E402

DOCS = ROOT / "docs"
SONG = ROOT / "examples" / "example_song.mp3"
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


def open_page(browser: Any, url: str, size: dict[str, int], scheme: str) -> Any:
    page = browser.new_context(viewport=size, color_scheme=scheme).new_page()
    page.goto(url)
    page.locator(".model").first.wait_for()
    return page


def shoot(page: Any, name: str) -> None:
    page.wait_for_timeout(500)  # what moves has come to rest
    page.screenshot(path=DOCS / name)
    assert (DOCS / name).stat().st_size < 200_000, name


def into_the_mixer(page: Any) -> None:
    page.locator('.song[data-state="done"] a').first.click()
    page.wait_for_function("() => document.querySelectorAll('stem-wave > div').length === 4")
    page.keyboard.press("Space")
    page.wait_for_function("() => Number(document.querySelector('#clock').textContent.slice(2)) > 1")


def loop(page: Any, start: str, end: str) -> None:
    page.keyboard.press("l")
    for label, text in (("Loop from", start), ("Loop to", end)):
        page.get_by_label(label).fill(text)
        page.get_by_label(label).press("Enter")
    page.get_by_label("Loop to").blur()
    page.keyboard.press("Home")
    page.wait_for_timeout(2500)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as player:
        song = shutil.copy(SONG, Path(folder) / "Example song.mp3")
        server = StudioServer(Path(folder) / "data")
        browser = player.chromium.launch(executable_path=BROWSER, args=FLAGS)
        try:
            page = open_page(browser, server.url, WIDE, "light")
            page.locator("input[type=file]").first.set_input_files(song)
            page.get_by_role("button", name="Separate 1 song").click()
            page.get_by_role("button", name="Play").wait_for(timeout=60_000)
            page.get_by_role("link", name="Add songs").click()
            page.locator("input[type=file]").first.set_input_files(song)
            page.locator(".candidates small", has_text="0:23").wait_for()
            shoot(page, "studio_add.png")
            into_the_mixer(page)
            loop(page, "0:08", "0:12")
            shoot(page, "studio_mixer.png")
            page = open_page(browser, server.url, NARROW, "dark")
            into_the_mixer(page)
            page.keyboard.press("k")
            shoot(page, "studio_narrow.png")
        finally:
            browser.close()
            server.stop()


if __name__ == "__main__":
    main()
