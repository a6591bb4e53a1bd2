"""`stemwise serve`: the studio in the browser, and its interface for scripts."""

import webbrowser
from math import inf
from pathlib import Path
from typing import Annotated

import typer

from stemwise.errors import ConfigError

_WHO, _HOW_MUCH = "Who may use it", "Limits"


def serve(
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 for any that is free.", min=0, max=65535)] = 8765,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder for songs and stems.", show_default="the user's data folder"),
    ] = None,
    folder: Annotated[
        list[Path] | None,
        typer.Option(help="Songs in it may be separated in place; may be given again.", show_default=False),
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(help="Journal: a file, or postgresql://…", show_default="a file in the data folder"),
    ] = None,
    open_page: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in the browser.")] = True,
    token: Annotated[
        str | None,
        typer.Option(
            help="That every request must show; needed to listen beyond this machine.",
            envvar="STEMWISE_TOKEN",
            rich_help_panel=_WHO,
        ),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(
            help="By which others call this server, such as studio.example.org; may be given again.",
            show_default=False,
            rich_help_panel=_WHO,
        ),
    ] = None,
    workers: Annotated[int, typer.Option(help="Songs separated at a time.", min=1)] = 1,
    threads: Annotated[
        int | None, typer.Option(help="Of each worker.", min=1, show_default="as many as cores")
    ] = None,
    max_upload: Annotated[int, typer.Option(help="MB of one song.", rich_help_panel=_HOW_MUCH)] = 2000,
    max_minutes: Annotated[float, typer.Option(help="Of one song.", rich_help_panel=_HOW_MUCH)] = 180.0,
    max_queue: Annotated[int, typer.Option(help="Songs that wait.", rich_help_panel=_HOW_MUCH)] = 200,
    max_disk: Annotated[float, typer.Option(help="GB to be kept.", rich_help_panel=_HOW_MUCH)] = 100.0,
    keep_days: Annotated[
        float | None,
        typer.Option(help="Then songs are deleted.", show_default="keep them", rich_help_panel=_HOW_MUCH),
    ] = None,
) -> None:
    """Serve the studio: separate, listen, mix and download in the browser."""
    try:
        from stemwise.server.run import run
    except ImportError as error:
        raise ConfigError(f"serving needs {error.name}: pip install 'stemwise[serve]'") from error
    from stemwise.server.settings import DAY_S, Limits, Settings, default_data

    if not 0 < max_disk * 1e9 < inf:
        raise ConfigError(f"--max-disk is {max_disk}: it must be positive and finite")
    settings = Settings(
        data=(data or default_data()).absolute(),
        host=host,
        names=tuple(name or ()),
        token=token,
        folders=tuple(folder or ()),
        database=database,
        n_workers=workers,
        threads=threads,
        limits=Limits(
            bytes=max_upload * 10**6,
            duration_s=60 * max_minutes,
            queue=max_queue,
            disk_bytes=int(max_disk * 1e9),
            stems_kept_s=None if keep_days is None else keep_days * DAY_S,
        ),
    )

    def ready(address: str) -> None:
        typer.echo(f"stemwise studio: {address} (Ctrl-C ends it)")
        if open_page:
            webbrowser.open(address)

    run(settings, port, ready)
