"""Render examples/example_song.mp3: 23 seconds of a small song, from nothing but numpy and a seed.

Four sources as a four-stem model names them: a singing voice, a drum kit, a bass, and `other` (electric
piano and plucked strings). Everything is additive or physical synthesis written out below, so the song
belongs to nobody and the repository may carry it. Waveforms here are `(samples,)` or `(samples, 2)`.

Usage: python tools/make_example.py     (`render()` gives the true sources)
"""

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

Waveform = NDArray[np.float64]

SONG = Path(__file__).resolve().parent.parent / "examples" / "example_song.mp3"
SEED = 20
SAMPLE_RATE = 44100  # Hz
BEAT_S = 60 / 104  # crotchet = 104
N_BARS = 10  # one of introduction, four of verse, four of chorus, the last chord
N_SAMPLES = round(N_BARS * 4 * BEAT_S * SAMPLE_RATE)
PEAK = 0.9  # of full scale

# One chord a bar as MIDI notes, the root of the bass first. The key is C major.
C, A_MINOR, F, G = (36, 60, 64, 67, 71), (33, 57, 60, 64, 67), (29, 57, 60, 65, 67), (31, 59, 62, 65, 67)
CHORDS = (C, A_MINOR, F, C, G, F, G, A_MINOR, G, C)
BASS_FIGURE = (
    (0, 1, 0),
    (1, 0.5, 0),
    (1.5, 0.5, 12),
    (2, 1, 0),
    (3, 0.5, 7),
    (3.5, 0.5, 12),
)  # beat, beats, semitones

# (beat of the bar, beats, MIDI note, syllable) for the bars 1 to 9; a syllable is a consonant and a vowel.
MELODY: tuple[tuple[tuple[float, float, int, str], ...], ...] = (
    ((0, 1, 69, "so"), (1, 0.5, 72, "la"), (1.5, 0.5, 71, "di"), (2, 1, 69, "na"), (3, 1, 64, "mo")),
    ((0, 1, 65, "le"), (1, 0.5, 69, "ta"), (1.5, 0.5, 67, "li"), (2, 1.5, 65, "no")),
    ((0, 1, 67, "so"), (1, 0.5, 72, "la"), (1.5, 0.5, 71, "di"), (2, 1, 67, "na"), (3, 1, 64, "mu")),
    ((0, 1, 62, "le"), (1, 0.5, 67, "ta"), (1.5, 0.5, 69, "li"), (2, 1.5, 71, "na")),
    ((0, 1.5, 72, "sa"), (1.5, 0.5, 69, "no"), (2, 1, 72, "la"), (3, 1, 74, "mi")),
    ((0, 1.5, 74, "ta"), (1.5, 0.5, 71, "no"), (2, 1, 67, "le"), (3, 1, 71, "do")),
    ((0, 1, 72, "sa"), (1, 1.5, 76, "la"), (2.5, 0.5, 74, "ni"), (3, 1, 72, "no")),
    ((0, 1, 71, "ta"), (1, 1, 74, "la"), (2, 1.5, 71, "mo")),
    ((0, 3, 72, "na"),),
)

# Formants of an alto: frequencies and bandwidths in Hz. Source: Csound manual, appendix "Formant Values".
VOWELS = {
    "a": ((800, 1150, 2800, 3500, 4950), (80, 90, 120, 130, 140)),
    "e": ((400, 1600, 2700, 3300, 4950), (60, 80, 120, 150, 200)),
    "i": ((350, 1700, 2700, 3700, 4950), (50, 100, 120, 150, 200)),
    "o": ((450, 800, 2830, 3500, 4950), (70, 80, 100, 130, 135)),
    "u": ((325, 700, 2530, 3500, 4950), (50, 60, 170, 180, 200)),
}
HIGH_FORMANTS_HZ = (5950, 6950, 7950, 8950)  # the tube's further resonances, every c / 2L = 1 kHz
# Loudness of the voice while it pronounces a consonant, its seconds; gain and lower edge in Hz of its noise.
CONSONANTS = {
    "l": (0.35, 0.06, 0, 1),
    "n": (0.25, 0.07, 0, 1),
    "m": (0.2, 0.08, 0, 1),
    "d": (0.05, 0.04, 0.03, 2500),
    "s": (0, 0.11, 0.06, 5500),
    "t": (0, 0.05, 0.08, 2500),
}
CONTROL = 100  # samples between two settings of the voice: 2.3 ms
N_HARMONICS = 36


def frequency(note: float) -> float:
    """Hz of a MIDI note number, equal temperament, A4 = 440 Hz."""
    return 440 * 2.0 ** ((note - 69) / 12)


