"""`stemwise models`: which models there are, which are here, and how to get or drop one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from stemwise.hub import PublishedModel

app = typer.Typer(help="List the models, and download, import, check or remove one.", rich_markup_mode=None)

Name = Annotated[str, typer.Argument(help="A model, such as spleeter:2stems.", show_default=False)]


Commercial = Annotated[
    bool, typer.Option("--commercial", help="Only those whose weights may be used commercially.")
]


@app.callback(invoke_without_command=True)
def models(context: typer.Context, commercial: Commercial = False) -> None:
    """List the models, and download, import, check or remove one."""
    if context.invoked_subcommand is None:
        list_models(commercial)


@app.command("list")
def list_models(commercial: Commercial = False) -> None:
    """List the models: what there is, and what is here."""
    from rich.console import Console
    from rich.table import Table

    from stemwise import hub
    from stemwise.cli.tables import print_table
    from stemwise.errors import CheckpointError

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("model", "stems", "hears to", "licence", "size", "here"):
        table.add_column(title, justify="right" if title in ("hears to", "size") else "left")
    for record in hub.published_models():
        if record.commercial or not commercial:
            here = ("built in" if record.is_embedded else "yes") if hub.is_installed(record) else "no"
            table.add_row(
                record.name, ", ".join(_outputs(record)), f"{record.bandwidth_hz / 1000:.1f} kHz",
                record.licence.partition(" (")[0], _size(hub.size_bytes(record)), here,
            )  # fmt: skip
    for name in [] if commercial else hub.imported_models():
        try:
            config = hub.load_model(name).config
        except CheckpointError:
            table.add_row(name, "", "", "", "", "damaged")
            continue
        bandwidth = config.n_bins * config.sample_rate / config.stft.n_fft
        size = _size(hub.imported_path(name).stat().st_size)
        table.add_row(
            name, ", ".join(config.stems), f"{bandwidth / 1000:.1f} kHz", "unknown", size, "imported"
        )
    print_table(Console(highlight=False, markup=False), table)
    typer.echo(
        "\nUse one with: stemwise separate -p MODEL song.mp3. More about it: stemwise models info MODEL."
    )


@app.command()
def info(name: Name) -> None:
    """Everything known about a model; with the card of one that came with the package."""
    from stemwise import hub
    from stemwise.cli.tables import show_page

    page = ""
    if name in hub.imported_models():
        path = hub.imported_path(name)
        model = hub.load_model(name)
        rows = {
            "model": name,
            "stems": ", ".join(model.config.stems),
            "licence": model.card.licence,
            "imported from": model.card.source,
            "file": str(path),
        }
    else:
        record = hub.published(name)
        rows = _published_rows(record)
        page = hub.embedded_weights().with_suffix(".md").read_text("utf-8") if record.is_embedded else ""
    width = max(map(len, rows)) + 2
    for title, value in rows.items():
        typer.echo(f"{title:{width}}{value}")
    show_page(page)


@app.command()
def download(name: Name) -> None:
    """Fetch a model unless it is here, so that it can be used offline."""
    from stemwise import hub
    from stemwise.cli.progress import download_bar

    with download_bar(quiet=False) as progress:
        folder = hub.download(name, progress=progress)
    typer.echo(f"{name} is in {folder}")


@app.command()
def verify(
    name: Annotated[str | None, typer.Argument(help="A model; all that are here if left out.")] = None,
) -> None:
    """Read every weight of a model that is here, with its checksums."""
    from stemwise import hub
    from stemwise.errors import ModelError

    installed = [record.name for record in hub.published_models() if hub.is_installed(record)]
    failures: list[ModelError] = []
    for each in [name] if name else [*installed, *hub.imported_models()]:
        try:
            hub.verify(each)
            typer.echo(f"{each}: sound")
        except ModelError as error:
            typer.echo(f"{each}: {error}", err=True)
            failures.append(error)
    if failures:
        raise typer.Exit(failures[0].exit_code)


@app.command("import")
def import_(
    path: Annotated[
        Path,
        typer.Argument(help="Folder of a Spleeter checkpoint, or a tar archive of it.", show_default=False),
    ],
    name: Annotated[
        str | None, typer.Option("--name", help="Name to use it by; that of the folder if left out.")
    ] = None,
    configuration: Annotated[
        str | None,
        typer.Option(
            "-p",
            "--configuration",
            help="Spleeter's JSON file of this model, or the name of an embedded configuration;"
            " found by itself if it lies beside the model or the model has Spleeter's own shape.",
        ),
    ] = None,
) -> None:
    """Convert a Spleeter model and keep it under a name."""
    from stemwise import hub

    target = hub.import_model(path, name=name, configuration=configuration)
    typer.echo(f"imported as {target.stem}: {target}")


@app.command()
def remove(name: Name) -> None:
    """Delete a model from the store."""
    from stemwise import hub

    typer.echo(f"removed {hub.remove(name)}")


def _outputs(record: "PublishedModel") -> tuple[str, ...]:
    return (record.two_stems, "accompaniment") if record.two_stems else record.stems


def _published_rows(record: "PublishedModel") -> dict[str, str]:
    from stemwise import hub

    place = hub.embedded_weights() if record.is_embedded else hub.spleeter_folder() / record.folder
    rows = {
        "model": record.name,
        "stems": ", ".join(_outputs(record)),
        "sample rate": f"{record.sample_rate} Hz",
        "hears to": f"{record.bandwidth_hz:.0f} Hz",
        "licence": record.licence,
        "commercial use": "yes" if record.commercial else "no",
        "training data": record.training_data,
        "size": _size(hub.size_bytes(record)),
        "source": "this package" if record.is_embedded else hub.archive_url(record),
        "sha256": record.sha256,
        "installed": "yes" if hub.is_installed(record) else "no",
        "place": str(place),
    }
    return {title: value for title, value in rows.items() if value}


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.0f} MB" if n_bytes else ""
