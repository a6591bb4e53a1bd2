"""Routes of songs: what there is, what is added, cancelled, tried again, deleted; and news of all that."""

import asyncio
import os
import stat
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from stemwise import __version__
from stemwise.errors import ConfigError
from stemwise.journal import STATES, Row, State
from stemwise.server import schemas
from stemwise.server.helper import Probed
from stemwise.server.library import QUEUE
from stemwise.server.state import SongOf, Studio, StudioOf
from stemwise.server.uploads import MAX_FIELD, MAX_PARTS, TooLarge, receive_form, title_of
from stemwise.worker import ModelInfo, Pace

MODELS_S = 240.0  # that the first worker may take to import torch and say what there is, on a slow machine
LOOK_S = 0.1  # between looks whether it has
MAX_STEM_BYTES = 4 << 30  # of a wav file that every program can read
REFUSED: dict[int | str, dict[str, Any]] = {
    code: {"model": schemas.Problem} for code in (400, 401, 403, 404, 409, 413, 415, 422, 429)
}
_TEXT = {"type": "string"}
_FILE = {"type": "string", "format": "binary"}
_FORM = {
    "type": "object",
    "required": ["file"],
    "properties": {"file": _FILE, "model": _TEXT, "two_stems": _TEXT},
}
FORM = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}}}
router = APIRouter(prefix="/api", tags=["songs"], responses=REFUSED)


async def _models(studio: StudioOf) -> dict[str, ModelInfo]:
    """The models, waited for in the event loop: threads that wait would be lacking for everything else."""
    until = time.monotonic() + MODELS_S
    while not studio.jobs.models:
        if time.monotonic() > until:
            raise HTTPException(503, "the models are not known yet: try again in a moment")
        await asyncio.sleep(LOOK_S)
    return studio.jobs.models


ModelsOf = Annotated[dict[str, ModelInfo], Depends(_models)]


@router.get("/status", response_model=schemas.Status)
def status(studio: StudioOf) -> dict[str, Any]:
    """Version, limits, and what the server offers."""
    limits = studio.settings.limits
    return {
        "version": __version__,
        "limits": {name: getattr(limits, name) for name in schemas.StatusLimits.model_fields},
        "folders": [folder.resolve().name for folder in studio.settings.folders],
        "codecs": list(schemas.CODECS),
    }


@router.get("/models", response_model=list[schemas.Model])
def models(studio: StudioOf, known: ModelsOf) -> list[dict[str, Any]]:
    """The models that can be chosen."""
    return [asdict(info) | _pace(studio.jobs.paces.of(info)) for info in known.values()]


@router.post("/songs", status_code=201, response_model=schemas.Song, openapi_extra=FORM)
async def upload(studio: StudioOf, request: Request) -> dict[str, Any]:
    """Add a song: a form with the `file`, and `model` and `two_stems` if wanted."""
    limits, path = studio.settings.limits, studio.library.temporary()
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limits.bytes + 2 * MAX_PARTS * MAX_FIELD:
        raise TooLarge(f"the file is larger than {limits.bytes / 1e6:.0f} MB, which is the most")
    n_bytes = min(limits.bytes, int(announced)) if announced.isdecimal() else limits.bytes
    try:
        room = await run_in_threadpool(studio.library.expect, path, n_bytes)
        kind = request.headers.get("content-type", "")
        form = await receive_form(request.stream(), kind, path, room)
        studio.library.arrived(path)
        title = title_of(form.filename)
        chosen = (form.fields.get("model") or "stemwise:4stems", form.fields.get("two_stems") or None)
        return await _add(studio, path, title, *chosen)
    except ClientDisconnect:
        raise HTTPException(400, "the upload broke off") from None
    finally:
        studio.library.arrived(path)
        path.unlink(missing_ok=True)


@router.post("/songs/from-path", status_code=201, response_model=schemas.Song)
async def from_path(studio: StudioOf, asked: schemas.FromPath) -> dict[str, Any]:
    """Add a song that lies in one of the server's folders; it stays there."""
    await run_in_threadpool(studio.library.check_room)
    path = _allowed(asked.path, studio.settings.folders)
    return await _add(studio, path, path.stem, asked.model, asked.two_stems or None)


@router.get("/songs", response_model=schemas.Songs)
def songs(
    studio: StudioOf,
    search: Annotated[str, Query(max_length=200)] = "",
    state: Annotated[State | None, Query()] = None,
    limit: Annotated[int, Query(ge=0, le=500)] = 50,
    offset: Annotated[int, Query(ge=0, le=1_000_000_000)] = 0,
) -> dict[str, Any]:
    """Songs, newest first."""
    words = "".join(c for c in search if c.isprintable())
    states = STATES if state is None else (state,)
    rows = studio.library.journal.rows(QUEUE, states, words, limit, offset, newest_first=True)
    total = studio.library.journal.count(QUEUE, states, words)
    return {"songs": studio.library.views(rows), "total": total}


