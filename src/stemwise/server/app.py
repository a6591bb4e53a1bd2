"""The application: the gate, the routes, the page, and what starts and ends with it."""

import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from stemwise import __version__
from stemwise.errors import ConfigError, DecodeError, JournalError, StemwiseError
from stemwise.journal import Journal
from stemwise.server import songs, stems
from stemwise.server.events import Events
from stemwise.server.guard import Guard, policy
from stemwise.server.helper import Busy, Helper, HelperError
from stemwise.server.jobs import Jobs
from stemwise.server.library import QUEUE, DiskFull, Library, QueueFull
from stemwise.server.settings import Settings
from stemwise.server.state import Studio
from stemwise.server.uploads import BadForm, TooLarge

LOG = logging.getLogger("stemwise.server")
PAGE = Path(__file__).parent / "page"
NONCE = "STEMWISE_NONCE"  # stands in the page where a new one belongs each time
NO_PAGE = "The studio's page is not built: run `make studio`. The interface is there: /api/openapi.json\n"
CLEAN_UP_S = 3600.0
STATUS: dict[type[StemwiseError], int] = {
    BadForm: 400,
    TooLarge: 413,
    DiskFull: 413,
    DecodeError: 415,
    ConfigError: 422,
    HelperError: 422,
    QueueFull: 429,
    Busy: 429,
    JournalError: 503,
}


def create_app(settings: Settings) -> FastAPI:
    """The studio as an ASGI application.

    Its journal is opened at once, so that what is wrong with it is said before anything is served.

    Raises:
        JournalError: if the journal cannot be opened, or another server uses it.
    """
    settings.data.mkdir(parents=True, exist_ok=True)
    journal = Journal(settings.database or settings.data / "journal.sqlite")
    journal.hold(QUEUE)
    events = Events()
    library = Library(settings, journal)
    studio = Studio(settings, library, Jobs(library, events), events, Helper())
    app = FastAPI(
        title="stemwise studio",
        version=__version__,
        description="Separate songs into stems, listen, mix and download.",
        lifespan=_lifespan,
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        openapi_url="/api/openapi.json",
    )
    app.state.studio = studio
    app.include_router(songs.router)
    app.include_router(stems.router)
    app.add_api_route("/", _index, include_in_schema=False)
    if PAGE.is_dir():
        app.mount("/", StaticFiles(directory=PAGE))
    app.add_exception_handler(StemwiseError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_middleware(Guard, settings=settings)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    studio: Studio = app.state.studio
    studio.library.open()
    studio.events.open()
    studio.jobs.start()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_clean_up, studio)
        yield
        tasks.cancel_scope.cancel()
    studio.events.close()
    await anyio.to_thread.run_sync(studio.jobs.stop)
    studio.helper.close()
    studio.library.journal.close()


async def _clean_up(studio: Studio) -> None:
    while True:
        try:
            for id in await anyio.to_thread.run_sync(studio.library.clean_up):
                await anyio.to_thread.run_sync(studio.jobs.publish_deleted, id)
        except (StemwiseError, OSError) as error:  # it may well be possible in an hour
            LOG.error("what is old is not removed: %s", error)
        await anyio.sleep(CLEAN_UP_S)


async def _index(request: Request) -> Response:
    page = PAGE / "index.html"
    if not page.is_file():
        return PlainTextResponse(NO_PAGE)
    nonce = secrets.token_urlsafe(16)
    text = page.read_text("utf-8").replace(NONCE, nonce)
    return HTMLResponse(text, headers={"Content-Security-Policy": policy(nonce)})


async def _refused(request: Request, error: Exception) -> Response:
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 500)
    if status >= 500:
        LOG.error("%s %s: %s", request.method, request.url.path, error)
    return JSONResponse({"detail": _line(str(error))}, status)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    said = [f"{'.'.join(map(str, one['loc'][1:])) or 'the body'}: {one['msg']}" for one in error.errors()]
    return JSONResponse({"detail": _line("; ".join(said))}, 422)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = "there is nothing of that name" if error.detail == "Not Found" else error.detail
    return JSONResponse({"detail": _line(detail)}, error.status_code, headers=error.headers)


def _line(text: str) -> str:
    """One line that can be encoded."""
    return " ".join(text.encode("utf-8", "backslashreplace").decode().split())[:1000]
