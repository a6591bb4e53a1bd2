"""Object storage, on a real S3 server: what is seen there is whole, whatever breaks."""

import hashlib
import http.server
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from object_storage import BadNetwork, S3Server, environment
from stemwise.batch import clients, storage
from stemwise.errors import ConfigError, StorageError

pytest.importorskip("s3fs")
N_BYTES = 6 << 20  # two parts of an upload


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "PIECE_BYTES", 5 << 20)


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    server = S3Server()
    yield server
    server.close()


@pytest.fixture(scope="module")
def wires(server: S3Server) -> Iterator[BadNetwork]:
    network = BadNetwork(server.port)
    yield network
    network.close()


@pytest.fixture
def network(wires: BadNetwork, monkeypatch: pytest.MonkeyPatch) -> BadNetwork:
    """The way to the server, in order at first; requests go through it."""
    wires.mend()
    connect(monkeypatch, wires.url)
    return wires


@pytest.fixture
def bucket(server: S3Server, network: BadNetwork, request: pytest.FixtureRequest) -> str:
    """An empty bucket of this test's."""
    name = hashlib.sha256(request.node.name.encode()).hexdigest()[:20]
    direct(server).mkdir(name)
    return name


def connect(monkeypatch: pytest.MonkeyPatch, url: str, *key: str) -> None:
    import s3fs

    for name, value in environment(url, *key).items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()


def direct(server: S3Server) -> "s3fs.S3FileSystem":  # noqa: F821
    """To look at the server past the network and past what is tested."""
    import s3fs

    return s3fs.S3FileSystem(endpoint_url=server.url, use_listings_cache=False)


def digests(server: S3Server, bucket: str) -> dict[str, str]:
    """What somebody else would see: key → SHA-256."""
    files = direct(server)
    contents = {key.removeprefix(f"{bucket}/"): files.cat_file(key) for key in files.find(bucket)}
    return {key: hashlib.sha256(content).hexdigest() for key, content in contents.items()}


@pytest.fixture
def stems(tmp_path: Path) -> dict[str, Path]:
    """Two files of few bytes and, between them, one of two parts."""
    paths = {}
    for n, (name, n_bytes) in enumerate([("bass", 9), ("vocals", N_BYTES), ("drums", 9)]):
        paths[name] = tmp_path / f"{name}.wav"
        paths[name].write_bytes(bytes([n]) + os.urandom(n_bytes - 1))
    return paths


def targets(bucket: str, stems: dict[str, Path]) -> dict[str, Path]:
    return {f"s3://{bucket}/a song/{name}.wav": path for name, path in stems.items()}


def expected(stems: dict[str, Path]) -> dict[str, str]:
    return {f"a song/{name}.wav": storage.sha256(str(path)) for name, path in stems.items()}


def test_stems_arrive_and_come_back_bit_for_bit(
    server: S3Server, bucket: str, stems: dict[str, Path], tmp_path: Path
) -> None:
    sent, fetched = [], []
    storage.publish(targets(bucket, stems), progress=lambda done, total: sent.append((done, total)))
    assert digests(server, bucket) == expected(stems)
    total = N_BYTES + 18
    assert sent[-1] == (total, total)
    assert sent == sorted(sent)
    (tmp_path / "scratch").mkdir()
    url = f"s3://{bucket}/a song/vocals.wav"
    folder = tmp_path / "scratch"
    came = storage.fetch(url, folder, progress=lambda done, total: fetched.append((done, total)))
    assert came == tmp_path / "scratch" / "vocals.wav"
    assert came.read_bytes() == stems["vocals"].read_bytes()
    assert fetched[-1] == (N_BYTES, N_BYTES)
    assert storage.size(url) == N_BYTES
    assert storage.sha256(url) == storage.sha256(str(stems["vocals"]))
    storage.remove(url)
    assert storage.size(url) is None
    storage.remove(url)  # may be gone already


