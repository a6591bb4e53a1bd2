"""The journal: one row per song in a database, which says what is to be done, by whom, and what came of it.

The only home of SQLAlchemy. A file of SQLite serves one machine, PostgreSQL many. Every method is one
transaction, and what it has said is on disk: a process that dies in between loses nothing, and no two
processes ever have the same song.

    queued ──claim──► running ──finish──► done
       ▲                 │ ├─────fail────► failed          add (other parameters) and requeue
       └─release, recover┘ └────cancel───► cancelled       lead back to queued from everywhere
          fail(retry_at)
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from itertools import islice
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy.dialects import postgresql, sqlite

from stemwise.errors import JournalError, NoJournalError
from stemwise.journal.engine import engine
from stemwise.journal.tables import STATES, VERSION, Row, State, metadata, song, songs, version

__all__ = ["STATES", "VERSION", "Journal", "Row", "State"]

PIECE = 500  # rows a statement
LOCK = 7736  # any number that is always the same
PATIENCE_S = 5.0  # a server of PostgreSQL frees what somebody held some moments after he is gone
_KEEP_ALIVE = ("idle = 10", "interval = 5", "count = 3")  # seconds: who lost its machine is known to be gone
_LOCK_NOT_AVAILABLE = "55P03"  # PostgreSQL's appendix A, "Error Codes"
_COLUMNS = [song[column.name] for column in fields(Row)]
# What a song loses that is to be done anew.
_ANEW = {"state": "queued", "attempts": 0, "not_before": 0.0, "error": None, "worker": None,
         "heartbeat": None, "started": None, "ended": None, "outputs": {},
         "model_sha256": None, "input_sha256": None}  # fmt: skip


class Journal:
    """A journal that is open; close it, or use it in a `with` statement. Threads may share it.

    Args:
        url: the path of a file, `sqlite:///PATH` or `postgresql://USER:PASSWORD@HOST/DATABASE`. Give SQLite a
            local disk: file systems of a network do not lock as it needs.
        create: make what is not there; False to refuse it.
        clock: seconds since 1970.

    Raises:
        JournalError: if it cannot be opened, is no journal, or one of a newer version; as every method does
            where the database refuses (disk full, connection lost).
    """

    def __init__(
        self, url: str | Path, *, create: bool = True, clock: Callable[[], float] = time.time
    ) -> None:
        self.clock = clock
        self._engine = engine(url, create=create)
        self._holds: list[sql.Connection] = []
        self.name = self._engine.url.render_as_string(hide_password=True).removeprefix("sqlite:///")
        try:
            self._prepare(create)
        except JournalError:
            self.close()
            raise

    def _prepare(self, create: bool) -> None:
        with self._writing() as connection:
            if self._engine.dialect.name == "postgresql":  # two that make tables take turns
                connection.execute(sql.select(sql.func.pg_advisory_xact_lock(LOCK)))
            if create:
                metadata.create_all(connection)
            elif not sql.inspect(connection).has_table(version.name):
                raise NoJournalError(f"{self.name} is no journal")
            found = connection.scalar(sql.select(version.c.version))
            if found is None:
                connection.execute(sql.insert(version).values(version=VERSION))
        if found is not None and found > VERSION:
            raise JournalError(
                f"journal {self.name} has version {found}, this stemwise knows {VERSION}: use a newer one"
            )

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for connection in self._holds:
            connection.close()
        self._engine.dispose()

    def hold(self, queue: str) -> None:
        """Alone serve a queue, of all on any machine, until this journal is closed or its process ends.

        PostgreSQL alone keeps others out; whoever has a journal in a file locks a folder of his own.

        Raises:
            JournalError: if somebody else holds it.
        """
        if self._engine.dialect.name != "postgresql":
            return
        with self._errors():
            connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            connection.detach()  # it is closed in the end, and does not go back into the pool
            self._holds.append(connection)
            for setting in _KEEP_ALIVE:
                connection.exec_driver_sql(f"SET tcp_keepalives_{setting}")
            connection.exec_driver_sql(f"SET lock_timeout = {round(1000 * PATIENCE_S)}")
            try:
                connection.execute(sql.select(sql.func.pg_advisory_lock(LOCK, sql.func.hashtext(queue))))
            except sql.exc.OperationalError as error:
                if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                    raise
                raise JournalError(
                    f"journal {self.name} is used by another server: give each a database"
                ) from error

    def add(self, rows: Iterable[Row]) -> int:
        """Queue songs. One that is there with the same parameters keeps its state; where it lies may change.

        One that runs with others stays as it is: whoever has it would end it as what it is not.

        Returns:
            How many are queued now that were not there, or were there with other parameters.
        """
        insert = (sqlite if self._engine.dialect.name == "sqlite" else postgresql).insert(songs)
        new = insert.excluded
        kept = {"id", "queue", "created", *_ANEW}
        told = {name: new[name] for name in Row.__dataclass_fields__ if name not in kept}
        move = insert.on_conflict_do_update(
            index_elements=[song.id],
            set_={"source": new.source, "title": new.title},
            where=song.parameters == new.parameters,
        )
        other = (song.parameters != new.parameters) & (song.state != "running")
        upsert = insert.on_conflict_do_update(index_elements=[song.id], set_=_ANEW | told, where=other)
        upsert = upsert.returning(song.number)
        queued, rest = 0, iter(rows)
        while piece := [asdict(row) | {"created": self.clock()} for row in islice(rest, PIECE)]:
            with self._writing() as connection:
                queued += len(connection.execute(upsert, piece).all())
                connection.execute(move, piece)
        return queued

    def claim(self, worker: str, queue: str) -> Row | None:
        """Take the oldest song that is queued and due; None if there is none."""
        now = self.clock()
        oldest = (
            sql.select(song.number)
            .where(song.queue == queue, song.state == "queued", song.not_before <= now)
            .order_by(song.number)
            .limit(1)
            .with_for_update(skip_locked=True)  # PostgreSQL; SQLite has one writer at a time
        )
        claim = (
            sql.update(songs)
            .where(song.number == oldest.scalar_subquery())
            .values(state="running", worker=worker, started=now, heartbeat=now, ended=None)
            .returning(*_COLUMNS)
        )
        with self._writing() as connection:
            row = connection.execute(claim).first()
        return None if row is None else Row(**row._mapping)

    def beat(self, worker: str) -> int:
        """Say that a worker is alive; returns how many songs it still has."""
        return self._update(_owned(worker), heartbeat=self.clock())

    def finish(
        self,
        id: str,
        worker: str,
        *,
        outputs: Mapping[str, Any],
        model_sha256: str | None = None,
        input_sha256: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> bool:
        """A song is done, its stems are on disk. False, and no change, if it is not this worker's now."""
        end = self._end("done", details, outputs=outputs, error=None)
        end |= {"model_sha256": model_sha256, "input_sha256": input_sha256}
        return self._update(_owned(worker, id), **end) == 1

    def fail(
        self,
        id: str,
        worker: str,
        error: str,
        *,
        retry_at: float | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> bool:
        """A song has failed, for good or until `retry_at`. False if it is no longer this worker's."""
        end = self._end("failed", details, error=error)
        if retry_at is not None:
            end |= {"state": "queued", "not_before": retry_at}
        return self._update(_owned(worker, id), **end) == 1

    def release(self, worker: str) -> int:
        """Queue again what a worker has: it stops, or is known to be dead. No attempt is counted."""
        return self._update(_owned(worker), state="queued")

    def recover(self, queue: str, stale_before: float, *, alive: Collection[str] = ()) -> int:
        """Queue again what runs under workers last heard of before a time and not known to be alive."""
        stale = song.queue == queue, song.state == "running", song.heartbeat < stale_before
        return self._update([*stale, song.worker.not_in(alive)], state="queued")

    def requeue(
        self, queue: str, *, states: Collection[State] = STATES, ids: Collection[str] | None = None
    ) -> int:
        """Have songs done anew, as if they had never been tried: those of these states and of these ids."""
        pieces = [None] if ids is None else [[*ids][n : n + PIECE] for n in range(0, len(ids), PIECE)]
        return sum(self._update(_chosen(queue, states, ids=piece), **_ANEW) for piece in pieces)

    def cancel(self, id: str) -> bool:
        """Give a song up that is queued or running. False if it is neither."""
        waiting = song.id == id, song.state.in_(("queued", "running"))
        return self._update(waiting, state="cancelled", ended=self.clock()) == 1

    def delete(self, id: str) -> bool:
        with self._writing() as connection:
            return connection.execute(sql.delete(songs).where(song.id == id)).rowcount == 1

    def get(self, id: str) -> Row | None:
        found = self._select(sql.select(*_COLUMNS).where(song.id == id))
        return Row(**found[0]._mapping) if found else None

    def rows(
        self,
        queue: str,
        states: Collection[State] = STATES,
        search: str = "",
        limit: int | None = None,
        offset: int = 0,
        newest_first: bool = False,
    ) -> list[Row]:
        """Songs in the order in which they were added.

        Args:
            queue: of this queue.
            states: in one of these states.
            search: with this text in title or source, in either case.
            limit: at most so many; None for all.
            offset: leaving out so many.
            newest_first: in the opposite order.
        """
        order = song.number.desc() if newest_first else song.number
        chosen = sql.select(*_COLUMNS).where(*_chosen(queue, states, search)).order_by(order)
        return [Row(**row._mapping) for row in self._select(chosen.limit(limit).offset(offset))]

    def count(self, queue: str, states: Collection[State] = STATES, search: str = "") -> int:
        """How many `rows` would give without a limit."""
        chosen = sql.select(sql.func.count()).where(*_chosen(queue, states, search))
        return int(self._select(chosen)[0][0])

    def counts(self, queue: str) -> dict[State, int]:
        """How many songs there are of each state."""
        grouped = sql.select(song.state, sql.func.count()).where(song.queue == queue).group_by(song.state)
        found = {row[0]: row[1] for row in self._select(grouped)}
        return {state: found.get(state, 0) for state in STATES}

    def workers(self, queue: str) -> list[str]:
        """Who has songs that are running."""
        running = sql.select(song.worker).where(song.queue == queue, song.state == "running").distinct()
        return sorted(row[0] for row in self._select(running))

    def _end(self, state: State, details: Mapping[str, Any] | None, **values: Any) -> dict[str, Any]:
        known = {} if details is None else {"details": details}
        return {"state": state, "ended": self.clock(), "attempts": song.attempts + 1} | values | known

    def _update(self, where: Iterable[sql.ColumnElement[bool]], **values: Any) -> int:
        with self._writing() as connection:
            return connection.execute(sql.update(songs).where(*where).values(**values)).rowcount

    def _select(self, statement: sql.Executable) -> list[Any]:
        with self._errors(), self._engine.connect() as connection:
            return list(connection.execution_options(isolation_level="AUTOCOMMIT").execute(statement))

    @contextmanager
    def _writing(self) -> Iterator[sql.Connection]:
        with self._errors(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sql.exc.DBAPIError as error:
            raise JournalError(f"journal {self.name}: {str(error.orig).strip()}") from error


def _owned(worker: str, id: str | None = None) -> list[sql.ColumnElement[bool]]:
    running = [song.worker == worker, song.state == "running"]
    return running if id is None else [*running, song.id == id]


def _chosen(
    queue: str, states: Collection[State], search: str = "", ids: Collection[str] | None = None
) -> Iterator[sql.ColumnElement[bool]]:
    yield song.queue == queue
    yield song.state.in_(states)
    if search:
        yield sql.or_(*(column.icontains(search, autoescape=True) for column in (song.title, song.source)))
    if ids is not None:
        yield song.id.in_(ids)
