"""Title, artist, cover and the like, carried from the input to every stem.

Names are FFmpeg's, in lower case (title, artist, album, album_artist, date, genre, track, comment, ...).
Cover art goes into mp3, flac, m4a, ogg and opus, if it is a JPEG or PNG picture of a stated size and below
16 MB; wav and wma hold none. Of wav files, RIFF INFO holds artist, comment, copyright, date, genre, language,
title, album and track, and nothing else.
"""

import base64
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from av.container import InputContainer
from av.stream import Disposition, Stream

# They speak of the file or of its loudness, and would be wrong in a stem.
_DROPPED = ("encoder", "major_brand", "minor_version", "compatible_brands", "creation_time", "duration",
            "handler_name", "vendor_id", "language", "time_reference", "coding_history", "umid",
            "metadata_block_picture")  # fmt: skip
_DROPPED_PREFIXES = ("itun", "id3v2_priv.", "replaygain_", "_statistics")
MAX_PICTURE_SIZE = 2**24 - 2**16  # bytes: what a block of flac can hold, with its description
_MIME_TYPES = {"mjpeg": "image/jpeg", "png": "image/png"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Cover art: an encoded JPEG or PNG image, and its size in pixels."""

    data: bytes = field(repr=False)
    mime_type: str
    width: int
    height: int

    @property
    def codec(self) -> str:
        """FFmpeg's name of the image format."""
        return next(codec for codec, mime_type in _MIME_TYPES.items() if mime_type == self.mime_type)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tags:
    """What a file says of its music."""

    fields: Mapping[str, str] = field(default_factory=dict)
    picture: Picture | None = None


def read_tags(container: InputContainer, stream: Stream) -> Tags:
    """Tags of an open file; the ones of Ogg belong to the audio stream, all others to the container."""
    written = stream.metadata if container.format.name == "ogg" else container.metadata
    fields = {key.lower(): value for key, value in written.items()}
    kept = {key: fields[key] for key in sorted(fields) if _is_about_music(key)}
    return Tags(fields=kept, picture=_read_picture(container))


def _is_about_music(key: str) -> bool:
    return key not in _DROPPED and not key.startswith(_DROPPED_PREFIXES)


def _read_picture(container: InputContainer) -> Picture | None:
    for stream in container.streams.video:
        context = stream.codec_context
        if (
            not stream.disposition & Disposition.attached_pic
            or not context
            or context.name not in _MIME_TYPES
        ):
            continue
        data = bytes(next(container.demux(stream)))
        if context.width and context.height and len(data) <= MAX_PICTURE_SIZE:
            mime_type = _MIME_TYPES[context.name]
            return Picture(data=data, mime_type=mime_type, width=context.width, height=context.height)
    return None


def picture_comment(picture: Picture) -> str:
    """The value of a METADATA_BLOCK_PICTURE comment, which is how Ogg holds a cover.

    Source: RFC 9639, section 8.8 (picture block); wiki.xiph.org/VorbisComment#Cover_art (its base64 form).
    """
    mime_type = picture.mime_type.encode("ascii")
    front_cover, depth, palette = 3, 24, 0
    head = struct.pack(">II", front_cover, len(mime_type)) + mime_type + struct.pack(">I", 0)
    sizes = struct.pack(">5I", picture.width, picture.height, depth, palette, len(picture.data))
    return base64.b64encode(head + sizes + picture.data).decode("ascii")