def seconds(duration_s: float) -> Waveform:
    return np.arange(round(duration_s * SAMPLE_RATE)) / SAMPLE_RATE


def edges(time: Waveform, attack_s: float, release_s: float) -> Waveform:
    return np.minimum(1, np.minimum(time / attack_s, (time[-1] - time) / release_s))


def add(track: Waveform, sound: Waveform, beat: float, gain: float = 1.0) -> None:
    """Mix a sound into the track in place from the given beat on; what hangs over the end is cut."""
    start = round(beat * BEAT_S * SAMPLE_RATE)
    length = min(len(sound), len(track) - start)
    track[start : start + length] += gain * sound[:length]


def band_noise(n_samples: int, low_hz: float, high_hz: float, rng: np.random.Generator) -> Waveform:
    """Noise of unit power between two frequencies, with edges of a tenth of an octave or so."""
    hz = np.fft.rfftfreq(n_samples, 1 / SAMPLE_RATE) + 1e-9
    gain = 1 / np.sqrt((1 + (low_hz / hz) ** 16) * (1 + (hz / high_hz) ** 16))
    noise: Waveform = np.fft.irfft(np.fft.rfft(rng.standard_normal(n_samples)) * gain, n_samples)
    return noise / np.sqrt(np.mean(noise**2))


def place(mono: Waveform, position: float) -> Waveform:
    """Pan with constant power: -1 left, 0 centre, 1 right; `(samples,)` to `(samples, 2)`."""
    angle = (position + 1) * np.pi / 4
    return np.outer(mono, [np.cos(angle), np.sin(angle)])


def room(dry: Waveform, decay_s: float, wet: float, rng: np.random.Generator) -> Waveform:
    """Add the sound of a room: convolution with noise that decays by 60 dB in `decay_s`, per channel."""
    time = seconds(decay_s)
    n_fft = 2 ** int(np.ceil(np.log2(len(dry) + len(time))))
    echo = np.stack([band_noise(len(time), 200, 6000, rng) for _ in range(2)], axis=1)
    echo *= (10 ** (-3 * time / decay_s) / np.sqrt(len(time)))[:, None]
    spectrum = np.fft.rfft(dry, n_fft, axis=0) * np.fft.rfft(echo, n_fft, axis=0)
    reverberation: Waveform = np.fft.irfft(spectrum, n_fft, axis=0)
    return dry + wet * reverberation[: len(dry)]


def drums(rng: np.random.Generator) -> Waveform:
    """Kick, snare and hi-hat in a straight eighth-note beat; a crash opens the chorus and the last bar."""
    time = seconds(0.35)
    sweep = 2 * np.pi * np.cumsum(48 + 130 * np.exp(-time * 35)) / SAMPLE_RATE
    kick = np.sin(sweep) * np.exp(-time * 11) + 0.15 * band_noise(len(time), 1500, 6000, rng) * np.exp(
        -time * 300
    )
    wires = band_noise(len(time), 1200, 9000, rng) * np.exp(-time * 18)
    skin = np.sin(2 * np.pi * 186 * time) + 0.6 * np.sin(2 * np.pi * 330 * time)
    snare = 0.3 * wires + 0.5 * skin * np.exp(-time * 28)
    closed = band_noise(len(time), 7000, 16000, rng) * np.exp(-time * 70)
    opened = band_noise(len(time), 6500, 16000, rng) * np.exp(-time * 12)
    ring = seconds(2.2)
    crash = band_noise(len(ring), 3000, 15000, rng) * np.exp(-ring * 2.2)
    track = np.zeros((N_SAMPLES, 2))
    for bar in range(N_BARS - 1):
        for beat in (0, 2, 2.5) if bar % 2 else (0, 1.5, 2):
            add(track, place(kick, 0), bar * 4 + beat, 0.8)
        for beat in (1, 3) if bar else (3, 3.5, 3.75):
            add(track, place(snare, 0.1), bar * 4 + beat, 0.6)
        for eighth in range(8):
            gain = (0.14, 0.09)[eighth % 2] * rng.uniform(0.85, 1.15)
            add(track, place(opened if eighth == 7 else closed, -0.35), bar * 4 + eighth / 2, gain)
    for bar in (1, 5, N_BARS - 1):
        add(track, place(crash, 0.4), bar * 4, 0.12)
    add(track, place(kick, 0), (N_BARS - 1) * 4, 0.8)
    return room(track, 0.4, 0.15, rng)


