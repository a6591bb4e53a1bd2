"""What the journal's tables hold."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import sqlalchemy as sql

VERSION = 1  # of the tables
State = Literal["queued", "running", "done", "failed", "cancelled"]
STATES: tuple[State, ...] = ("queued", "running", "done", "failed", "cancelled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One song. Times are seconds since 1970; what holds no value yet is None or empty.

    Attributes:
        id: unique in the journal.
        queue: what it belongs to: the name of a batch, or `studio`.
        source: path or URL of the input.
        title: for people.
        parameters: all that decides what its stems are; JSON.
        state: see the picture above.
        attempts: how often it was tried to an end, good or bad.
        not_before: when it may be claimed.
        error: of the last attempt, one line.
        worker: who has it, or had it last.
        heartbeat: when that worker was last heard of.
        model_sha256: of the weights that made the stems.
        input_sha256: of the input's bytes.
        outputs: stem → `{"path": …, "sha256": …, "bytes": …}`.
        details: durations, timings, notes, whatever else a caller keeps; JSON.
        created: when it was added.
        started: when it was last claimed.
        ended: when it was last done, failed or cancelled.
    """

    id: str
    queue: str
    source: str
    title: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    state: State = "queued"
    attempts: int = 0
    not_before: float = 0.0
    error: str | None = None
    worker: str | None = None
    heartbeat: float | None = None
    model_sha256: str | None = None
    input_sha256: str | None = None
    outputs: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    created: float = 0.0
    started: float | None = None
    ended: float | None = None


class Canonical(sql.types.TypeDecorator[Mapping[str, Any]]):
    """Equal values are equal texts, so that the database can compare them."""

    impl = sql.Text
    cache_ok = True

    def process_bind_param(self, value: Mapping[str, Any] | None, _: sql.Dialect) -> str:
        return json.dumps(value, sort_keys=True, separators=(",", ":"))

    def process_result_value(self, value: str | None, _: sql.Dialect) -> Mapping[str, Any]:
        found: Mapping[str, Any] = json.loads(value or "{}")
        return found


metadata = sql.MetaData()
version = sql.Table("journal", metadata, sql.Column("version", sql.Integer, nullable=False))
_text, _needed = partial(sql.Column, type_=sql.Text), partial(sql.Column, type_=sql.Text, nullable=False)
_time = partial(sql.Column, type_=sql.Double)
songs = sql.Table(
    "songs",
    metadata,
    # Songs are claimed in the order in which they were added.
    sql.Column("number", sql.BigInteger().with_variant(sql.Integer, "sqlite"), primary_key=True),
    *(_needed(name) for name in ("queue", "source", "title", "state")),
    _needed("id", unique=True),
    *(sql.Column(name, Canonical, nullable=False) for name in ("parameters", "outputs", "details")),
    sql.Column("attempts", sql.Integer, nullable=False),
    *(_text(name) for name in ("error", "worker", "model_sha256", "input_sha256")),
    *(_time(name, nullable=False) for name in ("not_before", "created")),
    *(_time(name) for name in ("heartbeat", "started", "ended")),
    sql.Index("songs_in_order", "queue", "state", "number"),
)
song = songs.c
