"""Routes of a finished song's sound: stems, peaks, spectrograms, archives, mixes."""

import math
import os
import zipfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import FileResponse, Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

from stemwise.errors import ConfigError
from stemwise.journal import Row
from stemwise.naming import portable_name
from stemwise.server.helper import Voice
from stemwise.server.schemas import Codec
from stemwise.server.songs import REFUSED
from stemwise.server.state import SongOf, Studio, StudioOf

MAX_POINTS = 20_000
MAX_GAIN = 8.0  # 18 dB
PIECE = 1 << 18  # bytes
TYPES = {"wav": "audio/wav", "flac": "audio/flac", "mp3": "audio/mpeg", "zip": "application/zip"}
KEPT = {"Cache-Control": "private, no-cache"}  # may be kept, but ask whether it is still there
router = APIRouter(prefix="/api/songs/{id}", tags=["stems"], responses=REFUSED)
_SOUND: dict[int | str, Any] = {200: {"content": {kind: {} for kind in TYPES.values() if "audio" in kind}}}
_ARCHIVE: dict[int | str, Any] = {200: {"content": {TYPES["zip"]: {}}}}
_BYTES: dict[int | str, Any] = {200: {"content": {"application/octet-stream": {}}}}
_PICTURE: dict[int | str, Any] = {200: {"content": {"image/png": {}}}}
_PARTIAL: dict[int | str, Any] = {206: {"description": "a range"}, 416: {"description": "no such range"}}


@router.get("/stems/{stem}", response_class=Response, responses=_SOUND | _PARTIAL)
async def stem(
    studio: StudioOf, row: SongOf, stem: str, codec: Codec = "wav", download: bool = False
) -> Response:
    """One stem; wav with ranges, as it is stored: 16-bit PCM."""
    path = _stem(studio, row, stem)
    if codec != "wav":
        return await _mixed(studio, row, [Voice(path=path)], codec, stem)
    try:
        found = await run_in_threadpool(os.stat, path)
    except FileNotFoundError:
        raise HTTPException(404, "there is no such song") from None
    headers = KEPT | (_attachment(row, stem, codec) if download else {})
    return FileResponse(path, headers=headers, media_type=TYPES[codec], stat_result=found)


@router.get("/stems/{stem}/peaks", response_class=Response, responses=_BYTES)
async def peaks(
    studio: StudioOf, row: SongOf, stem: str, points: Annotated[int, Query(ge=1, le=MAX_POINTS)] = 2000
) -> Response:
    """Lowest and highest sample (int8, full scale 127) of at most so many points, channels together."""
    path = _stem(studio, row, stem)
    pairs = await studio.helper.peaks(path, path.with_suffix(".peaks"), points)
    return Response(pairs, media_type="application/octet-stream")


@router.get("/stems/{stem}/spectrogram.png", response_class=Response, responses=_PICTURE)
async def spectrogram(studio: StudioOf, row: SongOf, stem: str) -> Response:
    """Level over time and frequency, evenly in octaves from 30 Hz, the upper 80 dB."""
    path = _stem(studio, row, stem)
    target = path.with_suffix(".png")
    if not target.exists():
        await studio.helper.spectrogram(path, target)
    return FileResponse(target, headers=KEPT, media_type="image/png")


@router.get("/zip", response_class=Response, responses=_ARCHIVE)
async def archive(studio: StudioOf, row: SongOf, codec: Codec = "wav") -> Response:
    """All stems, as they are being packed."""
    paths = {name: _stem(studio, row, name) for name in _done(row).outputs}

    async def files() -> AsyncIterator[tuple[str, BinaryIO]]:
        for name, path in paths.items():
            file = (
                path.open("rb") if codec == "wav"
                else (await _make(studio, row, [Voice(path=path)], codec, name))[0]
            )  # fmt: skip
            yield f"{portable_name(row.title)}/{portable_name(name)}.{codec}", file

    return StreamingResponse(
        _packed(files()), media_type=TYPES["zip"], headers=_attachment(row, "stems", "zip")
    )


