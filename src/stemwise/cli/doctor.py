"""`stemwise doctor`: what a maintainer asks first: versions, devices, precision, threads, models."""

import typer


def doctor() -> None:
    """Show versions, devices, precision, threads and models, for a report of a problem."""
    for title, rows in (
        ("versions", _versions()), ("devices", _devices()), ("processor", _processor()), ("models", _models())
    ):  # fmt: skip
        typer.secho(title, bold=True)
        for name, value in rows:
            typer.echo(f"  {name:24}{value}")


def _versions() -> list[tuple[str, str]]:
    import platform
    from importlib.metadata import version

    from stemwise import __version__
    from stemwise.audio import library_versions

    return [
        ("stemwise", __version__),
        ("Python", f"{platform.python_version()} on {platform.platform(terse=True)}, {platform.machine()}"),
        ("torch", version("torch")),
        ("numpy", version("numpy")),
        *library_versions().items(),
    ]


def _devices() -> list[tuple[str, str]]:
    import torch

    from stemwise.device import choose_device, has_bfloat16

    rows = [
        ("used by default", str(choose_device("auto"))),
        ("cpu", _bfloat16(has_bfloat16(torch.device("cpu")))),
    ]
    for index in range(torch.cuda.device_count()):
        name = torch.cuda.get_device_name(index)
        rows.append((f"cuda:{index}", f"{name}, {_bfloat16(has_bfloat16(torch.device('cuda', index)))}"))
    if torch.backends.mps.is_available():
        rows.append(("mps", "Apple GPU"))
    return rows


def _bfloat16(is_there: bool) -> str:
    return "bfloat16 in hardware" if is_there else "float32 only (bfloat16 would be slower)"


def _processor() -> list[tuple[str, str]]:
    import os

    import torch

    return [
        ("cores", str(os.cpu_count())),
        ("threads of torch", str(torch.get_num_threads())),
        ("instructions", torch.backends.cpu.get_cpu_capability()),
    ]


def _models() -> list[tuple[str, str]]:
    from stemwise import hub

    rows = [
        ("imported and cached in", str(hub.cache_folder())),
        ("Spleeter's in", str(hub.spleeter_folder())),
    ]
    rows += [
        (record.name, "installed" if hub.is_installed(record) else "not here")
        for record in hub.published_models()
    ]
    return rows + [(name, "imported") for name in hub.imported_models()]
