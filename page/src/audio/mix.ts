import type { Region } from "./schedule.ts";

/** What a person has set for one stem. */
export interface Fader {
  /** dB; at SILENT_DB and below the stem is off. */
  readonly volume_db: number;
  /** -1 left … 1 right. */
  readonly pan: number;
  readonly muted: boolean;
  readonly soloed: boolean;
}

export type Mix = Readonly<Record<string, Fader>>;

export const SILENT_DB = -48;
export const LOUDEST_DB = 6;
export const FLAT: Fader = { volume_db: 0, pan: 0, muted: false, soloed: false };

export function flatMix(stems: readonly string[]): Mix {
  return Object.fromEntries(stems.map((stem) => [stem, FLAT]));
}

export function gainOf(volume_db: number): number {
  return volume_db <= SILENT_DB ? 0 : 10 ** (volume_db / 20);
}

/** Whether a stem is heard: not muted, and soloed if any stem is. */
export function isHeard(mix: Mix, stem: string): boolean {
  const fader = mix[stem];
  if (!fader || fader.muted) return false;
  return fader.soloed || !Object.values(mix).some((other) => other.soloed);
}

/** The linear gain of each stem; 0 for one that is not heard. */
export function gains(mix: Mix): Record<string, number> {
  return Object.fromEntries(
    Object.entries(mix).map(([stem, fader]) => [stem, isHeard(mix, stem) ? gainOf(fader.volume_db) : 0]),
  );
}

/** Left and right gain of a pan: a linear balance, as the server's mix-down has it. */
export function balance(pan: number): [number, number] {
  return [Math.min(1, 1 - pan), Math.min(1, 1 + pan)];
}

/** The mix as the server's interface wants it; a stem that is not named there is silent. */
export function mixQuery(mix: Mix, region: Region | null, sampleRate: number): URLSearchParams {
  const heard = Object.entries(gains(mix)).filter(([, gain]) => gain > 0);
  const panned = heard.filter(([stem]) => mix[stem]!.pan !== 0);
  const query = new URLSearchParams({ gains: heard.map(([stem, gain]) => `${stem}:${gain}`).join(",") });
  if (panned.length) query.set("pans", panned.map(([stem]) => `${stem}:${mix[stem]!.pan}`).join(","));
  if (region) {
    query.set("start_s", String(region.start / sampleRate));
    query.set("end_s", String(region.end / sampleRate));
  }
  return query;
}

/** Karaoke: the voice is off and nothing else is singled out. */
export function isKaraoke(mix: Mix): boolean {
  return !!mix.vocals?.muted && !Object.values(mix).some((fader) => fader.soloed);
}

export function withKaraoke(mix: Mix, on: boolean): Mix {
  return Object.fromEntries(
    Object.entries(mix).map(([stem, fader]) => [
      stem,
      { ...fader, muted: stem === "vocals" ? on : fader.muted, soloed: on ? false : fader.soloed },
    ]),
  );
}
