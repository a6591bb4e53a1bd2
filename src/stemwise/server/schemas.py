"""What the interface says, as OpenAPI documents it. Times are unix seconds."""

from typing import Literal

from pydantic import BaseModel, Field

from stemwise.journal import State


class Song(BaseModel):
    """A song, wherever it is on its way."""

    id: str
    title: str
    model: str
    stems: list[str]
    state: State
    progress: float = Field(description="0 to 1")
    stage: str | None = Field(description="what is being done with it just now")
    eta_s: float | None = Field(description="seconds until it is done")
    position: int | None = Field(description="in the queue, from 1")
    error: str | None
    duration_s: float | None
    sample_rate: int | None
    n_channels: int | None
    n_samples: int | None = Field(description="of every stem; known once it is done")
    created: float
    started: float | None
    ended: float | None
    wall_s: float | None = Field(description="that separating it took")
    notes: list[str] = Field(description="what one should know of how it was treated")
    model_licence: str | None


class Songs(BaseModel):
    songs: list[Song]
    total: int = Field(description="with this search and state")


class Model(BaseModel):
    """A model that can be chosen."""

    name: str
    stems: list[str]
    two_stems: list[str] = Field(description="each can be had with all the rest as accompaniment")
    licence: str
    description: str
    bytes: int
    installed: bool = Field(description="if not, it is downloaded when first used")
    speed: float | None = Field(description="times real time on this machine; null if not known yet")
    per_song_s: float | None = Field(description="seconds that a song takes beside, however short it is")


class StatusLimits(BaseModel):
    bytes: int
    duration_s: float
    queue: int
    disk_bytes: int


class Status(BaseModel):
    version: str
    limits: StatusLimits
    folders: list[str] = Field(description="names of the folders that `from-path` may name")
    codecs: list[str]


class FromPath(BaseModel):
    """A song that lies in one of the server's folders."""

    path: str = Field(max_length=4096, description="absolute, or beginning with a folder's name")
    model: str = Field("stemwise:4stems", max_length=200)
    two_stems: str | None = Field(None, max_length=100)


class Problem(BaseModel):
    """Every refusal."""

    detail: str = Field(description="one line")


Codec = Literal["wav", "flac", "mp3"]
CODECS: tuple[Codec, ...] = ("wav", "flac", "mp3")
