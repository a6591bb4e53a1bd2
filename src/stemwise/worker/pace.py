"""How long songs take in a worker, from two pieces of different length."""

from dataclasses import dataclass

# Seconds of audio: the first piece warms up, and `Pace.between` compares the two others.
WARM_S, SHORT_S, LONG_S = 1.0, 12.0, 48.0


@dataclass(frozen=True, slots=True)
class Pace:
    """What a song takes in one worker.

    Attributes:
        per_song_s: seconds for each song, whatever its length.
        per_audio_s: seconds for each second of audio.
    """

    per_song_s: float
    per_audio_s: float

    def wall_s(self, audio_s: float) -> float:
        """Seconds for a song of so many."""
        return self.per_song_s + audio_s * self.per_audio_s

    @classmethod
    def between(cls, short: tuple[float, float], long: tuple[float, float]) -> "Pace":
        """From a short piece and a long one, each `(seconds of audio, seconds that it took)`.

        Where they tell nothing apart, all of the time is the audio's.
        """
        (short_s, short_wall_s), (long_s, long_wall_s) = short, long
        per_audio_s = long_wall_s / long_s
        if long_s > 1.5 * short_s and long_wall_s > short_wall_s:
            per_audio_s = (long_wall_s - short_wall_s) / (long_s - short_s)
        return cls(max(0.0, short_wall_s - short_s * per_audio_s), per_audio_s)
