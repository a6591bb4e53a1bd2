/** One song in the mixer: what a person has set, and the player that sounds like it. */
import * as api from "./api.ts";
import { type Fader, flatMix, gainOf, isKaraoke, type Mix, mixQuery, withKaraoke } from "./audio/mix.ts";
import { Player, SHORTEST_LOOP_S } from "./audio/player.ts";
import type { Region } from "./audio/schedule.ts";
import { StemSound } from "./audio/stem.ts";
import { announce, changed, complain, studio } from "./studio.ts";

export interface Peaks {
  readonly lowest: Float32Array;
  readonly highest: Float32Array;
}

export const SLOWEST = 0.5;
export const FASTEST = 1.5;
export const SPEED_STEP = 0.05;
export const FARTHEST_KEY = 12;
const POINTS_PER_S = 50;
const MOST_POINTS = 20000;
export const ZOOMS = [1, 2, 4, 8, 16] as const;

export class Mixer {
  mix: Mix;
  /** What is marked; it is played in a circle while `isLooping`. */
  region: Region | null = null;
  isLooping = false;
  volume_db = 0;
  speed = 1;
  key = 0;
  zoom = 1;
  trouble: string | null = null;
  readonly spectrograms = new Set<string>();
  readonly peaks = new Map<string, Peaks>();
  /** The highest sample of all stems, so that all are drawn to one scale; of silence 1, and 0 until it is known. */
  highest = 0;

  private constructor(
    readonly song: api.Song,
    readonly player: Player,
  ) {
    this.mix = flatMix(song.stems);
    player.setMix(this.mix);
    player.addEventListener("change", changed);
    player.addEventListener("trouble", (event) => {
      this.trouble = (event as CustomEvent<string>).detail;
      changed();
    });
    void this.loadPeaks();
  }

  static async open(song: api.Song): Promise<Mixer> {
    const stems = await Promise.all(song.stems.map((stem) => StemSound.open(stem, api.stemUrl(song.id, stem))));
    const { sampleRate, frames } = stems[0]!;
    return new Mixer(song, new Player(stems, sampleRate, frames));
  }

  get sampleRate(): number {
    return this.player.sampleRate;
  }

  get duration_s(): number {
    return this.player.length / this.sampleRate;
  }

  get position_s(): number {
    return this.player.position / this.sampleRate;
  }

  /** Where "to the start" goes: the start of the loop, else of the song. */
  get startOfPlay_s(): number {
    return this.isLooping ? this.region!.start / this.sampleRate : 0;
  }

  get isPlaying(): boolean {
    return this.player.state !== "stopped";
  }

  toggle(): void {
    this.trouble = null;
    if (this.isPlaying) this.player.pause();
    else void this.player.play();
  }

  seek(seconds: number): void {
    this.player.seek(seconds * this.sampleRate);
  }

  setFader(stem: string, change: Partial<Fader>): void {
    this.setMix({ ...this.mix, [stem]: { ...this.mix[stem]!, ...change } });
  }

  setMix(mix: Mix): void {
    this.mix = mix;
    this.player.setMix(mix);
    changed();
  }

  get hasVoice(): boolean {
    return "vocals" in this.mix && this.song.stems.length > 1;
  }

  toggleKaraoke(): void {
    if (!this.hasVoice) return;
    const on = !isKaraoke(this.mix);
    this.setMix(withKaraoke(this.mix, on));
    announce(on ? "Vocals off" : "Vocals on");
  }

  /** Marks a region, in seconds, and loops it; one that is too short is none. */
  setRegion(start_s: number, end_s: number): void {
    const frames = [start_s, end_s].map((s) => Math.round(Math.min(Math.max(0, s), this.duration_s) * this.sampleRate));
    const [start, end] = frames.sort((a, b) => a - b) as [number, number];
    this.region = end - start >= SHORTEST_LOOP_S * this.sampleRate ? { start, end } : null;
    this.setLooping(this.region !== null);
  }

  setLooping(on: boolean): void {
    this.isLooping = on && this.region !== null;
    this.player.setLoop(this.isLooping ? this.region : null);
    changed();
  }

  /** The loop's switch: without a region it is the next four seconds. */
  toggleLoop(): void {
    if (this.region) this.setLooping(!this.isLooping);
    else this.setRegion(this.position_s, this.position_s + 4);
    announce(this.isLooping ? "Loop on" : "Loop off");
  }

  setVolume(db: number): void {
    this.volume_db = db;
    this.player.setVolume(gainOf(db));
    changed();
  }

  setTuning(speed: number, key: number): void {
    this.speed = Math.min(FASTEST, Math.max(SLOWEST, Math.round(speed / SPEED_STEP) * SPEED_STEP));
    this.key = Math.min(FARTHEST_KEY, Math.max(-FARTHEST_KEY, key));
    this.player.setTuning(this.speed, this.key).catch(complain);
    changed();
  }

  toggleSpectrogram(stem: string): void {
    if (!this.spectrograms.delete(stem)) this.spectrograms.add(stem);
    changed();
  }

  /** Where the present mix comes from: all of the song, or the marked region. */
  mixUrl(codec: api.Codec, onlyRegion: boolean): string {
    const query = mixQuery(this.mix, onlyRegion ? this.region : null, this.sampleRate);
    return api.mixUrl(this.song.id, query, codec);
  }

  private async loadPeaks(): Promise<void> {
    const points = Math.min(MOST_POINTS, Math.max(500, Math.round(this.duration_s * POINTS_PER_S)));
    try {
      for (const stem of this.song.stems) this.peaks.set(stem, await api.getPeaks(this.song.id, stem, points));
    } catch (error) {
      this.trouble = `The waveforms could not be drawn: ${(error as Error).message}`;
    }
    const sides = [...this.peaks.values()].flatMap(({ lowest, highest }) => [lowest, highest]);
    this.highest = sides.reduce((top, side) => side.reduce((a, b) => Math.max(a, Math.abs(b)), top), 0) || 1;
    changed();
  }
}

let opening: string | null = null;

export function openMixer(song: api.Song): void {
  if (opening === song.id) return;
  closeMixer();
  opening = song.id;
  Mixer.open(song)
    .then((mixer) => {
      if (opening !== song.id) return mixer.player.close();
      studio.mixer = mixer;
      changed();
    })
    .catch(complain)
    .finally(() => {
      if (opening === song.id) opening = null;
    });
}

export function closeMixer(): void {
  opening = null;
  studio.mixer?.player.close();
  studio.mixer = null;
}
