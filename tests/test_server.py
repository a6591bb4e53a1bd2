"""The studio's server as it runs: a process of its own, a socket, small songs."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner

from audio_files import files_below, write_long_song, write_wav
from conftest import song
from server_process import MODEL, PATIENCE_S, Server, is_alive, memory, wait_until

pytest.importorskip("fastapi")
STEMS = ("vocals", "drums", "bass", "other")
FORM, FILE = "multipart/form-data", {"file": b"x"}
NO_FILE = "path is no file in one of the server's folders (music)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("server")
    write_wav(folder / "music" / "lies here.wav", song(20_000))
    (folder / "music" / "no song.wav").write_text("words")
    write_wav(folder / "elsewhere.wav", song(20_000))
    (folder / "music" / "link.wav").symlink_to(folder / "elsewhere.wav")
    os.mkfifo(folder / "music" / "pipe.wav")
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    server = Server(folder, "--folder", str(folder / "music"), "--max-minutes", "30", "--max-upload", "40")
    yield server
    assert server.stop() in (0, -signal.SIGTERM)


@pytest.fixture(scope="module")
def done(server: Server, folder: Path) -> dict[str, Any]:
    """A song that has been separated."""
    added = server.add(write_wav(folder / "A song: 1.wav", song(3 * 44100)))
    assert added.status_code == 201
    return server.wait(added.json()["id"])


@pytest.fixture
def long_song(tmp_path: Path) -> Path:
    return write_long_song(tmp_path / "long.flac", minutes=20)


def stem(server: Server, done: dict[str, Any], name: str) -> np.ndarray:
    content = server.client.get(f"/api/songs/{done['id']}/stems/{name}").content
    samples, rate = soundfile.read(io.BytesIO(content), dtype="float64", always_2d=True)
    assert rate == 44100
    return samples.T


def test_a_song_from_upload_to_stems(server: Server, done: dict[str, Any]) -> None:
    assert done["state"] == "done"
    assert done["error"] is None
    assert (done["title"], done["stems"], done["progress"]) == ("A song: 1", list(STEMS), 1.0)
    assert (done["n_samples"], done["n_channels"], done["sample_rate"]) == (3 * 44100, 2, 44100)
    assert done["model_licence"] == "none"
    assert done["wall_s"] > 0
    assert sum(stem(server, done, name) for name in STEMS).shape == (2, 3 * 44100)
    # the upload is no longer needed, and nothing has the name that it came with
    assert "input" not in files_below(server.data / "songs" / done["id"])
    assert "A song" not in " ".join(files_below(server.data))


def test_what_there_is(server: Server, done: dict[str, Any]) -> None:
    status = server.client.get("/api/status").json()
    assert status["limits"]["duration_s"] == 1800
    assert status["folders"] == ["music"]
    models = {model["name"]: model for model in server.client.get("/api/models").json()}
    assert (models[MODEL]["installed"], models[MODEL]["licence"]) == (True, "none")
    assert models["spleeter:2stems"]["installed"] is False
    assert "make studio" in server.client.get("/").text or "studio" in server.client.get("/").text
    found = server.client.get("/api/songs", params={"search": "a SONG", "state": "done"}).json()
    assert (found["songs"], found["total"]) == ([done], 1)
    assert server.client.get("/api/songs", params={"search": "nothing like it"}).json()["total"] == 0
    assert server.client.get("/api/songs", params={"limit": 0}).json()["songs"] == []


def test_what_songs_will_take_is_known_before_the_first(server: Server) -> None:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        models = {model["name"]: model for model in server.client.get("/api/models").json()}
        paces = {name: model["speed"] for name, model in models.items() if model["installed"]}
        if None not in paces.values():
            break
        time.sleep(0.2)
    assert set(paces) == {"stemwise:4stems", "stemwise:2stems", MODEL}
    assert all(speed > 0.1 for speed in paces.values())
    assert models[MODEL]["per_song_s"] >= 0
    assert models["spleeter:2stems"]["speed"] is None
    assert json.loads((server.data / "paces.json").read_text())["models"].keys() == paces.keys()


def test_ranges_of_a_stem(server: Server, done: dict[str, Any]) -> None:
    url = f"/api/songs/{done['id']}/stems/vocals"
    whole = server.client.get(url)
    part = server.client.get(url, headers={"Range": "bytes=1000-1999"})
    assert (part.status_code, part.content) == (206, whole.content[1000:2000])
    assert part.headers["content-range"] == f"bytes 1000-1999/{len(whole.content)}"
    assert server.client.get(url, headers={"Range": "bytes=-10"}).content == whole.content[-10:]
    assert server.client.get(url, headers={"Range": "bytes=999999999-"}).status_code == 416
    assert "content-disposition" not in whole.headers
    named = server.client.get(url, params={"download": 1}).headers["content-disposition"]
    assert named == "attachment; filename*=utf-8''A%20song_%201%20%28vocals%29.wav"


@pytest.mark.parametrize(
    ("query", "gains", "pans"),
    [
        ({}, (1, 1, 1, 1), (0, 0, 0, 0)),
        ({"gains": "vocals:0.5,bass:1.25"}, (0.5, 0, 1.25, 0), (0, 0, 0, 0)),
        ({"gains": "vocals:1,other:0.7", "pans": "vocals:-0.3,other:1"}, (1, 0, 0, 0.7), (-0.3, 0, 0, 1)),
        ({"gains": "drums:1", "start_s": "0.7", "end_s": "2.2"}, (0, 1, 0, 0), (0, 0, 0, 0)),
    ],
)
def test_a_mix_is_the_sum(  # type: ignore[no-untyped-def]
    server: Server, done: dict[str, Any], query: dict[str, str], gains, pans
) -> None:
    answer = server.client.get(f"/api/songs/{done['id']}/mix", params=query)
    mixed = soundfile.read(io.BytesIO(answer.content), always_2d=True)[0].T
    start, end = (round(float(query.get(key, s)) * 44100) for key, s in (("start_s", 0), ("end_s", 3)))
    expected = sum(
        gain * stem(server, done, name) * [[min(1, 1 - pan)], [min(1, 1 + pan)]]
        for name, gain, pan in zip(STEMS, gains, pans, strict=True)
    )[:, start:end]
    assert answer.headers["x-gain-db"] == "0.00"
    assert mixed.shape == expected.shape
    assert np.abs(mixed - expected).max() < 10 ** (-60 / 20) * np.abs(expected).max()


def test_a_mix_that_would_clip_is_lowered_as_a_whole(server: Server, done: dict[str, Any]) -> None:
    answer = server.client.get(f"/api/songs/{done['id']}/mix", params={"gains": "vocals:8,bass:8"})
    lowered_db = float(answer.headers["x-gain-db"])
    mixed = soundfile.read(io.BytesIO(answer.content), always_2d=True)[0].T
    expected = 8 * (stem(server, done, "vocals") + stem(server, done, "bass"))
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(mixed, expected * 10 ** (lowered_db / 20), atol=2e-3)
    assert 0.999 < np.abs(mixed).max() < 1


def test_peaks_are_the_extremes(server: Server, done: dict[str, Any]) -> None:
    samples = stem(server, done, "drums")
    url = f"/api/songs/{done['id']}/stems/drums/peaks"
    for n_points in (1, 7, 1000, 20_000):
        answer = server.client.get(url, params={"points": n_points}).content
        lowest, highest = np.frombuffer(answer, np.int8).reshape(n_points, 2).T / 127
        edges = np.arange(n_points + 1) * samples.shape[1] // n_points
        pieces = [samples[:, a:b] for a, b in pairwise(edges)]
        # a point may hear a little of its neighbours, and is rounded
        assert (lowest <= [piece.min() + 1 / 250 for piece in pieces]).all()
        assert (highest >= [piece.max() - 1 / 250 for piece in pieces]).all()
        assert lowest.min() == pytest.approx(samples.min(), abs=1 / 250)
    assert np.abs(lowest - [piece.min() for piece in pieces]).max() < 1 / 250


def test_archives_and_other_codecs(server: Server, done: dict[str, Any]) -> None:
    url = f"/api/songs/{done['id']}"
    archive = zipfile.ZipFile(io.BytesIO(server.client.get(f"{url}/zip").content))
    assert sorted(archive.namelist()) == sorted(f"A song_ 1/{name}.wav" for name in STEMS)
    assert archive.testzip() is None
    assert archive.read("A song_ 1/bass.wav") == server.client.get(f"{url}/stems/bass").content
    flac = server.client.get(f"{url}/stems/bass", params={"codec": "flac"})
    assert flac.headers["content-type"] == "audio/flac"
    samples = soundfile.read(io.BytesIO(flac.content), always_2d=True)[0].T
    np.testing.assert_array_equal(samples, stem(server, done, "bass"))
    mp3 = server.client.get(f"{url}/stems/bass", params={"codec": "mp3"})
    assert soundfile.info(io.BytesIO(mp3.content)).frames == 3 * 44100
    picture = server.client.get(f"{url}/stems/bass/spectrogram.png")
    assert picture.content.startswith(b"\x89PNG")
    assert list((server.data / "incoming").iterdir()) == []


def test_a_tone_shows_at_its_height(tmp_path: Path) -> None:
    from PIL import Image

    from stemwise.server.sound import LOWEST_HZ, PICTURE_SIZE, spectrogram

    time_s = torch.arange(4 * 44100) / 44100
    hz = 1000 * 2 ** (time_s > 2).float()  # an octave higher from the middle on
    tone = 0.5 * torch.sin(2 * torch.pi * hz * time_s)
    spectrogram(write_wav(tmp_path / "tone.wav", tone[None], subtype="PCM_16"), tmp_path / "tone.png")
    brightness = np.asarray(Image.open(tmp_path / "tone.png").convert("L"), float)
    n_rows, n_columns = brightness.shape
    assert n_rows == PICTURE_SIZE[0]
    for column, height_hz in ((n_columns // 4, 1000), (3 * n_columns // 4, 2000)):
        octaves = np.log2(height_hz / LOWEST_HZ) / np.log2(22050 / LOWEST_HZ)
        assert abs(n_rows * (1 - octaves) - brightness[:, column].argmax()) < 4


def test_a_song_that_lies_here_is_left_where_it_is(server: Server, folder: Path) -> None:
    for path in ("music/lies here.wav", str(folder / "music" / "lies here.wav")):
        asked = {"path": path, "model": MODEL, "two_stems": "bass"}
        added = server.client.post("/api/songs/from-path", json=asked)
        assert added.status_code == 201
        ended = server.wait(added.json()["id"])
        assert (ended["state"], ended["stems"]) == ("done", ["bass", "accompaniment"])
        assert ended["title"] == "lies here"
    assert (folder / "music" / "lies here.wav").exists()


@pytest.mark.parametrize(
    "path",
    [
        "elsewhere.wav",
        "music/../elsewhere.wav",
        "../elsewhere.wav",
        "music/link.wav",
        "music/pipe.wav",
        "music",
        "music/",
        "music/nothing.wav",
        "/etc/passwd",
        "/dev/zero",
        "~/x.wav",
        "",
        "\0",
        "music/\0.wav",
        "\ud800",
        "music/" + 300 * "x",
        4000 * "x/",
        "http://127.0.0.1/x.wav",
        "concat:music/lies here.wav",
    ],
)
def test_paths_lead_nowhere_else(server: Server, path: str) -> None:
    body = json.dumps({"path": path, "model": MODEL}).encode("ascii")
    kind = {"Content-Type": "application/json"}
    answer = server.client.post("/api/songs/from-path", content=body, headers=kind)
    assert answer.status_code in (403, 422)
    assert answer.status_code == 422 or answer.json() == {"detail": NO_FILE}


def test_where_it_is_seen_that_something_is_no_song(server: Server, folder: Path, tmp_path: Path) -> None:
    playlist = tmp_path / "song.mp3"
    secret = (folder / "elsewhere.wav").as_posix()
    bodies = {
        "words": b"no song at all",
        "nothing": b"",
        "HLS": f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{secret}\n#EXT-X-ENDLIST\n".encode(),
        "concat": f"ffconcat version 1.0\nfile {secret}\n".encode(),
        "SDP": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 4 RTP/AVP 0\n",
        "picture": b"P6 1 1 255\n\0\0\0",
        "lavfi": b"sine=frequency=1000",
    }
    for body in bodies.values():
        playlist.write_bytes(body)
        answer = server.add(playlist)
        assert (answer.status_code, answer.json()["detail"][:5]) == (415, "song:")
        assert str(server.data) not in answer.text
    assert list((server.data / "incoming").iterdir()) == []


@pytest.mark.parametrize(
    ("form", "status", "words"),
    [
        ({"data": {"model": MODEL}, "files": {"other": b"x"}}, 400, "no part called file"),
        ({"content": b"x", "headers": {"Content-Type": "text/plain"}}, 400, FORM),
        ({"content": b"x", "headers": {"Content-Type": FORM}}, 400, FORM),
        ({"content": b"--a\r\n", "headers": {"Content-Type": f"{FORM}; boundary=a"}}, 400, "broken"),
        ({"data": {"model": "x" * 2000}, "files": FILE}, 400, "1000 bytes"),
        ({"data": {"model": "/etc/passwd"}, "files": FILE}, 422, "model is '/etc/passwd'"),
        ({"data": {"model": MODEL, "two_stems": "kazoo"}, "files": FILE}, 422, "two_stems is 'kazoo'"),
        ({"files": [("file", b"x"), ("file", b"y")]}, 400, "two parts"),
        ({"files": {"file": bytes(41_000_000)}}, 413, "larger than 40 MB"),
    ],
)
def test_forms_that_cannot_be(server: Server, form: dict[str, Any], status: int, words: str) -> None:
    url, headers = server.client.base_url, server.client.headers
    with httpx.Client(base_url=url, headers=headers, timeout=PATIENCE_S) as client:
        answer = client.post("/api/songs", **form)  # some of it the server does not read to its end
    assert answer.status_code == status
    assert words in answer.json()["detail"]
    assert list((server.data / "incoming").iterdir()) == []


def test_an_upload_that_does_not_say_its_size_is_cut_off(server: Server) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
    pieces = (head if n == 0 else bytes(1_000_000) for n in range(60))
    url, headers = server.client.base_url, {"X-Stemwise": "1"}
    with httpx.Client(base_url=url, headers=headers, timeout=PATIENCE_S) as client:
        answer = client.post("/api/songs", content=pieces, headers={"Content-Type": f"{FORM}; boundary=b"})
    assert answer.status_code == 413
    assert "larger than 40 MB" in answer.json()["detail"]
    assert list((server.data / "incoming").iterdir()) == []


def test_what_is_too_long_is_refused(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "silence.flac"
    soundfile.write(path, np.zeros((1801 * 8000, 1)), 8000)
    answer = server.add(path)
    assert answer.status_code == 413
    assert "30 minutes" in answer.json()["detail"]


def is_under_way(server: Server, id: str) -> bool:
    return 0 < server.client.get(f"/api/songs/{id}").json()["progress"] < 1


def test_a_song_is_cancelled_within_a_second_and_tried_again(server: Server, long_song: Path) -> None:
    id = server.add(long_song).json()["id"]
    server.wait(id, "running")
    waiting = server.add(long_song).json()
    assert (waiting["state"], waiting["position"]) == ("queued", 1)

    def seconds() -> float:
        wait_until(lambda: is_under_way(server, id))
        begin = time.monotonic()
        cancelled = server.client.post(f"/api/songs/{id}/cancel").json()
        took = time.monotonic() - begin
        assert cancelled["state"] == "cancelled"
        assert files_below(server.data / "songs" / id) == ["input"]
        assert server.client.get(f"/api/songs/{id}/stems/vocals").status_code == 404
        assert server.client.post(f"/api/songs/{id}/cancel").status_code == 409
        assert server.client.post(f"/api/songs/{id}/retry").json()["state"] in ("queued", "running")
        return took

    assert any(seconds() < 1 for _ in range(3))  # on a machine that has other things to do
    assert server.client.delete(f"/api/songs/{id}").status_code == 204
    assert server.client.delete(f"/api/songs/{waiting['id']}").status_code == 204
    assert server.client.get(f"/api/songs/{id}").status_code == 404
    assert not (server.data / "songs" / id).exists()


def test_a_worker_that_is_killed_fails_its_song_only(server: Server, long_song: Path, folder: Path) -> None:
    id = server.add(long_song).json()["id"]
    wait_until(lambda: is_under_way(server, id))
    os.kill(max(server.children(), key=memory), signal.SIGKILL)  # only the one with torch is so large
    failed = server.wait(id)
    assert failed["state"] == "failed"
    assert "SIGKILL" in failed["error"]
    assert server.wait(server.add(folder / "elsewhere.wav").json()["id"])["state"] == "done"
    assert server.client.delete(f"/api/songs/{id}").status_code == 204


def test_news_of_a_song(server: Server, folder: Path) -> None:
    events: list[tuple[str, dict[str, Any]]] = []
    is_open, is_done = threading.Event(), threading.Event()

    def watch() -> None:
        with server.client.stream("GET", "/api/events") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            kind = ""
            for line in answer.iter_lines():
                is_open.set()
                if line.startswith("event: "):
                    kind = line.removeprefix("event: ")
                if line.startswith("data: "):
                    data = json.loads(line.removeprefix("data: "))
                    events.append((kind, data))
                    if data.get("state") == "done":
                        is_done.set()
                    if kind == "deleted":
                        return

    watcher = threading.Thread(target=watch)
    watcher.start()
    is_open.wait(PATIENCE_S)
    id = server.add(folder / "elsewhere.wav").json()["id"]
    assert is_done.wait(PATIENCE_S)
    server.client.delete(f"/api/songs/{id}")
    watcher.join(PATIENCE_S)
    states = [data["state"] for kind, data in events if kind == "song" and data["id"] == id]
    order = ["queued", "running", "done"]
    assert states == sorted(states, key=order.index)
    assert "done" in states  # of states that follow each other at once only the last may be told
    assert events[-1] == ("deleted", {"id": id})


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/api/status", {"Host": "evil.example"}, 400),
        ("GET", "/api/status", {"Host": "127.0.0.1.evil.example:8765"}, 400),
        ("GET", "/api/status", {"Host": ""}, 400),
        ("GET", "/", {"Host": "evil.example"}, 400),
        ("GET", "/api/status", {"Host": "localhost:1234"}, 200),
        ("GET", "/api/status", {"Host": "[::1]:1234"}, 200),
        ("GET", "/api/status", {"Origin": "http://evil.example"}, 403),
        ("GET", "/api/status", {"Origin": "null"}, 403),
        ("GET", "/api/status", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("GET", "/api/status", {"Sec-Fetch-Site": "same-site"}, 403),
        ("GET", "/", {"Sec-Fetch-Site": "cross-site"}, 200),
        ("POST", "/api/songs/0123456789abcdef/cancel", {"X-Stemwise": ""}, 404),
        ("POST", "/api/songs/0123456789abcdef/cancel", {"Origin": "http://evil.example"}, 403),
        ("POST", "/api/songs/0123456789abcdef/cancel", {}, 403),
        ("DELETE", "/api/songs/0123456789abcdef", {}, 403),
        ("DELETE", "/api/songs/0123456789abcdef", {"Origin": "SELF"}, 404),
        ("DELETE", "/api/songs/0123456789abcdef", {"Origin": "https://127.0.0.1:1"}, 403),
        ("POST", "/api/songs/from-path", {"Origin": "SELF", "Content-Length": "70000"}, 413),
    ],
)
def test_other_sites_are_kept_out(
    server: Server, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    own = str(server.client.base_url).rstrip("/")
    headers = {key: value.replace("SELF", own) for key, value in headers.items()}
    body = b" " * int(headers.pop("Content-Length", "0"))
    with httpx.Client(base_url=own, timeout=PATIENCE_S) as stranger:
        answer = stranger.request(method, path, headers=headers, content=body)
    assert answer.status_code == status
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    if status >= 400:
        assert list(answer.json()) == ["detail"]


def test_a_second_server_is_kept_off_the_folder(server: Server) -> None:
    command = [sys.executable, "-m", "stemwise", "serve", "--no-open", "--port", "0", "--data"]
    second = subprocess.run([*command, str(server.data)], capture_output=True, text=True)
    assert second.returncode == 2
    assert "which another server is using" in second.stderr


def test_beyond_this_machine_a_token_is_needed(tmp_path: Path) -> None:
    from stemwise.errors import ConfigError
    from stemwise.server import Settings

    for host in ("0.0.0.0", "::", "192.168.1.5", "studio.example.org"):
        with pytest.raises(ConfigError, match="--token"):
            Settings(data=tmp_path, host=host)
    with pytest.raises(ConfigError, match="8 or more"):
        Settings(data=tmp_path, token="short")
    away = Settings(data=tmp_path, host="0.0.0.0", token="a long secret", names=("studio.example.org",))
    assert [away.answers_to(name) for name in ("192.168.1.5", "studio.example.org", "evil.example")] == [
        True,
        True,
        False,
    ]


@pytest.mark.parametrize("limit", ["--max-disk", "--max-minutes", "--keep-days"])
@pytest.mark.parametrize("value", ["inf", "nan", "0"])
def test_limits_that_are_no_numbers_are_refused(tmp_path: Path, limit: str, value: str) -> None:
    from stemwise.cli import app
    from stemwise.errors import ConfigError

    arguments = ["serve", "--no-open", "--data", str(tmp_path), limit, value]
    with mock.patch("stemwise.server.run.run"):
        result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, ConfigError)
    assert f"is {float(value)}: it must be positive and finite" in str(result.exception)


def test_a_server_dies_and_another_goes_on_and_asks_for_its_token(tmp_path: Path) -> None:
    server = Server(tmp_path, "--token", "a long secret")
    assert server.client.get("/api/status").status_code == 401
    assert server.client.get("/", params={"token": "another one"}).status_code == 401
    entered = server.client.get("/", params={"token": "a long secret"})
    assert (entered.status_code, entered.headers["location"]) == (303, "/")
    assert "HttpOnly" in entered.headers["set-cookie"]
    assert server.client.get("/api/status").status_code == 200  # by the cookie
    bearer = {"Authorization": "Bearer a long secret"}
    server.client.headers.update(bearer)
    running = server.add(write_wav(tmp_path / "long.wav", song(60 * 44100))).json()["id"]
    waiting = server.add(write_wav(tmp_path / "short.wav", song(20_000))).json()["id"]
    server.wait(running, "running")
    wait_until(lambda: any((server.data / "songs" / running).glob(".*.part")))
    children = server.children()
    server.kill()
    wait_until(lambda: not any(map(is_alive, children)))
    server.start()
    server.client.headers.update(bearer)
    assert server.wait(running)["state"] == "done"
    assert server.wait(waiting)["state"] == "done"
    assert not list((server.data / "songs").rglob(".*.part"))
    server.stop()
