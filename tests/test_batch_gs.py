"""Google's storage, on an emulator: the same promises as S3's (`test_batch_storage.py`)."""

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from audio_files import write_wav
from conftest import song
from object_storage import BadNetwork, GcsServer
from random_models import stemwise_like
from stemwise.batch import storage
from stemwise.checkpoint import save_model
from stemwise.errors import StorageError

# Read when gcsfs is imported: kinds of buckets that it would ask for by a way that the emulator has not.
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"
gcsfs = pytest.importorskip("gcsfs")
pytest.importorskip("gcp_storage_emulator")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # its libraries' own
PIECE_BYTES = 1 << 20
PATIENCE_S = 240.0


@pytest.fixture(scope="module")
def server() -> Iterator[GcsServer]:
    server = GcsServer()
    yield server
    server.close()


@pytest.fixture
def network(server: GcsServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[BadNetwork]:
    """The way to the server, in order at first, which the client takes and waits for only shortly."""
    network = BadNetwork(server.port)
    connect(monkeypatch, network.url)
    yield network
    network.close()


def connect(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
    monkeypatch.setattr("gcsfs.retry.min", lambda *_: 0.01, raising=False)  # of its pauses
    monkeypatch.setattr(storage, "PIECE_BYTES", PIECE_BYTES)
    gcsfs.GCSFileSystem.clear_instance_cache()


@pytest.fixture
def bucket(server: GcsServer, network: BadNetwork, request: pytest.FixtureRequest) -> str:
    name = hashlib.sha256(request.node.name.encode()).hexdigest()[:20]
    direct(server).mkdir(name)
    return name


def direct(server: GcsServer) -> "gcsfs.GCSFileSystem":
    return gcsfs.GCSFileSystem(endpoint_url=server.url, token="anon", use_listings_cache=False)


def digests(server: GcsServer, bucket: str) -> dict[str, str]:
    files = direct(server)
    contents = {key.removeprefix(f"{bucket}/"): files.cat_file(key) for key in files.find(bucket)}
    return {key: hashlib.sha256(content).hexdigest() for key, content in contents.items()}


@pytest.fixture
def stems(tmp_path: Path) -> dict[str, Path]:
    """Less than a piece, pieces that just fit, and some bytes more."""
    sizes = {"bass": 9, "vocals": 3 * PIECE_BYTES, "drums": 2 * PIECE_BYTES + 7}
    paths = {name: tmp_path / f"{name}.wav" for name in sizes}
    for name, path in paths.items():
        path.write_bytes(os.urandom(sizes[name]))
    return paths


def targets(bucket: str, stems: dict[str, Path]) -> dict[str, Path]:
    return {f"gs://{bucket}/a song/{name}.wav": path for name, path in stems.items()}


def expected(stems: dict[str, Path]) -> dict[str, str]:
    return {f"a song/{name}.wav": storage.sha256(str(path)) for name, path in stems.items()}


def test_stems_arrive_and_come_back_bit_for_bit(
    server: GcsServer, bucket: str, stems: dict[str, Path], tmp_path: Path
) -> None:
    storage.publish(targets(bucket, stems))
    assert digests(server, bucket) == expected(stems)
    url = f"gs://{bucket}/a song/vocals.wav"
    assert storage.size(url) == 3 * PIECE_BYTES
    assert storage.sha256(url) == storage.sha256(str(stems["vocals"]))
    (tmp_path / "scratch").mkdir()
    fetched = storage.fetch(url, tmp_path / "scratch")
    assert fetched.read_bytes() == stems["vocals"].read_bytes()
    for where in (f"gs://{bucket}", f"gs://{bucket}/**/*.wav"):
        found = storage.find_songs(where)
        assert [(song.url, song.folder) for song in found] == [
            (f"gs://{bucket}/a song/{name}.wav", "a song") for name in sorted(stems)
        ]
    storage.remove(url)
    assert storage.size(url) is None


@pytest.mark.parametrize("share", [0.0, 0.4, 0.99])
def test_an_upload_that_breaks_off_shows_nothing_and_can_be_made_up_for(
    server: GcsServer, network: BadNetwork, bucket: str, stems: dict[str, Path], share: float
) -> None:
    n_bytes = sum(path.stat().st_size for path in stems.values())
    network.breaks_after_sent = network.sent + int(share * n_bytes)
    with pytest.raises(StorageError, match="the storage failed") as caught:
        storage.publish(targets(bucket, stems))
    assert caught.value.passing
    assert digests(server, bucket) == {}
    network.mend()
    storage.publish(targets(bucket, stems))
    assert digests(server, bucket) == expected(stems)


def test_what_is_not_there_is_no_failure_that_passes(bucket: str, tmp_path: Path) -> None:
    for url in (f"gs://{bucket}/none.wav", "gs://no-such-bucket/a.wav"):
        with pytest.raises(StorageError, match=r"\.wav does not exist$") as caught:
            storage.fetch(url, tmp_path)
        assert not caught.value.passing
    assert list(tmp_path.iterdir()) == []


class Refusing(http.server.BaseHTTPRequestHandler):
    """Answers everything as `status` says, in the words of Google's storage."""

    status, message = 401, "Anonymous caller does not have storage.objects.get access"

    def do_GET(self) -> None:
        body = json.dumps({"error": {"code": self.status, "message": self.message}}).encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_DELETE = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(
    ("status", "message", "told", "passing"),
    [
        (401, "Anonymous caller does not have access", "access is refused .* for gs://, GOOGLE_APPL", False),
        (403, "singer does not have access", "access is refused .* for gs://, GOOGLE_APPL", False),
        (400, "invalid name", "the storage failed: .*invalid name", False),
        (503, "try later", "the storage failed: .*try later", True),
    ],
)
def test_what_the_storage_refuses_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    status: int,
    message: str,
    told: str,
    passing: bool,
) -> None:
    answer = type("Answer", (Refusing,), {"status": status, "message": message})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), answer) as refusing:
        threading.Thread(target=refusing.serve_forever, daemon=True).start()
        connect(monkeypatch, f"http://127.0.0.1:{refusing.server_port}")
        (tmp_path / "a.wav").write_text("stem")
        with pytest.raises(StorageError, match=told) as caught:
            storage.publish({"gs://bucket/a.wav": tmp_path / "a.wav"})
        refusing.shutdown()
    assert caught.value.passing == passing
    assert capfd.readouterr().err == ""