@router.get("/songs/{id}", response_model=schemas.Song)
def song(studio: StudioOf, row: SongOf) -> dict[str, Any]:
    """One song."""
    return _view(studio, row)


@router.delete("/songs/{id}", status_code=204)
def delete(studio: StudioOf, row: SongOf) -> None:
    """Forget a song and delete its stems; one that is being separated is cancelled first."""
    studio.jobs.cancel(row.id)
    studio.library.remove(row.id)
    studio.jobs.publish_deleted(row.id)
    studio.jobs.publish_queue()


@router.post("/songs/{id}/cancel", response_model=schemas.Song)
def cancel(studio: StudioOf, row: SongOf) -> dict[str, Any]:
    """Give up a song that is queued or being separated."""
    if not studio.jobs.cancel(row.id):
        raise HTTPException(409, "the song is neither waiting nor being separated")
    studio.jobs.publish(row.id)
    return _again(studio, row)


@router.post("/songs/{id}/retry", response_model=schemas.Song)
def retry(studio: StudioOf, row: SongOf) -> dict[str, Any]:
    """Queue a song anew that failed or was cancelled."""
    if row.state not in ("failed", "cancelled"):
        raise HTTPException(409, "the song has not failed: there is nothing to try again")
    if not studio.library.input(row).is_file():
        raise HTTPException(409, "the song itself is no longer here: add it again")
    studio.library.add_again(row)
    studio.jobs.wake()
    studio.jobs.publish_queue()
    return _again(studio, row)


@router.get("/events", response_class=StreamingResponse)
async def events(studio: StudioOf) -> StreamingResponse:
    """Server-sent events: first all songs that wait, then each change.

    `song` has a song, `deleted` its id; `models` says that more is known of them now.
    """
    if studio.events.is_full:
        raise HTTPException(429, "too many pages watch already")
    stream = studio.events.watch(lambda: run_in_threadpool(studio.library.waiting))
    return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


def _pace(pace: Pace | None) -> dict[str, float | None]:
    if pace is None:
        return {"speed": None, "per_song_s": None}
    return {"speed": round(1 / pace.per_audio_s, 2), "per_song_s": round(pace.per_song_s, 2)}


async def _add(studio: Studio, path: Path, title: str, model: str, two_stems: str | None) -> dict[str, Any]:
    """Look at a song, and queue it."""
    info = (await _models(studio)).get(model)
    if info is None:
        raise ConfigError(f"model is {model!r}: it must be one of {', '.join(studio.jobs.models)}")
    if two_stems is not None and two_stems not in info.two_stems:
        wanted = f"one of {', '.join(info.two_stems)}" if info.two_stems else "left out"
        raise ConfigError(f"two_stems is {two_stems!r}: with {model} it must be {wanted}")
    stems = [two_stems, "accompaniment"] if two_stems else list(info.stems)
    probed = await studio.helper.probe(path, title)
    details = {"stems": stems, "licence": info.licence, "duration_s": probed.duration_s,
               "sample_rate": probed.sample_rate, "n_channels": probed.n_channels}  # fmt: skip

    def add() -> dict[str, Any]:
        _check_length(studio, probed)
        row = studio.library.add(title, model, two_stems, details, path)
        studio.jobs.wake()
        studio.jobs.publish_queue()
        return _again(studio, row)

    return await run_in_threadpool(add)


def _check_length(studio: Studio, probed: Probed) -> None:
    limit = studio.settings.limits.duration_s
    if probed.duration_s is None:
        return  # what is too long is found out by separating
    if probed.duration_s > limit:
        raise TooLarge(f"the song has {probed.duration_s / 60:.0f} minutes: the most is {limit / 60:g}")
    stem_bytes = 2 * probed.n_channels * probed.sample_rate * int(probed.duration_s)
    if stem_bytes > MAX_STEM_BYTES:
        raise TooLarge(f"a stem of this song would have {stem_bytes / 1e9:.1f} GB: the most is 4")


def _allowed(text: str, folders: Sequence[Path]) -> Path:
    """The real path of a file in one of the folders; nobody learns what there is elsewhere."""
    for folder in map(Path.resolve, folders):
        if "\0" in text:
            break
        first, _, rest = text.partition("/")
        asked = Path(text) if text.startswith(("/", os.sep)) else folder / rest
        if not asked.is_absolute() or (asked == folder / rest and first != folder.name):
            continue
        try:
            path = asked.resolve()
            if path.is_relative_to(folder) and stat.S_ISREG(path.stat().st_mode):
                return path
        except (OSError, ValueError, RuntimeError):  # no such file; no name at all; a ring of links
            continue
    names = ", ".join(folder.resolve().name for folder in folders)
    where = f"one of the server's folders ({names})" if folders else "a folder: the server was given none"
    raise HTTPException(403, f"path is no file in {where}")


def _view(studio: Studio, row: Row) -> dict[str, Any]:
    return studio.library.views([row])[0]


def _again(studio: Studio, row: Row) -> dict[str, Any]:
    """A song as it is after a change, or as it was if it is gone by now."""
    return _view(studio, studio.library.get(row.id) or row)
