"""Parts of the studio's server by themselves: the library's order, crashes of helpers, news, titles."""

import asyncio
import gc
import multiprocessing
import os
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from multiprocessing import active_children
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
import torch

from audio_files import write_wav
from conftest import song
from server_process import PATIENCE_S
from stemwise.errors import JournalError
from stemwise.journal import Journal, Row
from stemwise.outputs import FULL_SCALE

pytest.importorskip("fastapi")

from python_multipart.multipart import MultipartParser

from stemwise.server import Limits, Settings, songs, stems
from stemwise.server.app import create_app
from stemwise.server.events import Events
from stemwise.server.helper import Helper, HelperError, Voice
from stemwise.server.jobs import MAX_STARTS, Jobs
from stemwise.server.library import QUEUE, DiskFull, Library, Live, QueueFull
from stemwise.server.paces import SONGS, Paces
from stemwise.server.sound import mix
from stemwise.server.state import Studio
from stemwise.server.uploads import receive_form, title_of
from stemwise.worker import Done, Measured, ModelInfo, Models, Pace

MODEL = ModelInfo(
    name="stemwise:4stems",
    stems=("vocals",),
    two_stems=(),
    licence="MIT",
    description="",
    bytes=7,
    installed=True,
)


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Journal(tmp_path / "journal.sqlite") as journal:
        library = Library(Settings(data=tmp_path / "data"), journal)
        library.open()
        yield library


def add(library: Library, title: str = "song") -> Row:
    upload = library.temporary()
    upload.write_text("as it came")
    return library.add(title, "stemwise:4stems", None, {"stems": ["vocals"]}, upload)


def limited(library: Library, **limits: Any) -> Library:
    return Library(replace(library.settings, limits=Limits(**limits)), library.journal)


def test_what_is_old_is_cleaned_up(library: Library) -> None:
    done, failed, waiting = (add(library, title) for title in ("done", "failed", "waiting"))
    library.journal.claim("w", QUEUE)
    library.journal.finish(done.id, "w", outputs={})
    library.journal.claim("w", QUEUE)
    library.journal.fail(failed.id, "w", "no")
    assert library.clean_up() == []
    assert library.input(failed).exists()
    time.sleep(0.01)
    assert limited(library, kept_s=0.001).clean_up() == []
    assert not library.input(failed).exists()
    assert library.get(failed.id) is not None
    assert limited(library, stems_kept_s=0.001).clean_up() == [done.id, failed.id]
    assert [path.name for path in library.songs.iterdir()] == [waiting.id]
    assert library.input(waiting).exists()


def test_a_clean_up_that_fails_is_tried_again_and_the_server_ends_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(Settings(data=tmp_path))
    studio: Studio = app.state.studio
    troubles: list[Exception] = [JournalError("the database is away"), PermissionError("no")]
    told: list[str] = []

    def clean_up() -> list[str]:
        told.append("clean up")
        if troubles:
            raise troubles.pop()
        return ["gone"]

    monkeypatch.setattr("stemwise.server.app.CLEAN_UP_S", 0.001)
    monkeypatch.setattr(studio.library, "clean_up", clean_up)
    monkeypatch.setattr(studio.events, "publish", lambda kind, song: told.append(f"{kind} {song['id']}"))
    monkeypatch.setattr(studio.jobs, "start", lambda: None)
    monkeypatch.setattr(studio.jobs, "stop", lambda: told.append("stop"))

    async def scene() -> None:
        async with app.router.lifespan_context(app):
            while "deleted gone" not in told:
                await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(scene(), PATIENCE_S))
    assert (told[:4], told[-1]) == ([*3 * ["clean up"], "deleted gone"], "stop")


def test_what_a_killed_server_left_is_gone_when_the_next_one_opens(library: Library) -> None:
    row = add(library)
    library.temporary().write_text("half an upload")
    (library.songs / row.id / ".vocals.wav.0123.part").write_text("half a stem")
    (library.songs / "0123456789abcdef").mkdir()
    (library.trials / "trial-1").mkdir()
    library.open()
    assert [*library.incoming.iterdir(), *library.trials.iterdir()] == []
    assert [path.name for path in library.songs.iterdir()] == [row.id]
    assert [path.name for path in (library.songs / row.id).iterdir()] == ["input"]


def test_stems_that_another_journal_knows_are_left_alone(library: Library) -> None:
    foreign = library.songs / "0123456789abcdef"
    foreign.mkdir()
    (foreign / "vocals.wav").write_text("a stem")
    library.open()
    assert (foreign / "vocals.wav").read_text() == "a stem"


