import hashlib
import io
import json
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

from stemwise import hub
from stemwise.checkpoint import Model, save_model
from stemwise.convert import SpleeterConfiguration, to_variables, write_bundle
from stemwise.errors import CheckpointError, ChecksumError, ConfigError, DownloadError, UnknownModel
from stemwise.hub import store, transfer
from stemwise.hub.published import PUBLISHED
from stemwise.models import ModelConfig, build
from stemwise.models.unet import UNetConfig

NAME = "spleeter:2stems"
PATH = "/deezer/spleeter/releases/download/v1.4.0/2stems.tar.gz"
TINY = ModelConfig(
    architecture="unet",
    network=UNetConfig(n_filters=(2,) * 6),
    stems=("vocals", "accompaniment"),
    n_bins=64,
    chunk_frames=64,
)


@dataclass
class Server:
    """What the server at the other end does; the tests set it up and look at what was asked for."""

    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)  # bytes after which the next answers break off
    knows_ranges: bool = True
    statuses: list[int] = field(default_factory=list)  # of the next answers, before anything works
    delay_s: float = 0.0
    asked: list[tuple[str, str | None]] = field(default_factory=list)  # path and Range
    url: str = ""


def handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked_range = self.headers.get("Range")
            server.asked.append((self.path, asked_range))
            threading.Event().wait(server.delay_s)
            if self.path in server.redirects:
                self.answer(302, b"", Location=server.redirects[self.path])
            elif server.statuses:
                self.answer(server.statuses.pop(0), b"")
            elif self.path not in server.files:
                self.answer(404, b"")
            else:
                self.send_file(server.files[self.path], asked_range if server.knows_ranges else None)

        def send_file(self, content: bytes, asked_range: str | None) -> None:
            if asked_range is None:
                self.answer(200, content)
                return
            start = int(asked_range.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                self.answer(416, b"")
                return
            self.answer(
                206, content[start:], **{"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
            )

        def answer(self, status: int, content: bytes, **headers: str) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if content and server.cuts:
                content = content[: server.cuts.pop(0)]
                self.close_connection = True
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    state = Server()
    with ThreadingHTTPServer(("127.0.0.1", 0), handler(state)) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        state.url = f"http://127.0.0.1:{http.server_port}"
        monkeypatch.setenv("GITHUB_HOST", state.url)
        yield state
        http.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def clean_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty store, an empty working directory, no setting from outside, no waiting."""
    for name in ("MODEL_PATH", "GITHUB_HOST", "GITHUB_REPOSITORY", "GITHUB_RELEASE", "STEMWISE_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setattr(transfer, "WAIT_S", 0.0)
    configuration = SpleeterConfiguration(model=TINY, model_dir="2stems")
    monkeypatch.setattr(hub, "embedded_configuration", lambda _: configuration)
    monkeypatch.setattr(store, "embedded_configuration", lambda _: configuration)


def tiny_model(seed: int = 0) -> Model:
    torch.manual_seed(seed)
    return Model(TINY, build(TINY).eval())


def write_model(folder: Path, seed: int = 0) -> Path:
    write_bundle(folder, to_variables(tiny_model(seed)))
    return folder


def tar_of(folder: Path, *, prefix: str = "") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, prefix + path.name)
    return buffer.getvalue()


@pytest.fixture
def archive(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A small model where Deezer's is expected, with its digest in the table."""
    folder = write_model(tmp_path / "made")
    (folder / "._checkpoint").write_bytes(b"macOS was here")
    content = tar_of(folder)
    server.files[PATH] = content
    for name in (NAME, f"{NAME}-16kHz"):
        monkeypatch.setitem(
            PUBLISHED, name, replace(PUBLISHED[name], sha256=hashlib.sha256(content).hexdigest())
        )
    return content


def stored() -> Path:
    return store.cache_folder() / "spleeter"


def left_over() -> list[str]:
    """What lies in the store besides models and locks."""
    return [path.name for path in stored().glob(".*") if path.suffix != ".lock"]


def assert_is_tiny(model: Model) -> None:
    expected = tiny_model().network.state_dict()
    for name, tensor in model.network.state_dict().items():
        assert torch.equal(tensor, expected[name]), name


def test_the_table_of_published_models() -> None:
    records = {record.name: record for record in hub.published_models()}
    assert list(records) == [
        "stemwise:4stems", "stemwise:2stems",
        "spleeter:2stems", "spleeter:4stems", "spleeter:5stems",
        "spleeter:2stems-16kHz", "spleeter:4stems-16kHz", "spleeter:5stems-16kHz",
    ]  # fmt: skip
    assert records["stemwise:2stems"].two_stems == "vocals"
    assert records["spleeter:5stems"].stems == ("vocals", "piano", "drums", "bass", "other")
    assert (
        records["spleeter:4stems"].sha256
        == "3adb4a50ad4eb18c7c4d65fcf4cf2367a07d48408a5eb7d03cd20067429dfaa8"
    )
    assert records["spleeter:4stems"].bandwidth_hz == 11025
    assert records["spleeter:4stems-16kHz"].bandwidth_hz == 16537.5
    assert all("MIT" in record.licence and record.commercial for record in records.values())


def test_downloads_at_first_use_and_never_again(server: Server, archive: bytes) -> None:
    seen: list[tuple[int, int | None]] = []
    model = hub.load_model(NAME, progress=lambda done, total: seen.append((done, total)))
    assert_is_tiny(model)
    assert model.card.licence.startswith("MIT")
    assert seen[-1] == (len(archive), len(archive))
    assert sorted(path.name for path in (stored() / "2stems").iterdir()) == [
        ".probe", "checkpoint", "model.data-00000-of-00001", "model.index",
    ]  # fmt: skip
    assert (stored() / "2stems" / ".probe").read_text() == "OK"
    assert left_over() == []
    hub.load_model(NAME)
    hub.load_model(f"{NAME}-16kHz")  # the same archive
    assert server.asked == [(PATH, None)]


def test_cut_off_half_way_and_resumed(server: Server, archive: bytes) -> None:
    half = len(archive) // 2
    server.cuts = [half]
    assert_is_tiny(hub.load_model(NAME))
    assert server.asked == [(PATH, None), (PATH, f"bytes={half}-")]


def test_what_has_come_is_kept_for_the_next_call(server: Server, archive: bytes) -> None:
    server.cuts = [100] * transfer.N_ATTEMPTS
    with pytest.raises(DownloadError, match="What has come is kept"):
        hub.load_model(NAME)
    assert not (stored() / "2stems").exists()
    assert left_over() == [".2stems.tar.gz.part"]
    server.asked.clear()
    assert_is_tiny(hub.load_model(NAME))
    assert server.asked == [(PATH, f"bytes={100 * transfer.N_ATTEMPTS}-")]
    assert left_over() == []


def test_a_server_without_ranges_sends_it_all_again(server: Server, archive: bytes) -> None:
    server.knows_ranges, server.cuts = False, [len(archive) // 2]
    assert_is_tiny(hub.load_model(NAME))
    assert len(server.asked) == 2


def test_a_part_of_something_else_is_thrown_away(server: Server, archive: bytes) -> None:
    stored().mkdir(parents=True)
    (stored() / ".2stems.tar.gz.part").write_bytes(b"an older archive")
    assert_is_tiny(hub.load_model(NAME))
    (stored() / "2stems").rename(stored() / "elsewhere")
    (stored() / ".2stems.tar.gz.part").write_bytes(archive + b"too much")
    assert_is_tiny(hub.load_model(NAME))


def test_a_whole_part_needs_nothing_more(server: Server, archive: bytes) -> None:
    stored().mkdir(parents=True)
    (stored() / ".2stems.tar.gz.part").write_bytes(archive)
    assert_is_tiny(hub.load_model(NAME))


def test_wrong_digest(server: Server, archive: bytes) -> None:
    server.files[PATH] = archive[:-1] + bytes([archive[-1] ^ 1])
    with pytest.raises(ChecksumError, match="Nothing was installed"):
        hub.load_model(NAME)
    assert not hub.is_installed(hub.published(NAME))
    assert left_over() == []


def test_redirects_are_followed(server: Server, archive: bytes) -> None:
    server.files["/storage"] = server.files.pop(PATH)
    server.redirects = {PATH: "/next", "/next": f"{server.url}/storage"}
    assert_is_tiny(hub.load_model(NAME))


def test_redirects_in_a_circle(server: Server, archive: bytes) -> None:
    server.redirects = {PATH: PATH}
    with pytest.raises(DownloadError, match="TooManyRedirects"):
        hub.load_model(NAME)


def test_a_server_that_fails_for_a_while(server: Server, archive: bytes) -> None:
    server.statuses = [503, 500]
    assert_is_tiny(hub.load_model(NAME))


@pytest.mark.parametrize(("status", "n_asked"), [(404, 1), (403, 1), (503, transfer.N_ATTEMPTS)])
def test_a_server_that_refuses(server: Server, archive: bytes, status: int, n_asked: int) -> None:
    server.statuses = [status] * transfer.N_ATTEMPTS
    with pytest.raises(
        DownloadError, match=f"2stems.tar.gz cannot be downloaded: the server answers {status}"
    ):
        hub.load_model(NAME)
    assert len(server.asked) == n_asked


def test_a_server_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_HOST", "http://127.0.0.1:9")
    with pytest.raises(DownloadError, match="cannot be downloaded: ConnectError"):
        hub.load_model(NAME)


def test_a_host_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_HOST", "nowhere")
    with pytest.raises(DownloadError, match="UnsupportedProtocol"):
        hub.load_model(NAME)


def test_offline(server: Server, archive: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEMWISE_OFFLINE", "1")
    with pytest.raises(DownloadError, match="STEMWISE_OFFLINE is set"):
        hub.load_model(NAME)
    assert server.asked == []
    monkeypatch.setenv("STEMWISE_OFFLINE", "0")
    hub.load_model(NAME)
    monkeypatch.setenv("STEMWISE_OFFLINE", "1")
    hub.load_model(NAME)


def test_somebody_elses_release_is_checked_by_its_own_index(
    server: Server, archive: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = "/somebody/models/releases/download/v2"
    monkeypatch.setenv("GITHUB_REPOSITORY", "somebody/models")
    monkeypatch.setenv("GITHUB_RELEASE", "v2")
    server.files = {f"{base}/2stems.tar.gz": archive, f"{base}/checksum.json": b"{}"}
    with pytest.raises(ChecksumError, match=r"checksum\.json has no SHA-256 for 2stems"):
        hub.load_model(NAME)
    server.files[f"{base}/checksum.json"] = json.dumps(
        {"2stems": hashlib.sha256(archive).hexdigest()}
    ).encode()
    assert_is_tiny(hub.load_model(NAME))


def test_two_processes_download_once(server: Server, archive: bytes, tmp_path: Path) -> None:
    server.delay_s = 0.5
    code = (
        "import sys; from pathlib import Path; from dataclasses import replace;"
        "from stemwise.hub.published import published; from stemwise.hub.store import install;"
        f"install(replace(published({NAME!r}), sha256=sys.argv[1]), Path(sys.argv[2]))"
    )
    arguments = [sys.executable, "-c", code, PUBLISHED[NAME].sha256, str(tmp_path / "root")]
    processes = [subprocess.Popen(arguments) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert server.asked == [(PATH, None)]
    assert store.is_whole(tmp_path / "root" / "2stems")


def test_an_archive_without_a_whole_checkpoint_is_not_installed(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_model(tmp_path / "made")
    (folder / "model.data-00000-of-00001").write_bytes(b"short")
    server.files[PATH] = tar_of(folder)
    digest = hashlib.sha256(server.files[PATH]).hexdigest()
    monkeypatch.setitem(PUBLISHED, NAME, replace(PUBLISHED[NAME], sha256=digest))
    with pytest.raises(CheckpointError, match="cut short"):
        hub.load_model(NAME)
    assert not (stored() / "2stems").exists()
    assert left_over() == []


@pytest.mark.parametrize("leftover", [None, "checkpoint", ".probe"])
def test_a_half_installed_folder_is_moved_aside(server: Server, archive: bytes, leftover: str | None) -> None:
    folder = stored() / "2stems"
    folder.mkdir(parents=True)
    if leftover:
        (folder / leftover).write_text("OK")
    assert not hub.is_installed(hub.published(NAME))
    assert_is_tiny(hub.load_model(NAME))
    assert [path.name for path in (stored() / "2stems.incomplete-0").iterdir()] == (
        [leftover] if leftover else []
    )


def test_hand_dropped_files_work_without_a_probe(server: Server) -> None:
    write_model(stored() / "2stems")
    assert hub.is_installed(hub.published(NAME))
    assert_is_tiny(hub.load_model(NAME))
    assert server.asked == []


def test_model_path_is_where_spleeter_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEMWISE_OFFLINE", "1")
    monkeypatch.setenv("MODEL_PATH", "my_models")  # relative to the working directory
    write_model(tmp_path / "cwd" / "my_models" / "2stems")
    assert_is_tiny(hub.load_model(NAME))


def test_pretrained_models_are_used_if_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEMWISE_OFFLINE", "1")
    write_model(tmp_path / "cwd" / "pretrained_models" / "2stems")
    assert_is_tiny(hub.load_model(NAME, spleeter_layout=True))
    with pytest.raises(DownloadError):
        hub.load_model(NAME)


@pytest.mark.parametrize(
    ("platform", "variable", "expected"),
    [("linux", "XDG_CACHE_HOME", "base/stemwise"), ("win32", "LOCALAPPDATA", "base/stemwise")],
)
def test_cache_folder(platform: str, variable: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv(variable, "base")
    assert store.cache_folder() == Path(expected)


def test_cache_folder_of_macos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert store.cache_folder() == Path.home() / "Library" / "Caches" / "stemwise"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("spleter:2stems", "spleeter:2stems"),
        ("5stems-16khz", "spleeter:5stems-16kHz"),
        ("stemwise:4stem", "stemwise:4stems"),
    ],
)
def test_unknown_names_bring_close_ones(name: str, meant: str) -> None:
    with pytest.raises(UnknownModel, match=f"Did you mean .*{meant}"):
        hub.load_model(name)


def test_unknown_names_bring_the_list() -> None:
    with pytest.raises(UnknownModel, match="There are: stemwise:4stems"):
        hub.load_model("qqq")


def test_our_own_model_comes_with_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_model(tiny_model(), tmp_path / "4stems.safetensors")
    monkeypatch.setattr(hub, "embedded_weights", lambda: tmp_path / "4stems.safetensors")
    assert hub.load_model("stemwise:4stems").two_stems is None
    assert hub.load_model("stemwise:2stems").two_stems == "vocals"
    hub.verify("stemwise:4stems")
    with pytest.raises(ConfigError, match="cannot be removed"):
        hub.remove("stemwise:4stems")


def test_load_by_file_and_folder(tmp_path: Path) -> None:
    save_model(tiny_model(), tmp_path / "mine.safetensors")
    assert_is_tiny(hub.load_model(tmp_path / "mine.safetensors"))
    assert_is_tiny(hub.load_model(str(write_model(tmp_path / "folder"))))


def write_configuration(path: Path, model_dir: str, **more: object) -> Path:
    values = {
        "model_dir": model_dir, "instrument_list": TINY.stems, "sample_rate": 44100, "frame_length": 4096,
        "frame_step": 1024, "T": 64, "F": 64, "separation_exponent": 2,
        "model": {"params": {"conv_n_filters": [2] * 6}},
    }  # fmt: skip
    path.write_text(json.dumps(values | more))
    return path


@pytest.mark.parametrize("place", ["{store}/trained", "{cwd}/trained", "{json}/trained"])
def test_a_configuration_finds_its_checkpoint(place: str, tmp_path: Path) -> None:
    (tmp_path / "json").mkdir()
    path = write_configuration(tmp_path / "json" / "mine.json", "trained", zebra=1)
    write_model(Path(place.format(store=stored(), cwd=tmp_path / "cwd", json=tmp_path / "json")))
    model = hub.load_model(path)
    assert_is_tiny(model)
    assert model.notes == (f"{path} has keys that mean nothing to Spleeter: zebra",)


def test_a_configuration_without_checkpoint(tmp_path: Path) -> None:
    path = write_configuration(tmp_path / "mine.json", "trained")
    with pytest.raises(
        CheckpointError, match=r"model_dir of .*mine\.json is 'trained', and no checkpoint is in any of"
    ):
        hub.load_model(path)


def test_a_configuration_of_a_published_model_fetches_it(
    server: Server, archive: bytes, tmp_path: Path
) -> None:
    assert_is_tiny(hub.load_model(write_configuration(tmp_path / "mine.json", "2stems")))


def test_import_folder_and_archive_then_remove(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "made")
    assert hub.import_model(folder, name="first") == store.imported_folder() / "first.safetensors"
    (tmp_path / "second.tar.gz").write_bytes(tar_of(folder, prefix="some/folder/"))
    hub.import_model(tmp_path / "second.tar.gz")
    assert hub.imported_models() == ["first", "second"]
    for name in hub.imported_models():
        assert_is_tiny(hub.load_model(name))
        hub.verify(name)
        hub.remove(name)
    assert hub.imported_models() == []


def test_a_file_of_another_name_hides_no_imported_model(tmp_path: Path) -> None:
    hub.import_model(write_model(tmp_path / "made"), name="mine")
    for name in ("my model", ".hidden", "mine~"):
        (store.imported_folder() / f"{name}.safetensors").write_bytes(b"copied by hand")
    assert hub.imported_models() == ["mine"]


def test_import_by_the_configuration_beside(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "made" / "model")
    write_configuration(tmp_path / "made" / "config.json", "model", mask_extension="average")
    hub.import_model(folder, name="mine")
    assert hub.load_model("mine").config.mask_extension == "average"


def test_import_of_many_stems_needs_a_configuration(tmp_path: Path) -> None:
    write_bundle(tmp_path / "made", {f"conv2d_{n}/kernel": np.zeros(1, np.float32) for n in range(21)})
    with pytest.raises(ConfigError, match="must be named: it has 3 stems, and 0 JSON files"):
        hub.import_model(tmp_path / "made")


@pytest.mark.parametrize("name", ["../evil", "a/b", "", ".hidden", "spleeter:2stems"])
def test_import_under_a_name_that_is_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="it must be letters"):
        store.imported_path(name)


def hostile(**attributes: object) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo("checkpoint")
        for key, value in attributes.items():
            setattr(member, key, value)
        tar.addfile(member, io.BytesIO(bytes(member.size)))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"name": "../outside"}, "would leave the folder"),
        ({"name": "/outside"}, "would leave the folder"),
        ({"name": "a/../../outside"}, "would leave the folder"),
        ({"name": "C:\\outside"}, "would leave the folder"),
        ({"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, "is a link or a device"),
        ({"type": tarfile.LNKTYPE, "linkname": "/etc/passwd"}, "is a link or a device"),
        ({"type": tarfile.FIFOTYPE}, "is a link or a device"),
        ({"size": 2001}, "too large"),
    ],
)
def test_hostile_archives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attributes: dict[str, object], message: str
) -> None:
    monkeypatch.setattr(transfer, "MAX_UNPACKED_BYTES", 2000)
    (tmp_path / "evil.tar.gz").write_bytes(hostile(**attributes))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(CheckpointError, match=message):
        hub.import_model(tmp_path / "evil.tar.gz")
    assert sorted(tmp_path.iterdir()) == before


def damaged_xz() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz") as tar:
        member = tarfile.TarInfo("checkpoint")
        member.size = 1_000_000
        tar.addfile(member, io.BytesIO(np.random.default_rng(0).bytes(member.size)))
    content = bytearray(buffer.getvalue())
    content[-1000] ^= 0xFF
    return bytes(content)


@pytest.mark.parametrize("content", [b"", b"no archive", hostile(size=1000)[:50], damaged_xz()])
def test_damaged_archives(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.tar.gz").write_bytes(content)
    with pytest.raises(CheckpointError, match="cannot be unpacked"):
        hub.import_model(tmp_path / "bad.tar.gz")


def test_verify_finds_a_flipped_bit(server: Server, archive: bytes) -> None:
    hub.download(NAME)
    hub.verify(NAME)
    data = stored() / "2stems" / "model.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    content[1000] ^= 1
    data.write_bytes(content)
    with pytest.raises(CheckpointError, match="is damaged"):
        hub.verify(NAME)


def test_remove(server: Server, archive: bytes) -> None:
    hub.download(NAME)
    assert hub.remove(NAME) == stored() / "2stems"
    assert not hub.is_installed(hub.published(NAME))
    with pytest.raises(UnknownModel, match="is not installed"):
        hub.remove(NAME)
