"""A catalogue in object storage, from the command to the objects, over a network that fails in the middle."""

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from audio_files import write_wav
from conftest import song
from object_storage import BadNetwork, S3Server, environment
from random_models import stemwise_like
from stemwise.checkpoint import save_model
from stemwise.journal import Journal

pytestmark = pytest.mark.slow
N_SONGS = 8
PATIENCE_S = 240.0


def batch(network: BadNetwork, model: Path, *arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "stemwise", "batch", "run", *arguments, "-p", str(model)]
    command += ["--precision", "float32", "--threads", "1", "--workers", "1"]
    variables = {**os.environ, **environment(network.url), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=variables
    )


def test_a_catalogue_in_storage_is_done_though_the_network_fails_for_a_while(tmp_path: Path) -> None:
    s3fs = pytest.importorskip("s3fs")
    save_model(stemwise_like(), model := tmp_path / "small.safetensors")
    paths = [write_wav(tmp_path / "songs" / f"{k}.wav", song(300_000 + 1000 * k)) for k in range(N_SONGS)]
    server = S3Server()
    network = BadNetwork(server.port)
    try:
        files = s3fs.S3FileSystem(endpoint_url=server.url, key="a", secret="b", use_listings_cache=False)
        files.mkdir("catalogue")
        for path in paths:
            files.put_file(str(path), f"catalogue/in/{path.name}")
        n_bytes = sum(path.stat().st_size for path in paths)
        network.breaks_after_sent = n_bytes  # half of all stems, which have 16 bits where the songs have 32
        journal = tmp_path / "batch.sqlite"
        threading.Thread(target=mend_later, args=(network, journal), daemon=True).start()
        remote = ["s3://catalogue/in", "-o", "s3://catalogue/out", "--journal", str(journal)]
        with batch(network, model, *remote) as command:
            text, _ = command.communicate(timeout=PATIENCE_S)
        assert command.returncode == 0, text
        assert re.search(r"^retry: \d\.wav: s3://catalogue/", text, re.MULTILINE), "the network did not fail"
        with batch(network, model, str(tmp_path / "songs"), "-o", str(tmp_path / "out")) as command:
            text, _ = command.communicate(timeout=PATIENCE_S)
        assert command.returncode == 0, text
        expected = {
            path.relative_to(tmp_path).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in (tmp_path / "out").rglob("*.wav")
        }
        found = {
            key.removeprefix("catalogue/"): hashlib.sha256(files.cat_file(key)).hexdigest()
            for key in files.find("catalogue/out")
        }
        assert len(expected) == 4 * N_SONGS
        assert found == expected
        assert len(json.loads((tmp_path / "manifest.json").read_text())["songs"]) == N_SONGS
        with Journal(journal) as opened:
            rows = opened.rows("batch")
        assert all(row.details["stamp"].keys() == {"bytes", "etag"} for row in rows)
        assert {row.state for row in rows} == {"done"}
        assert {output["sha256"] for row in rows for output in row.outputs.values()} == set(found.values())
        assert max(row.attempts for row in rows) > 1
    finally:
        network.close()
        server.close()


def mend_later(network: BadNetwork, journal: Path) -> None:
    """Mend the network when a song has failed of it, however long a busy machine takes for that."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        time.sleep(0.05)
        if network.sent < network.breaks_after_sent:
            continue
        with Journal(journal) as opened:
            if any(row.attempts and row.error for row in opened.rows("batch")):
                break
    network.mend()