@router.get("/mix", response_class=Response, responses=_SOUND)
async def mix(
    studio: StudioOf,
    row: SongOf,
    gains: Annotated[str | None, Query(max_length=500)] = None,
    pans: Annotated[str, Query(max_length=500)] = "",
    start_s: Annotated[float, Query(ge=0, allow_inf_nan=False)] = 0.0,
    end_s: Annotated[float | None, Query(gt=0, allow_inf_nan=False)] = None,
    codec: Codec = "wav",
) -> Response:
    """Stems added up: `gains=vocals:0.5,drums:1`, linear, 0 to 8; a stem that is not named is silent.

    `pans=vocals:-0.3` is a balance: left times min(1, 1 - pan), right times min(1, 1 + pan).
    Without `gains` all stems sound as they are. A mix that would clip is lowered as a whole, and the header
    `X-Gain-dB` says by how much.
    """
    stems = list(_done(row).outputs)
    levels = dict.fromkeys(stems, 1.0) if gains is None else _numbers("gains", gains, stems, 0, MAX_GAIN)
    sides = _numbers("pans", pans, stems, -1, 1)
    voices = [
        Voice(path=_stem(studio, row, name), gain=levels.get(name, 0.0), pan=sides.get(name, 0.0))
        for name in stems
    ]
    return await _mixed(studio, row, voices, codec, "mix", start_s, end_s)


def _done(row: Row) -> Row:
    if row.state != "done":
        raise HTTPException(404, f"the song is {row.state}: it has no stems")
    return row


def _stem(studio: Studio, row: Row, stem: str) -> Path:
    if stem not in _done(row).outputs:
        raise HTTPException(404, f"there is no such stem: the song has {', '.join(row.outputs)}")
    return studio.library.stem(row.id, stem)


def _numbers(what: str, text: str, stems: list[str], lowest: float, highest: float) -> dict[str, float]:
    """`vocals:0.5,drums:1` as a dictionary."""
    numbers = {}
    for part in filter(None, text.split(",")):
        name, _, number = part.rpartition(":")
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if name not in stems or not lowest <= value <= highest:
            raise ConfigError(
                f"{what} has {part!r}: it must be stem:number, a stem of {', '.join(stems)}"
                f" and a number from {lowest:g} to {highest:g}"
            )
        numbers[name] = value
    return numbers


async def _mixed(
    studio: Studio, row: Row, voices: list[Voice], codec: Codec, what: str,
    start_s: float = 0.0, end_s: float | None = None,
) -> Response:  # fmt: skip
    file, gain_db = await _make(studio, row, voices, codec, what, start_s, end_s)
    headers = {
        **_attachment(row, what, codec),
        "Content-Length": str(os.fstat(file.fileno()).st_size),
        "X-Gain-dB": f"{gain_db:.2f}",
    }
    return StreamingResponse(_pieces(file), media_type=TYPES[codec], headers=headers)


async def _make(
    studio: Studio, row: Row, voices: list[Voice], codec: Codec, what: str,
    start_s: float = 0.0, end_s: float | None = None,
) -> tuple[BinaryIO, float]:  # fmt: skip
    """See `Helper.mix`."""
    target = studio.library.temporary()
    title = row.title if what == "mix" else f"{row.title} ({what})"
    return await studio.helper.mix(voices, target, codec, title, start_s, end_s)


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while piece := file.read(PIECE):
            yield piece


async def _packed(files: AsyncIterator[tuple[str, BinaryIO]]) -> AsyncIterator[bytes]:
    """A zip archive of what comes, uncompressed, in pieces."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w") as packed:  # type: ignore[call-overload]  # all that it needs is `write`
        async for name, file in files:
            with file, packed.open(name, "w", force_zip64=True) as entry:
                while piece := await run_in_threadpool(file.read, PIECE):
                    await run_in_threadpool(entry.write, piece)
                    yield sink.take()
            yield sink.take()
    yield sink.take()


class _Sink:
    """A file that keeps what is written until it is taken; it cannot seek, and `zipfile` does without."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        pass

    def take(self) -> bytes:
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data


def _attachment(row: Row, what: str, suffix: str) -> dict[str, str]:
    name = quote(portable_name(f"{row.title} ({what}).{suffix}"), safe="")
    return {"Content-Disposition": f"attachment; filename*=utf-8''{name}"}