def bass() -> Waveform:
    """Play the root of each chord, in eighths with an octave jump: harmonics whose upper ones die first."""
    track = np.zeros(N_SAMPLES)
    for bar, (root, *_) in enumerate(CHORDS[1:], 1):
        for beat, beats, interval in BASS_FIGURE if bar < N_BARS - 1 else [(0, 3.5, 0)]:
            time = seconds(beats * BEAT_S * 0.95)
            angle = 2 * np.pi * frequency(root + interval) * time
            harmonics = [np.sin(k * angle) * np.exp(-time * 1.6 * k) / k for k in range(1, 13)]
            add(track, sum(harmonics) * edges(time, 0.006, 0.03), bar * 4 + beat)
    return place(0.3 * track, 0)


def electric_piano(note: float, beats: float) -> Waveform:
    """One note of frequency modulation: a carrier whose modulator dies away, and a short tine above."""
    time = seconds(beats * BEAT_S + 0.25)
    angle = 2 * np.pi * frequency(note) * time
    body = np.sin(angle + 1.4 * np.exp(-time * 3) * np.sin(angle))
    tine = 0.25 * np.exp(-time * 9) * np.sin(angle + 0.8 * np.sin(14 * angle) * np.exp(-time * 12))
    return (body + tine) * np.exp(-time * 1.3) * edges(time, 0.004, 0.2)


def plucked_string(note: float, duration_s: float, rng: np.random.Generator) -> Waveform:
    """Pluck a string: noise that runs round a delay line and loses its highs at every turn.

    Source: Karplus and Strong, "Digital synthesis of plucked-string and drum timbres", CMJ 7(2), 1983.
    """
    period = round(SAMPLE_RATE / frequency(note) - 0.5)
    turn = rng.uniform(-1, 1, period)
    turns = []
    for _ in range(int(duration_s * SAMPLE_RATE / period) + 1):
        turns.append(turn)
        turn = 0.998 * (0.5 * turn + 0.5 * np.roll(turn, 1))
    string = np.concatenate(turns) * np.linspace(1, 0, len(turns) * period)
    stretch = (period + 0.5) * frequency(note) / SAMPLE_RATE  # the averaging delays by half a sample more
    return np.interp(np.arange(0, len(string), stretch), np.arange(len(string)), string)


def other(rng: np.random.Generator) -> Waveform:
    """Electric piano chords to the left, broken chords on plucked strings to the right from the verse on."""
    track = np.zeros((N_SAMPLES, 2))
    for bar, (_, *notes) in enumerate(CHORDS):
        for beat, beats in [(0, 4)] if bar in (0, N_BARS - 1) else [(0, 1.5), (1.5, 2.5)]:
            for note in notes:
                add(track, place(electric_piano(note, beats), -0.4), bar * 4 + beat, 0.11)
        for eighth, index in enumerate((0, 2, 1, 3, 2, 1, 3, 2) if 0 < bar < N_BARS - 1 else ()):
            string = plucked_string(notes[index] + 12, 0.9, rng)
            add(track, place(string, 0.5), bar * 4 + eighth / 2, 0.2)
    return room(track, 1.1, 0.35, rng)