def test_songs_are_found_by_name_folder_and_glob(server: S3Server, bucket: str) -> None:
    files = direct(server)
    names = ["a/1 ä#.mp3", "a/b/2[x].flac", "a/b/c/3.wav", "a/notes.txt", "a/.hidden.mp3", "z/4.mp3"]
    for name in names:
        files.pipe_file(f"{bucket}/{name}", b"12345")
    root = f"s3://{bucket}"

    def found(url: str) -> list[tuple[str, str]]:
        songs = storage.find_songs(url)
        for song in songs:
            assert song.n_bytes == 5
            assert storage.stamp(song.url) == {"bytes": 5, "etag": song.etag}
        return [(song.url.removeprefix(f"{root}/"), song.folder) for song in songs]

    assert found(f"{root}/a") == [(names[0], ""), (names[1], "b"), (names[2], "b/c")]
    assert found(f"{root}/a/") == found(f"{root}/a")
    assert len(found(root)) == 4
    assert found(f"{root}/a/*.mp3") == [(names[0], "")]
    assert found(f"{root}/a/**/*.wav") == [(names[2], "b/c")]
    assert found(f"{root}/*/b/*.flac") == [(names[1], "a/b")]
    assert found(f"{root}/a/b/2[x].flac") == [(names[1], "")]  # a name first, a pattern if there is none such
    assert found(f"{root}/a/notes.txt") == [("a/notes.txt", "")]
    with pytest.raises(ConfigError, match=r"nothing has no audio file"):
        storage.find_songs(f"{root}/nothing")
    with pytest.raises(ConfigError, match=r"\*\*.wav is no pattern"):
        storage.find_songs(f"{root}/**.wav")


@pytest.mark.parametrize("share", [0.0, 0.4, 0.9999])
def test_an_upload_that_breaks_off_shows_nothing_and_can_be_made_up_for(
    server: S3Server, network: BadNetwork, bucket: str, stems: dict[str, Path], share: float
) -> None:
    before = {name: path.with_suffix(".old") for name, path in stems.items()}
    for path in before.values():
        path.write_bytes(b"what was there before")
    storage.publish(targets(bucket, before))
    network.mend()
    network.breaks_after_sent = int(share * sum(path.stat().st_size for path in stems.values()))
    with pytest.raises(StorageError, match=f"s3://{bucket}/a song/") as error:
        storage.publish(targets(bucket, stems))
    assert error.value.passing
    assert "\n" not in str(error.value)
    assert digests(server, bucket) == expected(before)
    network.mend()
    storage.publish(targets(bucket, stems))
    assert digests(server, bucket) == expected(stems)


def test_an_upload_whose_process_is_killed_shows_nothing(
    server: S3Server, network: BadNetwork, bucket: str, stems: dict[str, Path]
) -> None:
    pairs = [(url, str(path)) for url, path in targets(bucket, stems).items()]
    code = f"""
        from pathlib import Path
        from stemwise.batch import storage
        storage.publish({{url: Path(path) for url, path in {pairs}}})
    """
    network.stalls_after_sent = N_BYTES // 2
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)]) as process:
        while network.sent < network.stalls_after_sent:
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    assert digests(server, bucket) == {}
    network.mend()
    storage.publish(targets(bucket, stems))
    assert digests(server, bucket) == expected(stems)


def test_an_upload_that_is_interrupted_leaves_no_parts_behind(
    server: S3Server, bucket: str, stems: dict[str, Path]
) -> None:
    def interrupt(done: int, total: int | None) -> None:
        if done > N_BYTES // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        storage.publish(targets(bucket, stems), progress=interrupt)
    assert direct(server).list_multipart_uploads(bucket) == []
    assert digests(server, bucket) == {}


def test_what_passes_is_told_from_what_does_not(
    network: BadNetwork, bucket: str, stems: dict[str, Path]
) -> None:
    network.busy = sys.maxsize
    with pytest.raises(StorageError, match="the storage failed") as error:
        storage.publish(targets(bucket, stems))
    assert error.value.passing
    network.mend()
    for url in (f"s3://{bucket}-no/a", f"s3://{bucket}/none.mp3"):
        with pytest.raises(StorageError, match=rf"{url} does not exist") as error:
            storage.fetch(url, Path())
        assert not error.value.passing
    with pytest.raises(StorageError, match="does not exist") as error:
        storage.publish({f"s3://{bucket}-no/a": stems["bass"]})
    assert not error.value.passing


def test_a_download_that_breaks_off_leaves_nothing(
    network: BadNetwork, bucket: str, stems: dict[str, Path], tmp_path: Path
) -> None:
    storage.publish(targets(bucket, stems))
    folder = tmp_path / "scratch"
    folder.mkdir()
    network.mend()
    network.breaks_after_received = N_BYTES // 2
    with pytest.raises(StorageError) as error:
        storage.fetch(f"s3://{bucket}/a song/vocals.wav", folder)
    assert error.value.passing
    assert list(folder.iterdir()) == []
    network.mend()
    assert storage.fetch(f"s3://{bucket}/a song/vocals.wav", folder).stat().st_size == N_BYTES


