"""One run of `stemwise batch`: the driver, its bars, and the manifest of what it did."""

import re
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import typer

from stemwise.cli.batch_workers import Workers

if TYPE_CHECKING:
    from stemwise.batch.enlist import Examined
    from stemwise.batch.policy import Policy
    from stemwise.batch.run import Summary
    from stemwise.batch.settings import ModelFacts, Settings
    from stemwise.journal import Journal

PASSWORD = re.compile(r"://[^/@]*@")  # and user of a journal's URL


@dataclass(frozen=True, slots=True)
class Chosen:
    """A catalogue, what is to be made of it, and on what."""

    root: str
    settings: "Settings"
    facts: "Mapping[str, ModelFacts]"
    examined: "Examined"
    workers: Workers
    devices: list[str]
    threads: int

    @property
    def precision(self) -> dict[str, str]:
        return self.workers.precision(self.facts)


def drive(journal: "Journal", chosen: Chosen, policy: "Policy", *, quiet: bool) -> "tuple[Summary, bool]":
    """Do what is to be done; returns what was, and whether the manifest says so."""
    from stemwise.batch import storage
    from stemwise.batch.manifest import NAME, describe_run, utc, write_manifest
    from stemwise.batch.run import Driver
    from stemwise.cli.batch_view import watching

    described = describe_run(
        secrets.token_hex(8),
        chosen.facts,
        command=[PASSWORD.sub("://…@", word) for word in sys.argv[1:]],
        devices=chosen.devices,
        threads=chosen.threads,
        now=time.time(),
    )
    is_remote, folder = storage.is_remote(chosen.root), presence(chosen.root)
    folder.mkdir(parents=True, exist_ok=True)  # the journal may lie elsewhere
    manifest = _manifest_folder(journal, folder, is_remote) / NAME
    write_manifest(manifest, journal, described)  # of a run that is killed, too
    executor = chosen.workers.executor(chosen.root, chosen.devices, chosen.threads)
    with _terminated_as_interrupted(), watching(chosen.examined.todo, quiet=quiet) as watch:
        driver = Driver(
            journal=journal,
            root=chosen.root,
            executor=executor,
            watch=watch,
            presence=folder,
            policy=policy,
            precision=chosen.precision,
            details={"id": described["id"], "threads": chosen.threads, "precision": chosen.precision},
        )
        try:
            summary = driver.run()
        finally:
            described |= {"ended": utc(time.time()), "summary": asdict(driver.summary)}
            is_recorded = _record(manifest, journal, described)
    return summary, is_recorded


def _record(manifest: Path, journal: "Journal", described: "Mapping[str, Any]") -> bool:
    """Write the manifest; a disk that is full must not hide what else there is to tell."""
    from stemwise.batch.manifest import write_manifest

    try:
        write_manifest(manifest, journal, described)
    except OSError as error:
        typer.echo(f"error: {manifest} cannot be written: {error.strerror or error}", err=True)
        return False
    return True


def presence(root: str) -> Path:
    """Where the runs of this machine show that they live."""
    from stemwise.batch import storage

    return Path(tempfile.gettempdir() if storage.is_remote(root) else root)


def _manifest_folder(journal: "Journal", output: Path, is_remote: bool) -> Path:
    """With the stems; where they are in object storage, with the journal, or here if that is a server's."""
    if not is_remote:
        return output
    return Path() if "://" in journal.name else Path(journal.name).parent


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM, as schedulers send it, ends a run like Ctrl-C."""

    def interrupt(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
