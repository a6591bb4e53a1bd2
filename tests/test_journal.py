import multiprocessing
import os
import signal
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stemwise.errors import JournalError, NoJournalError
from stemwise.journal import VERSION, Journal, Row


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'journal.sqlite'}"
    import psycopg

    address = str(request.getfixturevalue("postgres"))
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS songs, journal")
    return address


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def journal(url: str, clock: Clock) -> Iterator[Journal]:
    with Journal(url, clock=clock) as opened:
        yield opened


def song(id: str = "a", **values: object) -> Row:
    return replace(Row(id=id, queue="q", source=f"{id}.mp3", parameters={"model": "m", "b": 1}), **values)  # type: ignore[arg-type]


def states(journal: Journal) -> dict[str, str]:
    return {row.id: row.state for row in journal.rows("q")}


def test_a_row_comes_back_as_it_was_given(journal: Journal) -> None:
    given = song(title="Ä 'x' %_", details={"folder": "é", "parts": [1, 2.5, None]})
    journal.add([given])
    assert journal.get("a") == replace(given, created=1000.0)
    assert journal.get("b") is None


def test_songs_are_claimed_once_oldest_first_from_their_own_queue(journal: Journal, clock: Clock) -> None:
    journal.add([song("c"), song("a"), song("other", queue="studio"), song("b")])
    clock.now = 1005.0
    taken = [journal.claim("w", "q") for _ in range(4)]
    assert [row and row.id for row in taken] == ["c", "a", "b", None]
    assert taken[0] is not None
    first = taken[0]
    assert (first.state, first.worker, first.started, first.heartbeat) == ("running", "w", 1005, 1005)
    assert journal.counts("q") == {"queued": 0, "running": 3, "done": 0, "failed": 0, "cancelled": 0}
    assert journal.workers("q") == ["w"]


def test_what_is_done_stays_done_unless_it_was_made_otherwise(journal: Journal) -> None:
    rows = [song("a"), song("b"), song("c")]
    assert journal.add(rows) == 3
    for row in rows:
        journal.claim("w", "q")
        vocals = {"vocals": {"path": "v"}}
        assert journal.finish(row.id, "w", outputs=vocals, model_sha256="m", input_sha256="i")
    done = journal.get("a")
    assert done is not None
    assert (done.outputs, done.model_sha256, done.input_sha256, done.attempts) == (
        {"vocals": {"path": "v"}}, "m", "i", 1
    )  # fmt: skip
    swapped = song("a", parameters={"b": 1, "model": "m"})
    other_model = song("b", parameters={"model": "n", "b": 1})
    assert journal.add([swapped, other_model, song("c", source="elsewhere/c.mp3")]) == 1
    assert states(journal) == {"a": "done", "b": "queued", "c": "done"}
    moved = journal.get("c")
    assert moved is not None
    assert moved.source == "elsewhere/c.mp3"
    anew = journal.get("b")
    assert anew is not None
    assert (anew.outputs, anew.model_sha256, anew.ended, anew.parameters["model"]) == ({}, None, None, "n")


def test_adding_many_songs_twice_queues_each_once(journal: Journal) -> None:
    rows = [song(str(n)) for n in range(1203)]
    assert journal.add(iter(rows)) == 1203
    assert journal.add(rows) == 0
    assert [row.id for row in journal.rows("q")] == [row.id for row in rows]


def test_only_who_has_a_song_can_end_it(journal: Journal) -> None:
    journal.add([song()])
    journal.claim("dead", "q")
    assert journal.release("dead") == 1
    journal.claim("alive", "q")
    assert not journal.finish("a", "dead", outputs={})
    assert not journal.fail("a", "dead", "late")
    assert states(journal) == {"a": "running"}
    assert journal.finish("a", "alive", outputs={})
    assert not journal.finish("a", "alive", outputs={})
    assert not journal.fail("a", "alive", "again")
    assert states(journal) == {"a": "done"}


def test_a_failure_that_can_pass_is_tried_when_it_is_due(journal: Journal, clock: Clock) -> None:
    journal.add([song(), song("b")])
    journal.claim("w", "q")
    assert journal.fail("a", "w", "no network", retry_at=1030.0)
    row = journal.claim("w", "q")
    assert row is not None
    assert row.id == "b"
    assert journal.fail("b", "w", "no audio", details={"wall_s": 1.0})
    assert journal.claim("w", "q") is None
    clock.now = 1030.0
    row = journal.claim("w", "q")
    assert row is not None
    assert (row.id, row.attempts, row.error) == ("a", 1, "no network")
    bad = journal.get("b")
    assert bad is not None
    assert (bad.state, bad.error, bad.details) == ("failed", "no audio", {"wall_s": 1.0})


def test_songs_of_silent_workers_are_queued_again(journal: Journal, clock: Clock) -> None:
    journal.add([song("a"), song("b")])
    journal.claim("silent", "q")
    journal.claim("alive", "q")
    clock.now = 1060.0
    assert journal.beat("alive") == 1
    assert journal.recover("q", 1060.0) == 1
    assert states(journal) == {"a": "queued", "b": "running"}
    row = journal.get("a")
    assert row is not None
    assert row.attempts == 0


def test_songs_are_requeued_by_state_and_by_name(journal: Journal) -> None:
    journal.add([song(name) for name in "abc"])
    for name in "abc":
        journal.claim("w", "q")
        journal.fail(name, "w", "bad")
    assert journal.requeue("q", states=["failed"], ids=["b", "nobody"]) == 1
    assert states(journal) == {"a": "failed", "b": "queued", "c": "failed"}
    assert journal.requeue("q", states=["done"]) == 0
    assert journal.requeue("q", states=["failed"], ids=[]) == 0
    assert journal.requeue("q", states=["failed"]) == 2
    row = journal.get("c")
    assert row is not None
    assert (row.attempts, row.error) == (0, None)