def test_a_catalogue_goes_from_storage_to_storage(server: GcsServer, bucket: str, tmp_path: Path) -> None:
    save_model(stemwise_like(), model := tmp_path / "small.safetensors")
    files = direct(server)
    for n in range(2):
        path = write_wav(tmp_path / "songs" / f"{n}.wav", song(30_000, seed=n))
        files.put_file(str(path), f"{bucket}/in/{n}.wav")
    variables = {**os.environ, "STORAGE_EMULATOR_HOST": server.url, "OMP_NUM_THREADS": "1"}
    outputs = (f"gs://{bucket}/in", f"gs://{bucket}/out"), (str(tmp_path / "songs"), str(tmp_path / "out"))
    for source, target in outputs:
        command = [sys.executable, "-m", "stemwise", "batch", "run", source, "-o", target, "-p", str(model)]
        command += ["-w", "1", "--threads", "1", "--journal", str(tmp_path / f"{len(target)}.sqlite")]
        done = subprocess.run(command, capture_output=True, text=True, env=variables, timeout=PATIENCE_S)
        assert (done.returncode, done.stderr) == (0, "")
    found = {key: digest for key, digest in digests(server, bucket).items() if key.startswith("out/")}
    local = {
        path.relative_to(tmp_path).as_posix(): storage.sha256(str(path))
        for path in (tmp_path / "out").rglob("*.wav")
    }
    assert len(found) == 8
    assert found == local