def test_songs_that_wait_know_when_they_will_be_done(library: Library) -> None:
    rows = [add(library, title) for title in ("one", "two", "three", "endless", "four")]
    for row, duration_s in zip(rows, (10.0, 20.0, 30.0, None, 40.0), strict=True):
        library.journal.delete(row.id)
        library.journal.add([replace(row, details={**row.details, "duration_s": duration_s})])

    def waits() -> list[tuple[int | None, float | None]]:
        return [(view["position"], view["eta_s"]) for view in library.waiting()]

    assert waits() == [(place, None) for place in range(1, 6)]
    library.pace_of = {"stemwise:4stems": Pace(0.5, 0.25)}.get
    assert waits() == [(1, 3.0), (2, 8.5), (3, 16.5), (4, None), (5, None)]
    library.journal.claim("w", QUEUE)
    library.live[rows[0].id] = Live(0.5, "separating", 1.0)
    assert waits()[:3] == [(None, 1.0), (1, 6.5), (2, 14.5)]
    two = Library(replace(library.settings, n_workers=2), library.journal)
    two.live, two.pace_of = library.live, library.pace_of
    assert [view["eta_s"] for view in two.waiting()][:3] == [1.0, 3.25, 7.25]


def test_there_is_room_for_so_much_only(library: Library) -> None:
    add(library)
    with pytest.raises(QueueFull, match="1 songs are waiting"):
        limited(library, queue=1).check_room()
    with pytest.raises(DiskFull, match="delete songs"):
        limited(library, disk_bytes=5).check_room()
    assert limited(library, disk_bytes=1000).check_room() <= 990
    with pytest.raises(DiskFull):
        limited(library, disk_bytes=1000).check_room(991)


LONG = {"stems": ["vocals", "drums"], "sample_rate": 100, "n_channels": 2, "duration_s": 1000.5}  # 800 kB


def test_songs_that_wait_keep_the_room_of_their_stems(library: Library) -> None:
    def add_long(library: Library) -> Row:
        upload = library.temporary()
        upload.write_bytes(bytes(1000))
        return library.add("long", "stemwise:4stems", None, LONG, upload)

    small = limited(library, disk_bytes=2_000_000)
    rows = [add_long(small) for _ in range(2)]
    with pytest.raises(DiskFull, match="what songs that wait will need"):
        add_long(small)
    assert len(list(small.songs.iterdir())) == 2
    room = 2_000_000 - 2 * 800_000 - 3 * 1000  # the third one's upload is there yet
    assert small.check_room() == room
    library.journal.claim("w", QUEUE)
    (small.songs / rows[0].id / ".vocals.wav.0123.part").write_bytes(bytes(100_000))
    assert small.check_room() == room  # what is written is not counted twice
    library.journal.fail(rows[0].id, "w", "no")
    small.remove_stems(rows[0].id)
    assert small.check_room() == room + 800_000
    library.journal.add([Row(id="next", queue=QUEUE, source="/", title="", parameters={}, details=LONG)])
    with pytest.raises(DiskFull):
        small.add_again(rows[0])


def test_uploads_on_their_way_keep_their_room(library: Library) -> None:
    small = limited(library, disk_bytes=2_000_000)
    first, second = small.temporary(), small.temporary()
    assert small.expect(first, 1_500_000) == 1_500_000
    first.write_bytes(bytes(1_000_000))
    assert small.expect(second, 1_500_000) == 500_000
    with pytest.raises(DiskFull):
        small.expect(small.temporary(), 1)
    small.arrived(second)
    assert small.expect(second, 1) == 1


def test_a_song_during_which_servers_end_again_and_again_is_given_up(library: Library) -> None:
    row = add(library)
    for attempt in range(MAX_STARTS):
        assert library.journal.claim(f"server {attempt}", QUEUE) is not None
        jobs = Jobs(library, Events())
        jobs.stop()  # before it begins: only what was running is looked at
        jobs.start()
        jobs.stop()
    failed = library.get(row.id)
    assert failed is not None
    assert (failed.state, failed.attempts) == ("failed", MAX_STARTS)
    assert "the server ended 3 times" in str(failed.error)
    assert library.view(failed)["stems"] == ["vocals"]


