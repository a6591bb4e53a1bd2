"""MUSDB18: five AAC streams in one `.stem.mp4`, and who belongs to which subset.

The 150 songs lie in two folders, `train` and `test`; 14 of the former are its validation songs by custom.
MUSDB18-HQ has the same songs as a folder each, which is no kind of its own (see `stemwise.data.folders`).

Source: validation songs: sigsep-mus-db, musdb/configs/mus.yaml; test songs: the names in the data set's own
`test` folder; order of streams: Rafii et al., "The MUSDB18 corpus for music separation", 2017
(doi:10.5281/zenodo.1117372).
"""

from pathlib import Path

from stemwise.data.track import StemFile

SUFFIX = ".stem.mp4"
STREAMS = ("mixture", "drums", "bass", "other", "vocals")  # of Native Instruments' format, in this order

VALIDATION_SONGS = frozenset((
    "ANiMAL - Rockshow",
    "Actions - One Minute Smile",
    "Alexander Ross - Goodbye Bolero",
    "Clara Berry And Wooldog - Waltz For My Victims",
    "Fergessen - Nos Palpitants",
    "James May - On The Line",
    "Johnny Lokke - Promises & Lies",
    "Leaf - Summerghost",
    "Meaxic - Take A Step",
    "Patrick Talbot - A Reason To Leave",
    "Skelpolu - Human Mistakes",
    "Traffic Experiment - Sirens",
    "Triviul - Angelsaint",
    "Young Griffo - Pennies",
))  # fmt: skip
TEST_SONGS = frozenset((
    "AM Contra - Heart Peripheral",
    "Al James - Schoolboy Facination",
    "Angels In Amplifiers - I'm Alright",
    "Arise - Run Run Run",
    "BKS - Bulldozer",
    "BKS - Too Much",
    "Ben Carrigan - We'll Talk About It All Tonight",
    "Bobby Nobody - Stitch Up",
    "Buitraker - Revo X",
    "Carlos Gonzalez - A Place For Us",
    "Cristina Vane - So Easy",
    "Detsky Sad - Walkie Talkie",
    "Enda Reilly - Cur An Long Ag Seol",
    "Forkupines - Semantics",
    "Georgia Wonder - Siren",
    "Girls Under Glass - We Feel Alright",
    "Hollow Ground - Ill Fate",
    "James Elder & Mark M Thompson - The English Actor",
    "Juliet's Rescue - Heartbeats",
    "Little Chicago's Finest - My Own",
    "Louis Cressy Band - Good Time",
    "Lyndsey Ollard - Catching Up",
    "M.E.R.C. Music - Knockout",
    "Moosmusic - Big Dummy Shake",
    "Motor Tapes - Shore",
    "Mu - Too Bright",
    "Nerve 9 - Pray For The Rain",
    "PR - Happy Daze",
    "PR - Oh No",
    "Punkdisco - Oral Hygiene",
    "Raft Monk - Tiring",
    "Sambasevam Shanmugam - Kaathaadi",
    "Secretariat - Borderline",
    "Secretariat - Over The Top",
    "Side Effects Project - Sing With Me",
    "Signe Jakobsen - What Have You Done To Me",
    "Skelpolu - Resurrection",
    "Speak Softly - Broken Man",
    "Speak Softly - Like Horses",
    "The Doppler Shift - Atrophy",
    "The Easton Ellises (Baumi) - SDRNR",
    "The Easton Ellises - Falcon 69",
    "The Long Wait - Dark Horses",
    "The Mountaineering Club - Mallory",
    "The Sunshine Garcia Band - For I Am The Moon",
    "Timboz - Pony",
    "Tom McKenzie - Directions",
    "Triviul feat. The Fiend - Widow",
    "We Fell From The Sky - Not You",
    "Zeno - Signs",
))  # fmt: skip


def is_stem_file(path: Path) -> bool:
    return path.name.lower().endswith(SUFFIX) and not path.name.startswith(".") and path.is_file()


def song_name(path: Path) -> str:
    return path.name[: -len(SUFFIX)]


def stem_files(path: Path) -> dict[str, StemFile]:
    """The mixture and the four stems of a `.stem.mp4`, by name; the file itself is not opened."""
    return {name: StemFile(path=path, stream=i) for i, name in enumerate(STREAMS)}
