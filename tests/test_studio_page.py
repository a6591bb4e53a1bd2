"""The studio's page in a real browser, with the real server behind it: what is shown."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from audio_files import write_long_song
from studio import NEEDS, PATIENCE_S, ROOT, StudioServer, listen_for, open_song, play, write_song

pytestmark = NEEDS
DRAWN = """() => [...document.querySelectorAll("stem-wave")].every((wave) => {
  const canvas = wave.firstElementChild?.shadowRoot.querySelector("canvas");
  const { width, height } = canvas ?? { width: 0, height: 0 };
  return width && new Set(canvas.getContext("2d").getImageData(0, 0, width, height).data).size > 2;
})"""


def test_a_song_goes_in_and_four_lanes_come_out(page: Any, tmp_path: Path) -> None:
    example, rate = soundfile.read(ROOT / "examples" / "example_song.mp3")
    soundfile.write(tmp_path / "example_song.wav", np.tile(example, (4, 1)), rate)
    page.locator("input[type=file]").first.set_input_files(tmp_path / "example_song.wav")
    chosen = page.locator(".model:has(:checked)")
    chosen.get_by_text("Takes about").wait_for(timeout=1000 * PATIENCE_S)  # measured when the server started
    assert "MIT" in chosen.inner_text()
    assert "MB, installed" in chosen.inner_text()
    page.evaluate(
        """() => {
             const seen = (window.seen = new Set());
             const look = () => {
               const bar = document.querySelector(".waiting progress");
               if (bar) seen.add(bar.value);
               requestAnimationFrame(look);
             };
             look();
           }"""
    )
    page.get_by_role("button", name="Separate 1 song").click()
    page.get_by_role("button", name="Play").wait_for(timeout=60_000)
    progress = page.evaluate("[...seen]")
    assert len(progress) >= 3
    assert progress == sorted(progress)
    assert page.locator("#announcer").inner_text() == "example_song is ready."
    assert page.locator(".lane h2").all_inner_texts() == ["Vocals", "Drums", "Bass", "Other"]
    page.wait_for_function(DRAWN)
    page.get_by_role("button", name="Spectrogram of drums").click()
    page.wait_for_function("() => document.querySelector('.lane img')?.naturalWidth > 100")
    play(page)
    assert np.abs(listen_for(page, 3.0)).max() > 0.05


def test_a_bad_file_says_what_is_wrong_where_it_happens(page: Any, tmp_path: Path) -> None:
    page.expected_complaints = ("the server responded with a status of 4",)
    (tmp_path / "letter.mp3").write_text("Dear musician, this is no music.\n" * 100)
    page.locator("input[type=file]").first.set_input_files(tmp_path / "letter.mp3")
    page.get_by_role("button", name="Separate 1 song").click()
    row = page.locator('.song[data-state="failed"]', has_text="letter.mp3")
    row.wait_for()
    assert "letter" in row.locator(".wrong").inner_text()
    page.get_by_role("button", name="Take off the list letter.mp3").click()
    assert row.count() == 0


def test_a_folder_gives_its_music(page: Any, tmp_path: Path) -> None:
    (tmp_path / "album" / "disc 2").mkdir(parents=True)
    write_song(tmp_path / "album" / "one.wav", 2)
    write_song(tmp_path / "album" / "disc 2" / "two.wav", 2)
    (tmp_path / "album" / "cover.jpg").write_bytes(b"picture")
    page.locator("input[webkitdirectory]").set_input_files(tmp_path / "album")
    page.get_by_role("heading", name="2 songs to separate").wait_for()
    assert sorted(page.locator(".candidates .name").all_inner_texts()) == ["one.wav", "two.wav"]
    page.get_by_text("1 file of the folder did not look like music.").wait_for()
    page.get_by_role("button", name="Leave out one.wav").click()
    page.get_by_role("button", name="Separate 1 song").wait_for()


def test_songs_are_found_and_deleted(page: Any, studio_server: StudioServer, tmp_path: Path) -> None:
    id = studio_server.send(write_song(tmp_path / "song.wav", 2), "Forget me")
    page.locator(f'[data-id="{id}"][data-state="done"]').wait_for()
    page.keyboard.press("/")
    page.keyboard.type("forget")
    page.wait_for_function("() => document.querySelectorAll('.song').length === 1")
    page.get_by_role("button", name="Delete Forget me").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_text("No song is called “forget”.").wait_for()
    assert not (studio_server.data / "songs" / id).exists()
    assert studio_server.get("/api/songs?search=forget")["total"] == 0


def test_a_page_loaded_anew_goes_on_with_the_job(
    page: Any, studio_server: StudioServer, tmp_path: Path
) -> None:
    id = studio_server.send(write_long_song(tmp_path / "song.wav", minutes=4), "Patience")
    page.locator(f'[data-id="{id}"] a').click()
    page.get_by_role("progressbar", name="Separating Patience").wait_for()
    page.reload()
    page.get_by_role("heading", name="Patience").wait_for()
    page.get_by_role("button", name="Play").wait_for(timeout=1000 * PATIENCE_S)


def test_a_server_that_is_killed_goes_on_when_it_is_back(browser: Any, tmp_path: Path) -> None:
    server = StudioServer(tmp_path / "data")
    context = browser.new_context()
    try:
        page = context.new_page()
        page.goto(server.url)
        id = server.send(write_long_song(tmp_path / "song.wav", minutes=3), "Survivor")
        page.locator(f'[data-id="{id}"] a').click()
        has_begun = "() => document.querySelector('.waiting progress')?.value > 0.05"
        page.wait_for_function(has_begun, timeout=1000 * PATIENCE_S)
        server.kill()
        page.get_by_role("alert").get_by_text("The studio does not answer").wait_for()
        server.start()
        page.get_by_role("button", name="Play").wait_for(timeout=1000 * PATIENCE_S)
        assert page.get_by_role("alert").count() == 0
        assert server.get(f"/api/songs/{id}")["state"] == "done"
    finally:
        context.close()
        server.stop()


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)])
def test_nothing_sticks_out_and_everything_has_a_name(
    page: Any, studio_server: StudioServer, tmp_path: Path, size: tuple[int, int]
) -> None:
    id = studio_server.send(write_song(tmp_path / "song.wav", 2), "Small")
    studio_server.wait(id)
    page.set_viewport_size({"width": size[0], "height": size[1]})
    for open_it in (lambda: None, lambda: open_song(page, id), lambda: page.keyboard.press("d")):
        open_it()
        page.wait_for_timeout(200)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        nameless = page.evaluate(
            """() => [...document.querySelectorAll("button, a, input, [role=slider]")].filter((element) =>
                 element.checkVisibility() && !element.innerText?.trim() && !element.ariaLabel
                 && !element.labels?.[0]?.innerText.trim()).map((element) => element.outerHTML)"""
        )
        assert nameless == []


def test_songs_of_every_kind_are_shown_with_what_was_done_to_them(
    page: Any, studio_server: StudioServer, tmp_path: Path
) -> None:
    example, rate = soundfile.read(ROOT / "examples" / "example_song.mp3")
    short = example[: 10 * rate]
    songs = {
        "Silence": (np.zeros((10 * rate, 2)), rate, "silence.wav"),
        "One sample": (np.full((1, 2), 0.3), rate, "one.wav"),
        "Telephone": (short[::6, 0], rate // 6, "telephone.wav"),
        "Cinema": (short[:, [0, 1, 0, 1, 0, 1]] / 6, rate, "cinema.flac"),
        "Cut off": (short, rate, "cut.mp3"),
    }
    for title, (samples, song_rate, name) in songs.items():
        soundfile.write(tmp_path / name, samples, song_rate)
        if title == "Cut off":
            content = (tmp_path / name).read_bytes()
            (tmp_path / name).write_bytes(content[: len(content) // 2])
        id = studio_server.send(tmp_path / name, title)
        assert studio_server.wait(id)["state"] == "done"
        open_song(page, id)
        page.get_by_role("heading", name=title, exact=True).wait_for()  # and not the song before
        page.wait_for_function(DRAWN)
        if title != "One sample":  # which is over before anybody sees it
            play(page)
        assert page.get_by_role("alert").count() == 0
        notes = {"Cinema": ["Its layout (5.1(side)) was mixed down to stereo."]}
        if title == "Cut off":
            assert "it may have been cut off" in page.locator(".notes").inner_text()
        else:
            assert page.locator(".notes").all_inner_texts() == notes.get(title, [])


def test_models_to_be_downloaded_are_one_click_further(page: Any) -> None:
    page.get_by_role("radio", name="stemwise:2stems").wait_for()
    assert page.get_by_role("radio", name="spleeter").count() == 0
    page.get_by_text("6 more models, to be downloaded first").click()
    page.get_by_role("radio", name="spleeter:5stems", exact=False).first.check()
    card = page.locator(".model:has(:checked)")
    assert "Time: known once it is downloaded" in card.inner_text()
    assert "197 MB to download first" in card.inner_text().replace("\u00a0", " ")
    page.reload()  # and the choice of last time is seen
    assert "spleeter:5stems" in page.locator(".model:has(:checked)").inner_text()
