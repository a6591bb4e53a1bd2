"""The studio's server under load, and before people who mean it no good: minutes, so not run by default."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import soundfile

from audio_files import files_below, read_wav, write_long_song, write_wav
from conftest import song
from hostile import requests
from server_process import PATIENCE_S, Server, is_alive, memory, wait_until
from stemwise.audio import AudioWriter

pytest.importorskip("fastapi")
schemathesis = pytest.importorskip("schemathesis")
pytestmark = pytest.mark.slow
N_CLIENTS, N_SONGS = 10, 50
HANG_UP_S = 10.0  # after a request that is no whole one


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("server")
    write_wav(folder / "music" / "lies here.wav", song(20_000))
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    server = Server(folder, "--folder", str(folder / "music"), "--max-queue", "60", "--max-upload", "40")
    yield server
    server.stop()


@pytest.fixture
def outside(server: Server, folder: Path) -> Iterator[None]:
    """Whatever happens in the test, files appear in the server's places only, and it lives."""
    before = [name for name in files_below(folder) if not name.startswith("data/")]
    yield
    assert [name for name in files_below(folder) if not name.startswith("data/")] == before
    for name in files_below(server.data):
        assert name.startswith(("songs/", "incoming/", "trials/", "journal.sqlite", "lock", "paces."))
    assert is_alive(server.process.pid)
    assert server.client.get("/api/status").status_code == 200