def test_a_pace_is_kept_for_this_machine_version_and_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "paces.json"
    paces = Paces(path, None)
    assert paces.of(MODEL) is None
    assert paces.untried([replace(MODEL, installed=False), MODEL]) == MODEL
    paces.note_trial(MODEL, Pace(0.5, 0.1))
    again = Paces(path, None)
    assert again.of(MODEL) == Pace(0.5, 0.1)
    assert again.untried([MODEL]) is None
    another = replace(MODEL, bytes=8)  # of that name
    assert (again.of(another), again.untried([another])) == (None, another)
    assert Paces(path, 1).of(MODEL) is None
    monkeypatch.setattr("stemwise.server.paces.__version__", "another")
    assert Paces(path, None).of(MODEL) is None
    path.write_text('{"version": ')
    assert Paces(path, None).untried([MODEL]) == MODEL


def test_songs_tell_a_pace_better_than_the_trial(tmp_path: Path) -> None:
    paces = Paces(tmp_path / "paces.json", None)
    paces.note_trial(MODEL, Pace(0.5, 0.1))
    paces.note_song(MODEL, 2.0, 10.0)  # too short to tell
    assert paces.of(MODEL) == Pace(0.5, 0.1)
    for _ in range(SONGS // 2 + 1):
        paces.note_song(MODEL, 100.0, 20.5)
    paces.note_song(MODEL, 100.0, 400.5)  # one that clipped on a busy machine
    assert Paces(tmp_path / "paces.json", None).of(MODEL) == Pace(0.5, 0.2)
    for _ in range(SONGS):
        paces.note_song(MODEL, 100.0, 5.5)
    assert paces.of(MODEL) == Pace(0.5, 0.05)


def test_a_trial_that_failed_is_not_repeated(tmp_path: Path) -> None:
    paces = Paces(tmp_path / "paces.json", None)
    paces.note_trial(MODEL, None)
    assert paces.untried([MODEL]) is None
    assert Paces(tmp_path / "paces.json", None).untried([MODEL]) == MODEL


class _Trying:
    """A worker whose first trial ends when it has to only."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.answers: list[Any] = []

    def ask_models(self) -> None:
        self.answers.append(Models((MODEL,)))

    def try_out(self, trial: Any) -> None:
        self.told.append("try")
        if self.told.count("try") > 1:
            self.answers.append(Measured(Pace(0.5, 0.1)))

    def give_way(self) -> None:
        self.told.append("give way")
        self.answers.append(Measured(None))

    def submit(self, task: Any) -> None:
        self.told.append(task.id)
        Path(task.paths["vocals"]).write_text("a stem")
        report = {"duration_s": 1.0, "sample_rate": 1, "gain_db": 0.0, "wall_s": 0.1, "notes": ()}
        self.answers.append(Done(task.id, report | {"licence": "MIT", "stems": ["vocals"]}))

    def poll(self, timeout_s: float) -> Any:
        time.sleep(0.001)
        return self.answers.pop(0) if self.answers else None

    def cancel(self) -> None:
        self.answers.clear()

    def close(self) -> None:
        self.told.append("close")


def test_a_song_goes_before_a_trial(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = _Trying()
    monkeypatch.setattr("stemwise.server.jobs.Worker", lambda threads: worker)
    jobs = Jobs(library, Events())
    jobs.start()
    until = time.monotonic() + PATIENCE_S

    def wait_for(is_so: Any) -> None:
        while not is_so() and time.monotonic() < until:
            time.sleep(0.001)

    wait_for(lambda: worker.told)
    row = add(library)
    jobs.wake()
    wait_for(lambda: jobs.paces.of(MODEL) is not None)
    jobs.stop()
    assert worker.told == ["try", "give way", row.id, "try", "close"]
    assert jobs.paces.of(MODEL) == Pace(0.5, 0.1)


@pytest.mark.parametrize("broken", ["finish", "beat", "submit"])
def test_a_song_that_the_server_cannot_end_fails_and_the_next_one_goes_on(
    library: Library, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    worker, journal = _Trying(), library.journal
    monkeypatch.setattr("stemwise.server.jobs.Worker", lambda threads: worker)
    monkeypatch.setattr("stemwise.server.jobs.LOOK_S", 0.01)
    monkeypatch.setattr("stemwise.server.jobs.BEAT_S", 0.0)
    rows = [add(library, title) for title in ("one", "two")]
    full, no_process = JournalError("the disk is full"), OSError("no process can be started")
    troubles = {"fail": full, broken: no_process if broken == "submit" else full}

    def fails_first(name: str, owner: Any) -> None:
        works = getattr(owner, name)

        def call(*args: Any, **options: Any) -> Any:
            if name in troubles:
                raise troubles.pop(name)
            return works(*args, **options)

        monkeypatch.setattr(owner, name, call)

    fails_first("fail", journal)
    fails_first(broken, worker if broken == "submit" else journal)
    jobs = Jobs(library, Events())
    jobs.start()
    until = time.monotonic() + PATIENCE_S
    while journal.count(QUEUE, ("done", "failed")) < 2 and time.monotonic() < until:
        time.sleep(0.001)
    jobs.stop()
    first, second = (library.get(row.id) for row in rows)
    assert first is not None
    assert second is not None
    assert (first.state, second.state, troubles) == ("failed", "done", {})
    assert str(first.error).endswith(str(no_process if broken == "submit" else full))
    assert library.view(first)["stems"] == ["vocals"]
    assert [path.name for path in (library.songs / first.id).iterdir()] == ["input"]


class _Dying(_Trying):
    """A worker that never ends a song, and takes its time to die."""

    def __init__(self, told: list[str]) -> None:
        super().__init__()
        self.told, self.dies = told, threading.Event()

    def submit(self, task: Any) -> None:
        self.told.append("begins")

    def cancel(self) -> None:
        self.dies.set()
        time.sleep(0.3)
        self.told.append("is dead")


@pytest.mark.parametrize("moment", ["cancelled", "told", "dying"])
def test_a_song_that_is_tried_again_waits_for_who_still_has_it(
    library: Library, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    jobs, told = Jobs(library, Events()), list[str]()
    jobs.models = {MODEL.name: MODEL}
    first, second, cancels = _Dying(told), _Trying(), library.journal.cancel
    second.told = told
    row = add(library)

    def separate(worker: Any, name: str) -> None:
        claimed = library.journal.claim(name, QUEUE)
        assert claimed is not None
        jobs._separate(worker, name, claimed)

    def retry() -> None:
        library.add_again(row)
        again.start()

    def cancel(id: str) -> bool:
        is_changed = cancels(id)
        if moment == "cancelled":
            retry()
            again.join(0.2)
        return is_changed

    again = threading.Thread(target=separate, args=(second, "second"))
    before = threading.Thread(target=separate, args=(first, "first"))
    before.start()
    until = time.monotonic() + PATIENCE_S
    while told != ["begins"] and time.monotonic() < until:
        time.sleep(0.001)
    monkeypatch.setattr(library.journal, "cancel", cancel)
    who = threading.Thread(target=jobs.cancel, args=(row.id,))
    who.start()
    if moment == "dying":
        assert first.dies.wait(PATIENCE_S)
    if moment != "cancelled":
        while library.get(row.id).state != "cancelled":  # type: ignore[union-attr]
            time.sleep(0.001)
        retry()
    for thread in (before, again, who):
        thread.join(PATIENCE_S)
    assert told == ["begins", "is dead", row.id]
    assert library.get(row.id).state == "done"  # type: ignore[union-attr]
    assert jobs._running == {}


@pytest.mark.parametrize("limits", [{"kept_s": 1e-9}, {"stems_kept_s": 1e-9}])
def test_a_song_that_is_tried_again_is_not_cleaned_up(
    library: Library, monkeypatch: pytest.MonkeyPatch, limits: dict[str, float]
) -> None:
    row, lists = add(library), library.journal.rows
    library.journal.cancel(row.id)
    time.sleep(0.01)
    strict = limited(library, **limits)

    def rows(queue: str, states: Any, *args: Any) -> list[Row]:
        found = lists(queue, states, *args)
        if "cancelled" in states and ("done" in states) == ("stems_kept_s" in limits):
            monkeypatch.setattr(library.journal, "rows", lists)
            strict.add_again(row)
        return found

    monkeypatch.setattr(library.journal, "rows", rows)
    assert strict.clean_up() == []
    again = library.get(row.id)
    assert again is not None
    assert again.state == "queued"
    assert library.input(again).read_text() == "as it came"


def test_a_worker_is_closed_though_the_database_is_away(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = _Trying()

    def release(name: str) -> int:
        raise JournalError("the database is away")

    monkeypatch.setattr("stemwise.server.jobs.Worker", lambda threads: worker)
    monkeypatch.setattr(library.journal, "release", release)
    jobs = Jobs(library, Events())
    jobs.start()
    jobs.stop()
    assert worker.told[-1:] == ["close"]


@pytest.mark.parametrize(
    ("looked_at", "meanwhile"), [("queue", "running"), ("queue", "deleted"), ("song", "deleted")]
)
def test_news_of_a_song_come_in_the_order_of_what_happens(
    library: Library, monkeypatch: pytest.MonkeyPatch, looked_at: str, meanwhile: str
) -> None:
    events, told = Events(), list[str]()
    jobs = Jobs(library, events)
    studio = Studio(library.settings, library, jobs, events, Helper())
    monkeypatch.setattr(
        events, "publish", lambda kind, song: told.append(kind if kind == "deleted" else song["state"])
    )
    row, look = add(library), library.view
    if looked_at == "song":
        library.journal.claim("w", QUEUE)

    def happen() -> None:
        if meanwhile == "running":
            library.journal.claim("w", QUEUE)
            jobs.publish(row.id)
        else:
            songs.delete(studio, row)

    another = threading.Thread(target=happen)

    def view(*args: Any) -> dict[str, Any]:
        seen = look(*args)
        if another.ident is None:  # something happens between the look and the telling
            another.start()
            another.join(0.3)  # which is long enough, unless it has to wait
        return seen

    monkeypatch.setattr(library, "view", view)
    if looked_at == "song":
        jobs.publish(row.id)
    else:
        jobs.publish_queue()
    another.join()
    assert told == ["queued" if looked_at == "queue" else "running", meanwhile]


def test_who_waits_for_the_models_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = create_app(Settings(data=tmp_path))
    studio: Studio = app.state.studio
    studio.library.open()
    monkeypatch.setattr(songs, "MODELS_S", 30.0)

    async def scene() -> None:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            waiting = [asyncio.create_task(client.get("/api/models")) for _ in range(50)]
            await asyncio.sleep(0.1)
            assert (await client.get("/api/songs")).json() == {"songs": [], "total": 0}
            studio.jobs.models[MODEL.name] = MODEL
            for answer in await asyncio.gather(*waiting):
                assert [model["name"] for model in answer.json()] == [MODEL.name]
            studio.jobs.models.clear()
            monkeypatch.setattr(songs, "MODELS_S", 0.0)
            assert (await client.get("/api/models")).status_code == 503

    asyncio.run(asyncio.wait_for(scene(), PATIENCE_S))
    studio.library.journal.close()


@pytest.mark.parametrize(
    ("filename", "title"),
    [
        ("song.mp3", "song"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Music\\a song.v2.wav", "a song.v2"),
        ("", "untitled"),
        ("..", ".."),
        ("a\x00b\x1b[31m.wav", "a b [31m"),
        ("x" * 500, "x" * 200),
        ("\ud800.wav", "untitled"),
    ],
)
def test_titles_are_for_people(library: Library, filename: str, title: str) -> None:
    row = add(library, title_of(filename))
    assert row.title == title
    assert [path.name for path in (library.songs / row.id).iterdir()] == ["input"]


def test_a_slow_disk_holds_up_its_own_upload_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
    threads: list[tuple[str, threading.Thread]] = []
    writes, syncs = MultipartParser.write, os.fsync

    def write(self: MultipartParser, data: bytes) -> int:
        threads.append(("write", threading.current_thread()))
        return writes(self, data)

    def sync(file: int) -> None:
        threads.append(("sync", threading.current_thread()))
        syncs(file)

    async def pieces() -> AsyncIterator[bytes]:
        for piece in (head, 1000 * b"x", 1000 * b"y", b"\r\n--b--\r\n"):
            yield piece

    monkeypatch.setattr(MultipartParser, "write", write)
    monkeypatch.setattr("os.fsync", sync)
    form = asyncio.run(receive_form(pieces(), "multipart/form-data; boundary=b", tmp_path / "x", 2000))
    assert form.n_bytes == 2000
    assert (tmp_path / "x").read_bytes() == 1000 * b"x" + 1000 * b"y"
    assert {name for name, _ in threads} == {"write", "sync"}
    assert threading.main_thread() not in [thread for _, thread in threads]


def test_a_mix_of_any_peak_is_lowered_to_full_scale(tmp_path: Path) -> None:
    stem = write_wav(tmp_path / "stem.wav", torch.tensor([[0.5, -0.5, 0.0]]), subtype="PCM_16")
    for peak in np.linspace(1.001, 3, 50):
        lowered_db = mix([Voice(path=stem, gain=2 * peak)], tmp_path / "mix.wav", "wav", "song", 0.0, None)
        assert lowered_db == pytest.approx(20 * np.log10(FULL_SCALE / peak), abs=1e-5)
        assert soundfile.read(tmp_path / "mix.wav", dtype="int16")[0].tolist() == [32767, -32767, 0]
        (tmp_path / "mix.wav").unlink()


def test_a_helper_that_is_killed_costs_one_request(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # nobody writes to it: whoever opens it hangs
    good = write_wav(tmp_path / "song.wav", song(20_000))

    async def scene() -> None:
        helper, before = Helper(), set(active_children())
        hanging = asyncio.create_task(helper.probe(tmp_path / "pipe", "pipe"))
        assert (await helper.probe(good, "song")).duration_s == 20_000 / 44100
        children = set(active_children()) - before
        for child in children:
            child.kill()
        while any(child.is_alive() for child in children):  # a signal takes its time
            await asyncio.sleep(0.01)
        with pytest.raises(HelperError, match="crashed"):
            await asyncio.wait_for(hanging, PATIENCE_S)
        assert (await helper.probe(good, "song")).n_channels == 2
        helper.close()

    asyncio.run(scene())


def test_a_mix_that_nobody_waits_for_any_more_leaves_nothing(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, goes_on = threading.Event(), threading.Event()

    def slow(helper: Helper, name: str, args: tuple[Any, ...]) -> float:
        begun.set()
        assert goes_on.wait(PATIENCE_S)
        args[1].write_text("a mix")
        return -1.0

    async def scene() -> None:
        row, helper, events = add(library), Helper(), Events()
        studio = Studio(library.settings, library, Jobs(library, events), events, helper)
        made = asyncio.create_task(stems._make(studio, row, [], "wav", "mix"))
        assert await asyncio.to_thread(begun.wait, PATIENCE_S)
        made.cancel()
        with pytest.raises(asyncio.CancelledError):
            await made
        goes_on.set()
        file, gain_db = await stems._make(studio, row, [], "wav", "mix")
        with file:
            assert (file.read(), gain_db) == (b"a mix", -1.0)
        helper.close()

    monkeypatch.setattr(Helper, "_call_here", slow)
    asyncio.run(asyncio.wait_for(scene(), PATIENCE_S))
    gc.collect()
    assert list(library.incoming.iterdir()) == []


@pytest.mark.parametrize(
    ("owner", "name"), [(Helper, "_call_here"), (multiprocessing, "get_context"), (SpawnProcess, "start")]
)
def test_a_server_ends_at_once_while_a_helper_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    os.mkfifo(tmp_path / "pipe")  # whoever opens it hangs
    begins, begun = getattr(owner, name), threading.Event()

    def begin(*args: Any) -> Any:
        begun.set()
        time.sleep(0.3)  # and the server ends
        return begins(*args)

    monkeypatch.setattr(owner, name, begin)
    monkeypatch.setattr("stemwise.server.helper.PROBE_S", 10.0)

    async def scene() -> None:
        helper = Helper()
        hanging = asyncio.create_task(helper.probe(tmp_path / "pipe", "pipe"))
        assert await asyncio.to_thread(begun.wait, PATIENCE_S)
        helper.close()
        with pytest.raises(HelperError, match=r"ends|crashed"):
            await hanging

    before = set(active_children())
    asyncio.run(scene())
    assert set(active_children()) <= before


def test_who_is_slow_hears_of_the_last_state_only() -> None:
    async def scene() -> None:
        events = Events()
        events.open()

        async def first() -> list[dict[str, Any]]:
            events.publish("song", {"id": "a", "n": 1})  # newer than what is listed
            await asyncio.sleep(0.01)
            return [{"id": "a", "n": 0}, {"id": "b", "n": 0}]

        stream = events.watch(first)
        assert await anext(stream) == "retry: 2000\n\n"
        heard = [await anext(stream), await anext(stream)]
        assert heard == [
            'event: song\ndata: {"id": "a", "n": 1}\n\n',
            'event: song\ndata: {"id": "b", "n": 0}\n\n',
        ]
        for n in range(100):
            events.publish("song", {"id": "a", "n": n})
        events.publish("deleted", {"id": "b"})
        await asyncio.sleep(0.01)
        assert await anext(stream) == 'event: song\ndata: {"id": "a", "n": 99}\n\n'
        assert await anext(stream) == 'event: deleted\ndata: {"id": "b"}\n\n'
        events.close()
        with pytest.raises(StopAsyncIteration):
            await anext(stream)

    asyncio.run(scene())