def smooth(control: Waveform, time_s: float) -> Waveform:
    """Round the corners of a control curve over `time_s`, along its first axis."""
    window = np.hanning(2 * max(1, round(time_s * SAMPLE_RATE / CONTROL / 2)) + 3)
    padded = np.pad(control, [(len(window) // 2,) * 2] + [(0, 0)] * (control.ndim - 1), mode="edge")
    columns = padded.reshape(len(padded), -1).T
    curves = [np.convolve(column, window / window.sum(), mode="valid") for column in columns]
    return np.stack(curves, axis=1).reshape(control.shape)


def sung_notes() -> list[tuple[float, float, int, str]]:
    """Return the melody in seconds from the start of the song: (start, end, MIDI note, syllable)."""
    return [
        ((4 * bar + beat) * BEAT_S, (4 * bar + beat + beats) * BEAT_S, note, syllable)
        for bar, notes in enumerate(MELODY, 1)
        for beat, beats, note, syllable in notes
    ]


def voice_controls(rng: np.random.Generator) -> tuple[Waveform, Waveform, Waveform]:
    """Work out how the singer moves: pitch in MIDI notes, loudness, and formants, every CONTROL samples.

    Returns:
        `(steps,)`, `(steps,)` and `(steps, 2, formants)`, the last with frequencies and bandwidths in Hz.
    """
    time = np.arange(N_SAMPLES // CONTROL + 2) * CONTROL / SAMPLE_RATE
    pitch, loudness = np.full(len(time), 69.0), np.zeros(len(time))
    formants = np.tile(np.array(VOWELS["a"], float), (len(time), 1, 1))
    vibrato = np.zeros(len(time))
    for start, end, note, syllable in sung_notes():
        level, length_s, *_ = CONSONANTS[syllable[0]]
        pitch[time >= start - 0.02] = note
        formants[time >= start - 0.02] = VOWELS[syllable[1]]
        held = (time >= start) & (time < end - 0.04)
        loudness[held] = 0.75 + 0.02 * (note - 67)  # higher is louder
        loudness[held & (time < start + length_s)] *= level
        vibrato[held] = np.clip((time[held] - start - 0.25) / 0.3, 0, 1)  # it grows on long notes
    drift = smooth(rng.standard_normal(len(time)), 0.3)
    pitch = smooth(pitch, 0.09) + 0.35 * smooth(vibrato, 0.1) * np.sin(2 * np.pi * 5.6 * time) + 0.5 * drift
    return pitch, smooth(loudness, 0.06), smooth(formants, 0.09)


def tract(hz: Waveform, formants: Waveform) -> NDArray[np.complex128]:
    """Frequency response of the vocal tract at `hz` `(steps,)`: formants in cascade, 1 at 0 Hz.

    Source: Fant, Acoustic Theory of Speech Production, 1960: H = Π F² / (F² - f² + i f B).
    """
    response = np.ones(len(hz), np.complex128)
    for centre, width in np.moveaxis(formants, -1, 0).transpose(0, 2, 1):
        response *= centre**2 / (centre**2 - hz**2 + 1j * hz * width)
    for centre in HIGH_FORMANTS_HZ:
        response *= centre**2 / (centre**2 - hz**2 + 1j * hz * centre / 12)
    return response


def vocals(rng: np.random.Generator) -> Waveform:
    """Sing the melody: harmonics of a glottal pulse train, each with the tract's gain at its frequency.

    Radiated from the lips, the pulses fall by 4 dB an octave: a bright voice. Consonants may add noise.
    """
    pitch, loudness, formants = voice_controls(rng)
    steps, samples = np.arange(len(pitch)) * CONTROL, np.arange(N_SAMPLES)
    hz = 440 * 2 ** ((pitch - 69) / 12)
    angle = 2 * np.pi * np.cumsum(np.interp(samples, steps, hz)) / SAMPLE_RATE
    rotor, turned = np.exp(1j * angle), np.ones(N_SAMPLES, np.complex128)
    voice = np.zeros(N_SAMPLES)
    for harmonic in range(1, N_HARMONICS + 1):
        turned *= rotor
        weight = loudness * tract(harmonic * hz, formants) / harmonic**0.7
        voice += (np.interp(samples, steps, weight) * turned).real
    breath = band_noise(N_SAMPLES, 2000, 9000, rng) * np.interp(samples, steps, loudness)
    voice = 0.2 * voice / np.sqrt(np.mean(voice**2)) + 0.004 * breath
    for start, _, _, syllable in sung_notes():
        _, length_s, gain, low_hz = CONSONANTS[syllable[0]]
        noise = band_noise(round(length_s * SAMPLE_RATE), low_hz, 11000, rng)
        add(voice, noise * np.hanning(len(noise)), start / BEAT_S, gain)
    return room(place(voice, 0), 1.4, 0.5, rng)


def render(seed: int = SEED) -> dict[str, Waveform]:
    """Render the four sources; their sum is the mixture, with a peak of PEAK.

    Returns:
        float64 `(samples, 2)` at 44.1 kHz, by stem.
    """
    rngs = [np.random.default_rng([seed, part]) for part in range(3)]
    played = (vocals(rngs[0]), 1.2 * drums(rngs[1]), bass(), 1.7 * other(rngs[2]))
    sources = dict(zip(("vocals", "drums", "bass", "other"), played, strict=True))
    fade = np.minimum(1, (N_SAMPLES - np.arange(N_SAMPLES)) / (0.5 * SAMPLE_RATE))[:, None]
    peak = np.abs(sum(sources.values()) * fade).max()
    return {stem: source * fade * (PEAK / peak) for stem, source in sources.items()}


def main() -> None:
    mixture = sum(render().values())
    with soundfile.SoundFile(
        SONG, "w", SAMPLE_RATE, 2, bitrate_mode="VARIABLE", compression_level=0.2
    ) as file:
        file.title, file.artist = "Small example", "stemwise contributors"
        file.write(mixture)
    print(f"{SONG.name}: {N_SAMPLES / SAMPLE_RATE:.1f} s, {SONG.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
