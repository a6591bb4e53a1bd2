"""The threads that have songs separated, each by a worker process of its own."""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from stemwise.errors import JournalError
from stemwise.journal import Row
from stemwise.server.events import Events
from stemwise.server.library import QUEUE, QUEUED, RUNNING, Library, Live
from stemwise.server.paces import Paces
from stemwise.worker import (
    Crashed,
    Done,
    Failed,
    Measured,
    Message,
    ModelInfo,
    Models,
    Progress,
    Task,
    Trial,
    Worker,
)

LOG = logging.getLogger("stemwise.server")
POLL_S = 0.1  # within which a cancelled song's process is killed
LOOK_S = 1.0  # between looks into the queue for what another program has put there
BEAT_S = 5.0
OVER_S = 10.0  # for a thread to let go of a song that was cancelled
MAX_STARTS = 3  # of a song during which the server ended: then it is the song
SECOND_PASS = "separating again, softer"


@dataclass(slots=True)
class _Running:
    """A song under way; `over` when its thread has let go of it."""

    is_unwanted: bool = False
    over: threading.Event = field(default_factory=threading.Event)


class Jobs:
    """All that runs; `models` is known once `has_models` is set."""

    def __init__(self, library: Library, events: Events) -> None:
        self.library, self.events, self.journal = library, events, library.journal
        self.models: dict[str, ModelInfo] = {}
        self.has_models = threading.Event()
        library.pace_of = lambda model: self.paces.of(self.models[model]) if model in self.models else None
        self.paces = Paces(library.settings.data / "paces.json", library.settings.threads)
        self._running: dict[str, _Running] = {}
        self._lock = threading.Lock()
        self._telling = threading.RLock()  # from a look at songs to having told of it
        self._wake, self._stopping = threading.Event(), threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Queue again what was running when a server ended, and begin."""
        for row in self.journal.rows(QUEUE, RUNNING):
            self._recover(row)
        for number in range(self.library.settings.n_workers):
            thread = threading.Thread(target=self._run, args=(number,), name=f"job {number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Kill what runs, and queue it again for the next server."""
        self._stopping.set()
        self._wake.set()
        for thread in self._threads:
            thread.join()

    def wake(self) -> None:
        """There is something new in the queue."""
        self._wake.set()

    def cancel(self, id: str) -> bool:
        """Give up a song; when this returns nobody works on it.

        False if it was neither queued nor running.
        """
        with self._lock:  # or it might be tried again meanwhile, and whoever begins with it be meant
            is_changed = self.journal.cancel(id)
            running = self._running.get(id)
            if running is not None:
                running.is_unwanted = True
        if running is not None:
            running.over.wait(OVER_S)
        return is_changed

    def publish(self, id: str) -> None:
        """Tell everybody how a song is now, and those that wait where they are."""
        with self._telling:
            row = self.library.get(id)
            if row is not None and row.state != "queued":
                self.events.publish("song", self.library.view(row))
            self.publish_queue()

    def publish_queue(self) -> None:
        with self._telling:
            for song in self.library.views(self.journal.rows(QUEUE, QUEUED)):
                self.events.publish("song", song)

    def publish_deleted(self, id: str) -> None:
        """Tell everybody, as the last that is heard of a song, that it is gone."""
        with self._telling:
            self.events.publish("deleted", {"id": id})

    def _recover(self, row: Row) -> None:
        assert row.worker is not None
        reason = f"the server ended {row.attempts + 1} times while this song was separated"
        again = None if row.attempts + 1 >= MAX_STARTS else 0.0
        self.journal.fail(row.id, row.worker, reason, retry_at=again, details=row.details)

    def _run(self, number: int) -> None:
        worker = Worker(self.library.settings.threads)
        name = f"{socket.gethostname()}:{os.getpid()}:{number}"
        trouble = ""
        while not self._stopping.is_set():
            try:
                self._wake.clear()
                if trouble:
                    self._give_up(name, trouble)
                    trouble = ""
                elif not self.has_models.is_set():
                    self._learn_models(worker, number)
                elif (row := self.journal.claim(name, QUEUE)) is not None:
                    self._separate(worker, name, row)
                elif (model := self._to_try(number)) is not None:
                    self._try_out(worker, model)
                else:
                    self._wake.wait(LOOK_S)
            except Exception as error:  # the next song may well succeed
                LOG.exception("a job failed in a way that nobody foresaw")
                trouble = trouble or str(error) or type(error).__name__
                worker.cancel()
                self._stopping.wait(LOOK_S)
        try:
            self.journal.release(name)
        except JournalError as error:  # the next server queues it again
            LOG.error("what was running stays so in the journal: %s", error)
        worker.close()

    def _give_up(self, name: str, reason: str) -> None:
        """End what this thread still has in the journal, now that it can be written again."""
        for row in self.journal.rows(QUEUE, RUNNING):
            if row.worker == name:
                with suppress(OSError):  # on a full disk the journal may need this room
                    self.library.remove_stems(row.id)
                self.journal.fail(row.id, name, f"the studio could not go on with this song: {reason}")
                self.publish(row.id)

    def _learn_models(self, worker: Worker, number: int) -> None:
        """The first thread asks its process, which loads torch meanwhile; the others wait."""
        if number:
            self.has_models.wait(LOOK_S)
            return
        worker.ask_models()
        answer = self._answer(worker, lambda: self._stopping.is_set())
        if isinstance(answer, Models):
            self.models = {model.name: model for model in answer.models}
            self.has_models.set()
        elif answer is not None:
            LOG.error("the models cannot be listed: %s", answer)
            self._stopping.wait(LOOK_S)

    def _to_try(self, number: int) -> ModelInfo | None:
        """A model whose pace is to be learnt now, while there is nothing better to do."""
        return None if number or self._running else self.paces.untried(self.models.values())

    def _try_out(self, worker: Worker, model: ModelInfo) -> None:
        """Learn a model's pace; a song that comes meanwhile goes first, and it is tried out again later."""
        worker.try_out(Trial(model=model.name, folder=str(self.library.trials)))
        has_to_end, answer = False, None
        while answer is None and not self._stopping.is_set():
            if not has_to_end and (self._wake.is_set() or self._running):
                has_to_end = True
                worker.give_way()
            answer = worker.poll(POLL_S)
        match answer:
            case Measured(pace=None) | None:
                return
            case Measured(pace=pace):
                self.paces.note_trial(model, pace)
                self.events.publish("models", {"id": "models"})
            case _:
                LOG.warning("the pace of %s cannot be told: %s", model.name, answer)
                self.paces.note_trial(model, None)

    def _answer(
        self, worker: Worker, is_over: Callable[[], bool], tell: Callable[[Progress], None] | None = None
    ) -> Message | None:
        """The message that ends a request; None if it is over before one comes, and the process killed."""
        while not is_over():
            message = worker.poll(POLL_S)
            if isinstance(message, Progress):
                if tell is not None:
                    tell(message)
            elif message is not None:
                return message
        worker.cancel()
        return None

    def _separate(self, worker: Worker, name: str, row: Row) -> None:
        running = _Running()
        with self._lock:
            before = self._running.get(row.id)
            self._running[row.id] = running
        try:
            if before is not None:  # it was cancelled, and its files are still in the other one's hands
                before.over.wait(OVER_S)
            now = self.journal.get(row.id)
            if now is None or now.state != "running" or now.worker != name:
                return  # cancelled between the two lines before
            self.publish(row.id)
            worker.submit(self._task(row))
            self._end(name, row, self._answer(worker, self._is_over(name, running), self._tell(row)))
        finally:
            self.library.live.pop(row.id, None)
            try:
                self.publish(row.id)
            finally:
                with self._lock:
                    if self._running.get(row.id) is running:  # nobody waits to separate it again
                        del self._running[row.id]
                running.over.set()

    def _task(self, row: Row) -> Task:
        limit = self.library.settings.limits.duration_s
        return Task(
            id=row.id,
            source=str(self.library.input(row)),
            paths={stem: str(self.library.stem(row.id, stem)) for stem in row.details["stems"]},
            model=row.parameters["model"],
            two_stems=row.parameters["two_stems"],
            duration_s=limit + 1,  # headers may lie: what is longer is found out by then
        )

    def _is_over(self, name: str, running: _Running) -> Callable[[], bool]:
        last = time.monotonic()

        def is_over() -> bool:
            nonlocal last
            if time.monotonic() - last > BEAT_S:
                last = time.monotonic()
                if not self.journal.beat(name):
                    return True  # it has been given to somebody else
            return running.is_unwanted or self._stopping.is_set()

        return is_over

    def _tell(self, row: Row) -> Callable[[Progress], None]:
        stage, begun = "", 0.0

        def tell(progress: Progress) -> None:
            nonlocal stage, begun
            if progress.stage != stage:
                stage, begun = progress.stage, time.monotonic()
            share = min(1.0, progress.done / progress.total) if progress.total else 0.0
            spent = time.monotonic() - begun
            left = spent / share - spent if share and spent > 0.2 else None
            is_separating = stage in ("separating", SECOND_PASS)
            self.library.live[row.id] = Live(share if is_separating else 0.0, stage, left)
            self.events.publish("song", self.library.view(row))

        return tell

    def _end(self, name: str, row: Row, message: Message | None) -> None:
        match message:
            case Done(report=report) if report["duration_s"] > self.library.settings.limits.duration_s:
                self.library.remove_stems(row.id)
                limit = self.library.settings.limits.duration_s / 60
                self.journal.fail(row.id, name, f"the song is longer than {limit:g} minutes")
            case Done(report=report):
                self._finish(name, row, dict(report))
            case Failed(message=reason):
                reason = reason.replace(str(self.library.input(row)), row.title)
                self.journal.fail(row.id, name, reason, details=row.details)
            case Crashed(reason=reason):
                self.journal.fail(row.id, name, reason, details=row.details)

    def _finish(self, name: str, row: Row, report: dict[str, Any]) -> None:
        paths = {stem: self.library.stem(row.id, stem) for stem in report["stems"]}
        outputs = {stem: {"path": path.name, "bytes": path.stat().st_size} for stem, path in paths.items()}
        kept = ("duration_s", "sample_rate", "gain_db", "wall_s", "notes", "licence")
        details = {**row.details, **{key: report[key] for key in kept}}
        details["n_samples"] = round(report["duration_s"] * report["sample_rate"])
        if not self.journal.finish(row.id, name, outputs=outputs, details=details):
            self.library.remove_stems(row.id)
            return
        (self.library.songs / row.id / "input").unlink(missing_ok=True)
        model = self.models[row.parameters["model"]]
        self.paces.note_song(model, report["duration_s"], report["wall_s"])
        if not model.installed:
            self.has_models.clear()  # it is now
