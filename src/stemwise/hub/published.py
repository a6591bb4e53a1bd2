"""The table of published models: what each one is, who may use it, where it comes from.

Source of the digests: deezer/spleeter 2.4.2, `tests/test_github_model_provider.py`; of licence and training
data: Hennequin et al., JOSS 5(50), 2020, which puts code and models under MIT (the README: the code).
"""

import os
from dataclasses import dataclass, replace
from difflib import get_close_matches

from stemwise.checkpoint import ModelCard
from stemwise.convert import embedded_configuration
from stemwise.errors import UnknownModel

FOUR_STEMS = ("vocals", "drums", "bass", "other")
# GitHub's release that holds the archives; the environment can name another one, as with Spleeter.
RELEASE = {
    "GITHUB_HOST": "https://github.com",
    "GITHUB_REPOSITORY": "deezer/spleeter",
    "GITHUB_RELEASE": "v1.4.0",
}
RELEASE_URL = "{GITHUB_HOST}/{GITHUB_REPOSITORY}/releases/download/{GITHUB_RELEASE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedModel:
    """One row of the table.

    Attributes:
        name: what the user types, `publisher:stems`.
        stems: that it separates a mixture into, in order.
        sample_rate: Hz, of the audio that it was trained on.
        bandwidth_hz: up to which it hears.
        licence: of the weights.
        commercial: whether that licence allows commercial use.
        training_data: what it was trained on.
        size_bytes: of the weights on disk; 0 for those of the package, whose file is there to be asked.
        two_stems: the stem that is wanted beside the sum of the others, or None.
        sha256: of the archive; empty for the weights that came with the package.
        url: template of the archive's address; empty for the weights that came with the package.
        configuration: of the archive's checkpoint, by its name in Spleeter.
        folder: of the store that the archive is unpacked into.
    """

    name: str
    stems: tuple[str, ...]
    sample_rate: int = 44100
    bandwidth_hz: float
    licence: str
    commercial: bool
    training_data: str
    size_bytes: int = 0
    two_stems: str | None = None
    sha256: str = ""
    url: str = ""
    configuration: str = ""
    folder: str = ""

    @property
    def is_embedded(self) -> bool:
        return not self.url

    @property
    def card(self) -> ModelCard:
        return ModelCard(
            name=self.name,
            licence=self.licence,
            training_data=self.training_data,
            source="deezer/spleeter",
            url=archive_url(self) if self.url else "",
        )


def _spleeter(name: str, folder: str, sha256: str, size_bytes: int) -> PublishedModel:
    config = embedded_configuration(name).model
    return PublishedModel(
        name=f"spleeter:{name}",
        stems=config.stems,
        sample_rate=config.sample_rate,
        bandwidth_hz=config.n_bins * config.sample_rate / config.stft.n_fft,
        licence="MIT (so the JOSS paper for code and models; the README speaks of the code)",
        commercial=True,
        training_data="private (Deezer's Bean dataset)",
        size_bytes=size_bytes,
        sha256=sha256,
        url=RELEASE_URL + f"/{folder}.tar.gz",
        configuration=name,
        folder=folder,
    )


_OWN = PublishedModel(
    name="stemwise:4stems",
    stems=FOUR_STEMS,
    bandwidth_hz=22050,
    licence="MIT",
    commercial=True,
    training_data="free recordings and rendered songs, credited in the model card",
)
# Archive, its SHA-256, and the bytes of its `.data` file
_ARCHIVES = {
    "2stems": ("f3a90b39dd2874269e8b05a48a86745df897b848c61f3958efc80a39152bd692", 78_614_080),
    "4stems": ("3adb4a50ad4eb18c7c4d65fcf4cf2367a07d48408a5eb7d03cd20067429dfaa8", 157_228_152),
    "5stems": ("25a1e87eb5f75cc72a4d2d5467a0a50ac75f05611f877c278793742513cc7218", 196_535_188),
}
PUBLISHED: dict[str, PublishedModel] = {
    record.name: record
    for record in (
        _OWN,
        replace(_OWN, name="stemwise:2stems", two_stems="vocals"),
        *(
            _spleeter(folder + band, folder, *digest)
            for band in ("", "-16kHz")
            for folder, digest in _ARCHIVES.items()
        ),
    )
}


def published_models() -> list[PublishedModel]:
    """All published models."""
    return list(PUBLISHED.values())


def published(name: str) -> PublishedModel:
    """The record of a name.

    Raises:
        UnknownModel: with the names that come close.
    """
    if name in PUBLISHED:
        return PUBLISHED[name]
    raise UnknownModel(f"there is no published model {name!r}.{suggestion(name, list(PUBLISHED))}")


def suggestion(name: str, known: list[str]) -> str:
    """A sentence that names what may have been meant."""
    by_case = {k.lower(): k for k in known} | {
        k.lower().partition(":")[2]: k for k in known if k.startswith("spleeter")
    }
    close = [by_case[match] for match in get_close_matches(name.lower(), by_case, n=3, cutoff=0.6)]
    return (
        f" Did you mean {' or '.join(dict.fromkeys(close))}?" if close else f" There are: {', '.join(known)}."
    )


def release() -> dict[str, str]:
    """Host, repository and release of the archives, asked at every call."""
    return {key: os.environ.get(key) or default for key, default in RELEASE.items()}


def archive_url(record: PublishedModel) -> str:
    return record.url.format(**release())


def is_pinned() -> bool:
    """Whether the table's digests hold: for Deezer's release on any host, not for other people's releases."""
    names = ("GITHUB_REPOSITORY", "GITHUB_RELEASE")
    return all(release()[name] == RELEASE[name] for name in names)