def test_many_songs_by_many_clients_and_none_is_lost(server: Server, tmp_path: Path) -> None:
    path = write_wav(tmp_path / "short.wav", song(20_000))
    is_over, waits = threading.Event(), []

    def watch() -> None:  # as a page does that somebody looks at
        while not is_over.is_set():
            begin = time.monotonic()
            assert server.client.get("/api/songs").status_code == 200
            waits.append(time.monotonic() - begin)
            time.sleep(0.2)

    def add(number: int) -> str:
        added = server.add(path, f"song {number}.wav")
        assert added.status_code == 201
        return str(added.json()["id"])

    watcher = threading.Thread(target=watch)
    watcher.start()
    with ThreadPoolExecutor(N_CLIENTS) as clients:
        ids = list(clients.map(add, range(N_SONGS)))
    ended = {id: server.wait(id) for id in ids}
    is_over.set()
    watcher.join()
    assert {song["title"] for song in ended.values()} == {f"song {n}" for n in range(N_SONGS)}
    assert {song["state"] for song in ended.values()} == {"done"}
    shapes = {
        read_wav(server.data / "songs" / id / f"{stem}.wav")[0].shape
        for id in ids
        for stem in ended[id]["stems"]
    }
    assert shapes == {(2, 20_000)}
    assert sorted(waits)[len(waits) // 2] < 1  # s


def test_a_full_queue_says_so(server: Server, tmp_path: Path) -> None:
    path = write_wav(tmp_path / "short.wav", song(20_000))
    server.wait(server.add(path).json()["id"], "done")
    worker = max(server.children(), key=memory)  # only the one with torch is so large
    os.kill(worker, signal.SIGSTOP)  # lest songs are done as fast as they come
    try:
        with ThreadPoolExecutor(N_CLIENTS) as clients:
            answers = list(clients.map(lambda _: server.add(path), range(90)))
    finally:
        os.kill(worker, signal.SIGCONT)
    refused = [answer for answer in answers if answer.status_code != 201]
    assert refused
    assert {answer.status_code for answer in refused} == {429}
    assert "songs are waiting already" in refused[0].json()["detail"]
    for answer in answers:
        if answer.status_code == 201:
            server.client.delete(f"/api/songs/{answer.json()['id']}")


def test_requests_made_from_the_interfaces_own_description(server: Server, outside: None) -> None:
    """Hypothesis makes them, good ones and bad ones; what they ask for may be refused but must not fail."""
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis.errors import Unsatisfiable

    options = settings(
        max_examples=12,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    ours, seen = {"X-Stemwise": "1"}, []

    def ask(case: Any) -> None:
        answer = case.call(headers=ours, timeout=PATIENCE_S)
        assert answer.status_code < 500, (case.method, case.path, answer.text)
        seen.append(answer.status_code)

    schema = schemathesis.openapi.from_url(f"{server.client.base_url}api/openapi.json", headers=ours)
    operations = [result.ok() for result in schema.get_all_operations()]
    for operation in operations:
        if operation.path == "/api/events":
            continue  # has no end
        for mode in schemathesis.GenerationMode:
            with suppress(Unsatisfiable):  # there are no bad examples of what takes nothing
                options(given(case=operation.as_strategy(generation_mode=mode))(ask))()
    assert len(seen) >= 150
    assert len(set(seen)) >= 4


def raw(server: Server, data: bytes) -> bytes:
    """What the server says to bytes that no library would send; nothing if it waits for more, or hangs up."""
    url, answer = server.client.base_url, b""
    with (
        socket.create_connection((url.host, url.port), timeout=HANG_UP_S) as connection,
        suppress(OSError),
    ):
        connection.sendall(data)
        while piece := connection.recv(65536):
            answer += piece
    return answer


def test_requests_that_nobody_should_send(server: Server, folder: Path, outside: None) -> None:
    url, id = server.client.base_url, server.add(folder / "music" / "lies here.wav").json()["id"]
    assert server.wait(id)["state"] == "done"
    sent = list(requests(f"{url.host}:{url.port}", id))
    with ThreadPoolExecutor(16) as clients:
        answers = list(clients.map(lambda data: raw(server, data), sent))
    assert len(answers) >= 200
    both = zip(sent, answers, strict=True)
    assert [data[:200] for data, answer in both if answer.startswith(b"HTTP/1.1 5")] == []
    assert sum(answer.startswith(b"HTTP/1.1 ") for answer in answers) >= 190  # some are hung up on
    wait_until(lambda: not any((server.data / "incoming").iterdir()))  # the server notices it a moment later
    assert not (Path("/tmp") / "evil.wav").exists()


def test_songs_that_are_damaged_in_every_way(server: Server, outside: None, tmp_path: Path) -> None:
    """Some are refused, some fail, some are separated as far as they go; the server does not mind."""
    rng = random.Random(0)
    ids, refused = [], 0
    for codec in ("wav", "flac", "mp3", "ogg", "opus", "m4a", "wma"):
        path = tmp_path / f"whole.{codec}"
        with AudioWriter(path, codec=codec, sample_rate=48000, n_channels=2) as writer:
            writer.write(song(10_000).numpy())
            writer.finish()
            writer.publish()
        whole = path.read_bytes()
        for _ in range(12):
            data = bytearray(whole)
            for _ in range(rng.choice([1, 10, 200])):
                data[rng.randrange(rng.choice([64, 512, len(data)]))] = rng.randrange(256)
            path.write_bytes(data[: rng.choice([len(data), len(data) // 2, 100])])
            answer = server.add(path)
            assert answer.status_code in (201, 413, 415, 422), answer.text
            refused += answer.status_code != 201
            if answer.status_code == 201:
                ids.append(answer.json()["id"])
    states = [server.wait(id) for id in ids]
    assert refused
    assert {state["state"] for state in states} <= {"done", "failed"}
    for state in states:
        assert (state["error"] is None) == (state["state"] == "done")
        assert str(server.data) not in json.dumps(state)


def test_songs_in_a_database_of_postgresql_survive_a_crash(postgres: str, tmp_path: Path) -> None:
    import psycopg

    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS songs, journal")
    server = Server(tmp_path, "--database", postgres)
    noise = write_wav(tmp_path / "noise.wav", song(5 * 44100))
    ids = [server.add(noise).json()["id"] for _ in range(3)]
    server.wait(ids[0], "running", "done")
    server.kill()
    server.start()
    assert [server.wait(id)["state"] for id in ids] == ["done"] * 3
    assert server.client.get("/api/songs", params={"search": "NOISE"}).json()["total"] == 3
    assert server.client.get("/api/songs", params={"search": "a\0_%"}).json()["total"] == 0
    assert not (server.data / "journal.sqlite").exists()
    server.stop()


def test_a_second_server_is_kept_off_the_database(postgres: str, tmp_path: Path) -> None:
    first = Server(tmp_path / "first", "--database", postgres)
    id = first.add(write_long_song(tmp_path / "long.flac", minutes=20)).json()["id"]
    first.wait(id, "running")
    command = [sys.executable, "-m", "stemwise", "serve", "--no-open", "--port", "0", "--database", postgres]
    command += ["--data", str(tmp_path / "second")]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    assert refused.returncode != 0
    assert "is used by another server: give each a database" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert first.client.get(f"/api/songs/{id}").json()["state"] == "running"
    assert first.wait(id)["state"] == "done"  # it was not taken away
    first.kill()
    second = Server(tmp_path / "third", "--database", postgres)
    assert second.client.get("/api/status").status_code == 200
    second.stop()


def test_a_song_that_hides_its_length_is_found_out(folder: Path, tmp_path: Path) -> None:
    raw_aac = tmp_path / "song.aac"
    short = Server(tmp_path / "short", "--max-minutes", "0.1")
    adts = tmp_path / "long.wav"
    soundfile.write(adts, [0.0] * 8000 * 30, 8000)
    import av

    with av.open(str(adts)) as source, av.open(str(raw_aac), "w", format="adts") as target:
        stream = target.add_stream("aac", rate=8000)
        for frame in source.decode(audio=0):
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    added = short.add(raw_aac)
    if added.status_code == 201:
        ended = short.wait(added.json()["id"])
        assert ended["state"] == "failed"
        assert "longer than 0.1 minutes" in ended["error"]
        assert files_below(short.data / "songs" / ended["id"]) == ["input"]
    else:
        assert added.status_code == 413
    short.stop()
