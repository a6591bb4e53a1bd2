"""How many samples a file holds, where FFmpeg leaves an encoder's padding at the end.

FFmpeg removes delay and padding of mp3 (Xing or LAME tag), Matroska and most of Ogg by itself, and the delay
of mp4. Left over is the padding of mp4 and of short Ogg files.
"""

import re

import av
from av.audio.stream import AudioStream
from av.container import InputContainer

# An encoder pads by less than two of its frames; a file that is longer than it says by more says it wrongly.
MAX_PADDING = 4096  # samples


def stated_length(container: InputContainer, stream: AudioStream) -> int | None:
    """Number of samples that the headers state, encoder delay and padding not counted."""
    context = stream.codec_context
    itunes = container.metadata.get("iTunSMPB", "").split()[:4]  # hexadecimal: 0, delay, padding, samples
    if len(itunes) == 4 and all(re.fullmatch("[0-9A-Fa-f]{1,16}", number) for number in itunes):
        return int(itunes[3], 16)
    if stream.duration is not None and stream.time_base is not None:
        n_samples = round(stream.duration * stream.time_base * context.sample_rate)
        if container.format.name == "ogg" and context.name == "opus" and context.extradata:
            # RFC 7845, section 5.1: the pre-skip in the header is part of the stream's length.
            n_samples -= int.from_bytes(context.extradata[10:12], "little")
        return max(0, n_samples)
    if container.duration is not None:
        return round(container.duration * context.sample_rate / av.time_base)
    return None


def true_length(container: str, sample_rate: int, stated: int | None, n_decoded: int, excess: int) -> int:
    """Number of samples without padding that FFmpeg leaves in mp4 and in short Ogg files.

    Args:
        container: FFmpeg's name of it.
        sample_rate: Hz.
        stated: number of samples that the headers state.
        n_decoded: number of samples that came out of the decoder.
        excess: samples by which the last frame exceeds the duration of its packet.
    """
    if container.startswith("mov") and 0 < excess <= MAX_PADDING:
        return n_decoded - excess
    padding = 0 if stated is None else n_decoded - stated
    if not container.startswith(("mov", "ogg")) or not 0 < padding <= MAX_PADDING:
        return n_decoded
    # Where all packets are full, an mp4 file two milliseconds too long was rounded, not padded.
    milliseconds = round((n_decoded - padding) * 1000 / sample_rate)
    is_rounded = n_decoded - padding == round(milliseconds * sample_rate / 1000)
    if container.startswith("mov") and is_rounded and padding * 1000 <= 2 * sample_rate:
        return n_decoded
    return n_decoded - padding