def test_wrong_credentials_are_told_in_a_line(
    server: S3Server,
    network: BadNetwork,
    bucket: str,
    stems: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def check(url: str, reason: str) -> None:
        for refused in (
            lambda: storage.find_songs(url),
            lambda: storage.fetch(f"{url}/a.mp3", Path()),
            lambda: storage.publish({f"{url}/a.mp3": stems["bass"]}),
        ):
            with pytest.raises(StorageError, match=rf"^{url}.*({reason}).*check AWS_ACCESS_KEY_ID") as error:
                refused()
            assert not error.value.passing
            assert "\n" not in str(error.value)

    url = f"s3://{bucket}/folder"
    with server.only_for_known_keys() as (key, secret):
        connect(monkeypatch, network.url)
        check(url, "does not exist in our records|Forbidden")
        connect(monkeypatch, network.url, key, "not the secret")
        check(url, "signature|Forbidden")
        connect(monkeypatch, network.url, key, secret)
        storage.publish({f"{url}/a.mp3": stems["bass"]})
        assert [(song.url, song.n_bytes) for song in storage.find_songs(url)] == [(f"{url}/a.mp3", 9)]
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        import s3fs

        s3fs.S3FileSystem.clear_instance_cache()
        check(url, "no credentials were found")


def test_songs_come_over_http_and_stems_do_not_go_there(tmp_path: Path) -> None:
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = int(self.path.split("/")[1])
            self.send_response(status)
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"12345")

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{web.server_port}"
        came = storage.fetch(f"{url}/200/a%20song.mp3?token=1", tmp_path)
        assert (came.name, came.read_bytes()) == ("a song.mp3", b"12345")
        for name, local in (("AC%2FDC.mp3", "DC.mp3"), ("..%2Fout.mp3", "out.mp3"), ("x%2F..", "song")):
            assert storage.fetch(f"{url}/200/{name}", tmp_path) == tmp_path / local
        for status, passing in ((404, False), (403, False), (503, True)):
            with pytest.raises(StorageError) as error:
                storage.fetch(f"{url}/{status}/a.mp3", tmp_path)
            assert error.value.passing is passing
        with pytest.raises(ConfigError, match=r"http:// can only be read"):
            storage.publish({f"{url}/200/a.mp3": came})
        web.shutdown()


def test_a_slow_download_is_waited_for_and_one_that_stands_still_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aiohttp = pytest.importorskip("aiohttp")
    pause_s = 0.2

    class Slow(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.do_HEAD()
            for byte in b"12345":
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(pause_s)

        def do_HEAD(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "5")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    fsspec.get_filesystem_class("http").clear_instance_cache()
    monkeypatch.setattr(aiohttp.client, "DEFAULT_TIMEOUT", aiohttp.ClientTimeout(total=0.5))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow) as web:
        web.handle_error = lambda *_: None  # type: ignore[method-assign]  # somebody hangs up
        threading.Thread(target=web.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{web.server_port}/a.mp3"
        assert storage.fetch(url, tmp_path).read_bytes() == b"12345"
        monkeypatch.setitem(clients.HTTP_TIMEOUT_S, "sock_read", 0.1)
        with pytest.raises(StorageError, match="the storage failed") as error:
            storage.fetch(url, tmp_path)
        assert error.value.passing
        web.shutdown()
    fsspec.get_filesystem_class("http").clear_instance_cache()


def test_a_client_that_waited_too_long_is_no_bug_with_any_python(monkeypatch: pytest.MonkeyPatch) -> None:
    class Late(Exception):
        """As fsspec's own before Python 3.11, where those of asyncio are no OSErrors."""

    monkeypatch.setattr("fsspec.exceptions.FSTimeoutError", Late)
    message = r"^s3://b/a: the storage failed: Late$"
    with pytest.raises(StorageError, match=message) as error, clients.errors_told("s3://b/a"):
        raise Late
    assert error.value.passing


def test_paths_pass_through(tmp_path: Path) -> None:
    song = tmp_path / "a.mp3"
    song.write_bytes(b"12345")
    assert storage.fetch(str(song), tmp_path / "not there") == song
    assert storage.size(str(song)) == 5
    assert storage.size(str(tmp_path / "none")) is None
    assert storage.sha256(str(song)) == hashlib.sha256(b"12345").hexdigest()
    assert all(map(storage.is_remote, ("s3://a/b", "https://a/b")))
    assert not any(map(storage.is_remote, ("a/b", "/a", "C:\\a", "file:///a")))


def test_a_missing_package_and_an_unknown_scheme_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for scheme in ("zz", "ftp", "github", "webhdfs"):  # some of which need more than a URL
        with pytest.raises(ConfigError, match=rf"^{scheme}://a/b: {scheme}:// is no storage that is known"):
            storage.find_songs(f"{scheme}://a/b")
    monkeypatch.setattr(clients, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'stemwise\[s3\]'"):
        storage.find_songs("s3://a/b")
