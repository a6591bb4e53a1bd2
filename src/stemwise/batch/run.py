"""The driver: takes songs from the journal, has an executor do them, writes down what came of them.

It is the only one that writes the journal of its run. Whoever else works on the same journal, here or on
another machine, is known by its claims alone.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from stemwise.batch.enlist import QUEUE
from stemwise.batch.local import Executor
from stemwise.batch.policy import Policy, Streak
from stemwise.batch.presence import present, take_over
from stemwise.batch.song import Outcome, job_of
from stemwise.errors import JournalError
from stemwise.journal import Journal, Row
from stemwise.worker import Progress

TICK_S = 0.5
BEAT_S = 10.0


class Watch(Protocol):
    """Who looks on."""

    def begin(self, row: Row) -> None:
        """A song was taken."""

    def progress(self, progress: Progress) -> None:
        """A song has come further."""

    def end(self, row: Row, outcome: Outcome, retry_at: float | None) -> None:
        """A song is done, or has failed, for good or until it is tried again."""

    def wait(self, reason: str) -> None:
        """Nothing can be taken for now."""


@dataclass(slots=True)
class Summary:
    """What one run did.

    Attributes:
        n_done: songs.
        n_failed: for good.
        n_retried: attempts that failed and were or will be made again.
        audio_s: of the songs that are done, seconds.
        wall_s: from the first claim to the end.
        journal_s: of these, spent on the journal.
        stopped: why the run ended before its songs did, or None.
    """

    n_done: int = 0
    n_failed: int = 0
    n_retried: int = 0
    audio_s: float = 0.0
    wall_s: float = 0.0
    journal_s: float = 0.0
    stopped: str | None = None


@dataclass(slots=True, kw_only=True)
class Driver:
    """One run over a journal.

    Attributes:
        journal: to take from.
        root: the output folder or URL.
        executor: to do the songs.
        policy: for failures.
        watch: told of everything.
        presence: folder for the sign of life, on this machine.
        precision: of a model by name, what `auto` came to.
        details: kept with every song that is done: what it was done with.
        summary: of the run so far.
    """

    journal: Journal
    root: str
    executor: Executor
    watch: Watch
    presence: Path
    policy: Policy = field(default_factory=Policy)
    precision: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    summary: Summary = field(default_factory=Summary)
    _running: dict[str, Row] = field(default_factory=dict)
    _not_before: float = 0.0

    def run(self) -> Summary:
        """Go on until every song of the journal has ended, here or elsewhere, or none can be done.

        Raises:
            JournalError: if the journal fails; what is under way is given up, for the next run to take.
            KeyboardInterrupt: likewise.
        """
        begin = time.monotonic()
        with present(self.presence) as worker:
            try:
                self._work(worker)
            finally:
                self.executor.stop()
                with suppress(JournalError):  # then the next run finds this one dead
                    self.journal.release(worker)
                self.summary.wall_s = time.monotonic() - begin
        return self.summary

    def _work(self, worker: str) -> None:
        streak, beaten = Streak(self.policy), time.monotonic()
        while self.summary.stopped is None:
            self._take(worker, streak)
            if not self._running and self._is_over():
                return
            for event in self.executor.poll(TICK_S):
                if isinstance(event, Progress):
                    self.watch.progress(event)
                else:
                    self._end(event, worker, streak)
            if time.monotonic() > beaten + BEAT_S:
                with self._journalling():
                    self.journal.beat(worker)
                beaten = time.monotonic()

    def _take(self, worker: str, streak: Streak) -> None:
        """Keep the executor busy; with one song only while all fail."""
        slots = 1 if streak.is_general else self.executor.slots
        while len(self._running) < slots and self.journal.clock() >= self._not_before:
            with self._journalling():
                row = self.journal.claim(worker, QUEUE)
            if row is None:
                return
            before = self._running.get(row.id)
            if before is not None:  # it was taken from this process, and is under way here all the same
                self._keep(before, row, worker)
                continue
            self._running[row.id] = row
            self.watch.begin(row)
            self.executor.submit(job_of(row, self.root, self.precision, limit_s=self.policy.limit_s))

    def _keep(self, before: Row, row: Row, worker: str) -> None:
        if row.parameters == before.parameters:
            self._running[row.id] = row
            return
        with self._journalling():
            retry_at = self.journal.clock() + self.policy.pause_s(1)
            self.journal.fail(row.id, worker, "it is still made with other options", retry_at=retry_at)

    def _is_over(self) -> bool:
        """Nothing runs here: whether that is all, after taking over from the dead."""
        with self._journalling():
            released = take_over(self.journal, QUEUE, self.presence)
            counts = self.journal.counts(QUEUE)
        if released:
            return False
        if counts["queued"] and self.journal.clock() < self._not_before:
            self.watch.wait("nothing but failures")
        elif counts["queued"]:
            self.watch.wait(f"songs to be tried again later: {counts['queued']}")
        elif counts["running"]:
            self.watch.wait(f"songs that another process has: {counts['running']}")
        return not (counts["queued"] or counts["running"])

    def _end(self, outcome: Outcome, worker: str, streak: Streak) -> None:
        row = self._running.pop(outcome.id, None)
        if row is None:
            return
        is_own = outcome.crashed and self._has_done()
        why = streak.push(outcome, row.source, is_own=is_own)
        self.summary.stopped = self.summary.stopped or why
        if outcome.error is None:
            self._finish(row, outcome, worker)
            return
        self._not_before = self.journal.clock() + streak.pause_s()
        retry_at = None
        is_spared = streak.is_general and not is_own
        if is_spared or (outcome.passing and row.attempts + 1 < self.policy.attempts):
            retry_at = self.journal.clock() + self.policy.pause_s(row.attempts + 1)
        with self._journalling():
            details = {**row.details, "stamp": outcome.stamp}
            is_ours = self.journal.fail(row.id, worker, outcome.error, retry_at=retry_at, details=details)
            if self.summary.stopped is not None:  # none of them is to blame: the next run tries them again
                self.journal.requeue(QUEUE, states=("queued", "failed"), ids=streak.ids)
        if is_ours:
            self.summary.n_failed += retry_at is None
            self.summary.n_retried += retry_at is not None
            self.watch.end(row, outcome, retry_at)

    def _has_done(self) -> bool:
        """Whether songs can be done at all."""
        return self.summary.n_done > 0 or self.journal.count(QUEUE, ["done"]) > 0

    def _finish(self, row: Row, outcome: Outcome, worker: str) -> None:
        paths = row.details["paths"]
        done = {name: getattr(outcome, name) for name in ("report", "timings", "stamp")}
        with self._journalling():
            is_ours = self.journal.finish(
                row.id,
                worker,
                outputs={stem: {**found, "path": paths[stem]} for stem, found in outcome.outputs.items()},
                model_sha256=row.parameters["model_sha256"],
                input_sha256=outcome.input_sha256,
                details={**row.details, **done, "run": self.details, "root": self.root},
            )
        if is_ours:
            self.summary.n_done += 1
            self.summary.audio_s += outcome.report.get("duration_s", 0.0)
            self.watch.end(row, outcome, None)

    @contextmanager
    def _journalling(self) -> Iterator[None]:
        begin = time.monotonic()
        yield
        self.summary.journal_s += time.monotonic() - begin
