import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from studio import BROWSER, FLAGS, StudioServer, listen

SHARED = Path(__file__).parents[2] / "shared"
TESTED_POSTGRES = "STEMWISE_TEST_POSTGRES"  # the URL of a database that may be emptied


def pytest_configure() -> None:
    """One thread in the processes that tests start, as in tests themselves."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that is read-only, which says so of a file that is not there, too."""

    def refuse(path: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    for name in ("open", "unlink"):
        monkeypatch.setattr(Path, name, refuse)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The same number of threads everywhere, so that bit-identity means the same everywhere.

    And one: the networks of tests are small, and on a machine that has other things to do, several threads
    mostly wait for each other.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def two_threads(one_thread: None) -> None:
    """For what several threads might change."""
    torch.set_num_threads(2)


@pytest.fixture
def parity_folder() -> Path:
    """Golden vectors of the real Spleeter, too large for the repository; they lie beside it."""
    folder = SHARED / "parity"
    if not folder.is_dir():
        pytest.skip("the golden vectors of the real Spleeter are not beside this checkout")
    return folder


def song(n_samples: int, *, sample_rate: int = 44100, n_channels: int = 2, seed: int = 0) -> torch.Tensor:
    """Something for networks to chew on: tones that move, noise bursts, different in each channel."""
    rng = np.random.default_rng(seed)
    time = np.arange(n_samples) / sample_rate
    tones = sum(np.sin(2 * np.pi * f * time * (1 + 0.01 * np.sin(time))) for f in rng.uniform(60, 4000, 6))
    bursts = rng.standard_normal(n_samples) * (np.sin(2 * np.pi * 2 * time) > 0.9)
    channels = [0.05 * tones * (0.6 + 0.4 * np.sin(time + c)) + 0.1 * bursts for c in range(n_channels)]
    return torch.from_numpy(np.stack(channels).astype(np.float32))


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as player:
        browser = player.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def studio_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudioServer]:
    server = StudioServer(tmp_path_factory.mktemp("studio"))
    yield server
    server.stop()


@pytest.fixture
def page(browser: Any, studio_server: StudioServer) -> Iterator[Any]:
    """The page, open; whatever a browser complains about is an error."""
    context = browser.new_context(accept_downloads=True)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    listen(page)
    page.goto(studio_server.url)
    page.expected_complaints = ()
    yield page
    context.close()
    assert [text for text in complaints if not any(part in text for part in page.expected_complaints)] == []


def server_programs() -> Path | None:
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return installed[-1] if installed and os.geteuid() == 0 else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL database: one that is given, or a server of our own."""
    if TESTED_POSTGRES in os.environ:
        yield os.environ[TESTED_POSTGRES]
        return
    programs = server_programs()
    if programs is None:
        pytest.skip(f"no server of PostgreSQL is installed, and {TESTED_POSTGRES} names none")
    folder = Path(tempfile.mkdtemp(prefix="postgres"))
    shutil.chown(folder, "postgres")

    def run(*command: str) -> None:
        subprocess.run(command, user="postgres", check=True, capture_output=True, cwd=folder)

    try:
        run(f"{programs}/initdb", "-D", "data", "--auth=trust", "--no-sync")
        options = f"-k {folder} -c listen_addresses='' -c fsync=off"
        run(f"{programs}/pg_ctl", "-D", "data", "-w", "-l", "log", "-o", options, "start")
        yield f"postgresql://postgres@/postgres?host={folder}"
        run(f"{programs}/pg_ctl", "-D", "data", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)
