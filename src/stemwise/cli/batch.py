"""`stemwise batch`: catalogues, planned, separated, and seen to."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stemwise.cli import batch_journal
from stemwise.cli.batch_drive import Chosen, drive, presence
from stemwise.cli.batch_journal import Journalled, journal_of, place_of
from stemwise.cli.batch_options import SETTINGS, Gpus, Inputs, Output, Ray, Threads, settings_of
from stemwise.cli.batch_options import Workers as WorkersOption
from stemwise.cli.batch_workers import Workers
from stemwise.cli.options import (
    BitDepth,
    Bitrate,
    Clip,
    Codec,
    Device,
    Duration,
    Model,
    Mwf,
    Offset,
    Precision,
    Quiet,
    Residual,
    SampleRate,
    Stems,
    Stereo,
    Template,
    TwoStems,
)
from stemwise.errors import ConfigError, NoJournalError

if TYPE_CHECKING:
    from stemwise.batch.settings import Settings
    from stemwise.journal import Row

_POLICY = "Failures"

app = typer.Typer(
    help="Separate whole catalogues: planned, resumed at will, verified.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command("plan")
def plan(
    inputs: Inputs = None,
    output: Output = "separated",
    model: Model = "stemwise:4stems",
    codec: Codec = "wav",
    bit_depth: BitDepth = None,
    bitrate: Bitrate = None,
    sample_rate: SampleRate = None,
    stereo: Stereo = False,
    clip: Clip = "gain",
    template: Template = "{filename}/{stem}.{codec}",
    stems: Stems = None,
    two_stems: TwoStems = None,
    residual: Residual = False,
    offset: Offset = 0.0,
    duration: Duration = None,
    mwf: Mwf = False,
    device: Device = "auto",
    precision: Precision = "auto",
    workers: WorkersOption = None,
    threads: Threads = None,
    journal: Journalled = None,
) -> None:
    """Say what a run would take: songs, hours, time, memory and disk. Nothing is written."""
    from stemwise.cli.batch_view import print_plan, working

    options = {name: value for name, value in locals().items() if name in SETTINGS}
    wanted = Workers(n=workers, threads=threads)
    chosen = _choose(inputs, output, journal, settings_of(**options), wanted, quiet=False)
    if not chosen.examined.todo:
        print_plan(chosen.examined, None, None, chosen.devices, chosen.threads, chosen.precision)
        return
    from stemwise.batch.plan import make_plan
    from stemwise.batch.trial import can_be_tried, measure_speed

    made, speed = make_plan(chosen.examined.todo, chosen.root), None
    if can_be_tried(chosen.examined.todo):
        with working("trying some songs", total=3) as step:
            speed = measure_speed(
                chosen.examined.todo, chosen.devices, chosen.threads, chosen.precision, step=step
            )
    print_plan(chosen.examined, made, speed, chosen.devices, chosen.threads, chosen.precision)
    _tell_room(made.check_room(), quiet=False)


@app.command("run")
def run(
    inputs: Inputs = None,
    output: Output = "separated",
    model: Model = "stemwise:4stems",
    codec: Codec = "wav",
    bit_depth: BitDepth = None,
    bitrate: Bitrate = None,
    sample_rate: SampleRate = None,
    stereo: Stereo = False,
    clip: Clip = "gain",
    template: Template = "{filename}/{stem}.{codec}",
    stems: Stems = None,
    two_stems: TwoStems = None,
    residual: Residual = False,
    offset: Offset = 0.0,
    duration: Duration = None,
    mwf: Mwf = False,
    device: Device = "auto",
    precision: Precision = "auto",
    workers: WorkersOption = None,
    threads: Threads = None,
    ray: Ray = None,
    gpus: Gpus = 0.0,
    attempts: Annotated[
        int,
        typer.Option(
            min=1, help="Of a song whose failure may pass (network, storage).", rich_help_panel=_POLICY
        ),
    ] = 4,
    time_limit: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            help="Seconds that a song may be separated.",
            show_default="none",
            rich_help_panel=_POLICY,
        ),
    ] = None,
    journal: Journalled = None,
    quiet: Quiet = False,
) -> None:
    """Separate a catalogue, or go on with one: what is done with these options already is left alone."""
    from stemwise.batch.enlist import QUEUE, enlist
    from stemwise.batch.plan import make_plan
    from stemwise.batch.policy import Policy
    from stemwise.batch.presence import take_over
    from stemwise.cli.batch_view import print_summary, standing

    options = {name: value for name, value in locals().items() if name in SETTINGS}
    place_of(output, journal)  # before anything is read
    policy = Policy(attempts=attempts, limit_s=time_limit)
    wanted = Workers(n=workers, threads=threads, ray=ray, gpus=gpus)
    chosen = _choose(inputs, output, journal, settings_of(**options), wanted, quiet=quiet)
    _tell_room(make_plan(chosen.examined.todo, chosen.root).check_room(), quiet=quiet)
    with journal_of(output, journal, create=True) as opened:
        take_over(opened, QUEUE, presence(chosen.root))
        enlist(opened, chosen.examined)
        try:
            summary, is_recorded = drive(opened, chosen, policy, quiet=quiet)
        except KeyboardInterrupt:
            typer.echo(f"{output}: {standing(opened, output)}; the same command goes on", err=True)
            raise
        if not quiet or summary.n_failed or summary.stopped:
            print_summary(summary, opened, output)
    if summary.stopped is not None:
        typer.echo(f"error: stopped: {summary.stopped}", err=True)
    if summary.stopped is not None or summary.n_failed or not is_recorded:
        raise typer.Exit(1)


def _tell_room(doubt: str | None, *, quiet: bool) -> None:
    if doubt is not None and not quiet:
        typer.echo(f"note: {doubt}", err=True)


def _choose(
    inputs: Sequence[str] | None,
    output: str,
    journal: str | None,
    settings: "Settings",
    workers: Workers,
    *,
    quiet: bool,
) -> Chosen:
    """Read catalogue, journal and models, and compare them."""
    from stemwise.batch.catalogue import Catalogue, read_catalogue
    from stemwise.batch.enlist import examine, stems_of
    from stemwise.batch.settings import ask_models
    from stemwise.cli.batch_view import working

    settings = workers.settle(settings)
    root = output if "://" in output else str(Path(output).absolute())
    known = _known(output, journal)
    if not inputs and not known:
        raise ConfigError(f"there is nothing to go on with in {output}: name the songs")
    stems = stems_of(known, root)
    catalogue = read_catalogue(inputs, output=root, stems=stems) if inputs else Catalogue(())
    for note in catalogue.notes if not quiet else ():
        typer.echo(f"note: {note}", err=True)
    names = {entry.model or settings.model for entry in catalogue.entries}
    waiting = {row.parameters["model"] for row in known.values() if row.state in ("queued", "running")}
    with working("loading the model", quiet=quiet):
        facts = ask_models(settings, sorted(names | waiting or {settings.model}))
    with working("reading headers", total=len(catalogue.entries), quiet=quiet) as step:
        examined = examine(known, catalogue.entries, settings, facts, root, read=step)
    devices, threads = workers.choose(next(iter(facts.values())))
    return Chosen(root, settings, facts, examined, workers, devices, threads)


def _known(output: str, journal: str | None) -> "dict[str, Row]":
    """Rows of the journal, if there is one yet."""
    from stemwise.batch.enlist import QUEUE

    if journal is None and "://" in output:
        return {}
    try:
        with journal_of(output, journal) as opened:
            return {row.id: row for row in opened.rows(QUEUE)}
    except NoJournalError:
        return {}


for _command in (batch_journal.status, batch_journal.retry, batch_journal.report, batch_journal.verify):
    app.command()(_command)
