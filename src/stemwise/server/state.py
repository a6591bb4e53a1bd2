"""What the routes share."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi import Path as InPath

from stemwise.journal import Row
from stemwise.server.events import Events
from stemwise.server.helper import Helper
from stemwise.server.jobs import Jobs
from stemwise.server.library import Library
from stemwise.server.settings import Settings


@dataclass(frozen=True, slots=True)
class Studio:
    """One running server."""

    settings: Settings
    library: Library
    jobs: Jobs
    events: Events
    helper: Helper


def _studio(request: Request) -> Studio:
    studio: Studio = request.app.state.studio
    return studio


StudioOf = Annotated[Studio, Depends(_studio)]


def _song(studio: StudioOf, id: Annotated[str, InPath(pattern="^[0-9a-f]{16}$")]) -> Row:
    row = studio.library.get(id)
    if row is None:
        raise HTTPException(404, "there is no such song")
    return row


SongOf = Annotated[Row, Depends(_song)]