def test_a_song_is_cancelled_before_its_end_only(journal: Journal) -> None:
    journal.add([song()])
    journal.claim("w", "q")
    assert journal.cancel("a")
    assert not journal.finish("a", "w", outputs={})
    assert not journal.cancel("a")
    assert states(journal) == {"a": "cancelled"}
    assert journal.delete("a")
    assert not journal.delete("a")
    assert states(journal) == {}


def test_rows_are_searched_as_they_are_written(journal: Journal) -> None:
    journal.add([song("a", title="100% Wolf"), song("b", title="100 Sheep"), song("c", source="WOLF.flac")])
    assert [row.id for row in journal.rows("q", search="wolf")] == ["a", "c"]
    assert [row.id for row in journal.rows("q", search="100%")] == ["a"]
    assert [row.id for row in journal.rows("q", limit=1, offset=1)] == ["b"]
    assert [row.id for row in journal.rows("q", newest_first=True)] == ["c", "b", "a"]
    assert journal.rows("q", ["done"]) == []
    assert journal.count("q", search="wolf") == 2
    assert journal.count("q", ["done"]) == 0


def take_all(url: str, worker: str, taken: "multiprocessing.Queue[str | None]") -> None:
    with Journal(url) as journal:
        while row := journal.claim(worker, "q"):
            assert journal.finish(row.id, worker, outputs={})
            taken.put(row.id)
    taken.put(None)


def test_no_two_processes_have_the_same_song(url: str) -> None:
    with Journal(url) as journal:
        journal.add([song(str(n)) for n in range(30)])
        context = multiprocessing.get_context("spawn")
        taken = context.Queue()
        processes = [context.Process(target=take_all, args=(url, f"w{n}", taken)) for n in range(2)]
        for process in processes:
            process.start()
        ended, ids = 0, []
        while ended < len(processes):
            id = taken.get(timeout=120)
            ended += id is None
            ids += [id] if id is not None else []
        for process in processes:
            process.join()
        assert sorted(ids) == sorted(str(n) for n in range(30))
        assert {row.attempts for row in journal.rows("q", ["done"])} == {1}


def test_threads_share_a_journal(journal: Journal) -> None:
    journal.add([song(str(n)) for n in range(40)])
    taken: list[str] = []

    def take() -> None:
        while row := journal.claim(threading.current_thread().name, "q"):
            taken.append(row.id)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(str(n) for n in range(40))


def finish_and_die(url: str) -> None:
    journal = Journal(url)
    journal.claim("w", "q")
    journal.finish("a", "w", outputs={})
    journal.claim("w", "q")
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_was_said_survives_a_kill(url: str) -> None:
    with Journal(url) as journal:
        journal.add([song("a"), song("b"), song("c")])
    process = multiprocessing.get_context("spawn").Process(target=finish_and_die, args=(url,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    with Journal(url, create=False) as journal:
        assert states(journal) == {"a": "done", "b": "running", "c": "queued"}
        assert journal.release("w") == 1


def test_a_queue_is_held_by_one_only(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemwise.journal.PATIENCE_S", 0.2)
    with Journal(url) as first, Journal(url) as second:
        first.hold("q")
        if "postgresql" in url:
            with pytest.raises(JournalError, match="is used by another server: give each a database"):
                second.hold("q")
        second.hold("another queue")
        assert first.add([song()]) == 1
        assert second.claim("w", "q") is not None  # nobody is kept from single songs


def test_a_queue_is_free_for_who_comes_just_before_its_holder_is_gone(url: str) -> None:
    with Journal(url) as first, Journal(url) as second:
        first.hold("q")
        going = threading.Timer(0.3, first.close)
        going.start()
        second.hold("q")
        going.join()


def test_a_commit_is_synced(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal, journal._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_who_makes_a_journal_waits_for_who_is_making_it(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "j", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    ending = threading.Timer(0.3, other.execute, ["COMMIT"])
    ending.start()
    Journal(tmp_path / "j").close()
    ending.join()
    other.close()


def test_who_reads_makes_no_journal_of_what_is_none(tmp_path: Path, url: str) -> None:
    foreign = tmp_path / "foreign.sqlite"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE mine (word TEXT)")
    for place in [str(foreign), *([url] if "postgresql" in url else [])]:
        with pytest.raises(NoJournalError, match=r"is no journal$"):
            Journal(place, create=False)
    with sqlite3.connect(foreign) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("mine",)]


def test_a_newer_journal_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "j"
    Journal(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE journal SET version = ?", (VERSION + 1,))
    with pytest.raises(JournalError, match=rf"^journal {path} has version 2, this stemwise knows 1: use"):
        Journal(path)


def test_what_is_no_journal_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database" * 100)
    with pytest.raises(JournalError, match=rf"^journal {tmp_path}/text: file is not a database$"):
        Journal(tmp_path / "text")
    with pytest.raises(JournalError, match=rf"^there is no journal {tmp_path}/missing$"):
        Journal(tmp_path / "missing", create=False)
    assert not (tmp_path / "missing").exists()
    with pytest.raises(JournalError, match=r"no/j: unable to open database file$"):
        Journal(tmp_path / "no" / "j")
    for url in ("://", "mysql://host/songs", "postgresql://u:p@host:abc/db"):
        with pytest.raises(JournalError, match=rf"^journal is '{url}': it must be a path, sqlite:///PATH or"):
            Journal(url)
