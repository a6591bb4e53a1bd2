"""The way to a database: a file of SQLite whose commits survive a power cut, or PostgreSQL."""

import sqlite3
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sql

from stemwise.errors import JournalError, NoJournalError

BUSY_S = 60.0  # how long SQLite waits for another process's transaction


def engine(url: str | Path, *, create: bool) -> sql.Engine:
    """The engine of `Journal`'s arguments, which see."""
    wanted = JournalError(f"journal is {str(url)!r}: it must be a path, sqlite:///PATH or postgresql://…")
    try:
        found = sql.make_url(str(url)) if "://" in str(url) else sql.URL.create("sqlite", database=str(url))
    except (sql.exc.ArgumentError, ValueError) as error:  # ValueError: of a port that is no number
        raise wanted from error
    if found.get_backend_name() == "postgresql":
        return _postgresql(found)
    if found.get_backend_name() != "sqlite":
        raise wanted
    if not create and not Path(found.database or "").is_file():
        raise NoJournalError(f"there is no journal {found.database}")
    engine = sql.create_engine(found, connect_args={"timeout": BUSY_S})
    sql.event.listen(engine, "connect", _make_durable)
    sql.event.listen(engine, "begin", _begin_to_write)
    return engine


def _postgresql(url: sql.URL) -> sql.Engine:
    try:
        return sql.create_engine(url.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
    except ImportError as error:
        raise JournalError("PostgreSQL needs psycopg: pip install 'stemwise[postgres]'") from error


def _begin_to_write(connection: sql.Connection) -> None:
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":  # as who only reads has it
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _make_durable(connection: Any, _: object) -> None:
    """A commit of SQLite is synced to disk; readers do not wait for writers."""
    connection.isolation_level = None  # begin when we say so
    until = time.monotonic() + BUSY_S
    while True:  # two that make one file refuse each other here: SQLite itself does not wait
        try:
            connection.execute("PRAGMA journal_mode = WAL").close()
            break
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)
    connection.execute("PRAGMA synchronous = FULL").close()
