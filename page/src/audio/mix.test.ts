import { expect, test } from "vitest";
import { balance, flatMix, gains, isKaraoke, type Mix, mixQuery, SILENT_DB, withKaraoke } from "./mix.ts";

const STEMS = ["vocals", "drums", "bass"];

function mix(changes: Record<string, Partial<Mix[string]>> = {}): Mix {
  const flat = flatMix(STEMS);
  return Object.fromEntries(STEMS.map((stem) => [stem, { ...flat[stem]!, ...changes[stem] }]));
}

test("a solo leaves the others silent, and a muted stem is silent even then", () => {
  expect(gains(mix({ drums: { soloed: true } }))).toEqual({ vocals: 0, drums: 1, bass: 0 });
  expect(gains(mix({ drums: { soloed: true, muted: true } }))).toEqual({ vocals: 0, drums: 0, bass: 0 });
});

test("volume is in dB, and off at the bottom of the fader", () => {
  const { vocals, drums } = gains(mix({ vocals: { volume_db: -20 }, drums: { volume_db: SILENT_DB } }));
  expect(vocals).toBeCloseTo(0.1, 12);
  expect(drums).toBe(0);
});

test("pan is a balance: the middle is untouched, a side takes from the other", () => {
  expect([balance(0), balance(-1), balance(0.25)]).toEqual([[1, 1], [1, 0], [0.75, 1]]);
});

test("the server is told what is heard, no more", () => {
  const query = mixQuery(mix({ vocals: { muted: true }, bass: { pan: -0.5 } }), { start: 44100, end: 66150 }, 44100);
  expect(Object.fromEntries(query)).toEqual({ gains: "drums:1,bass:1", pans: "bass:-0.5", start_s: "1", end_s: "1.5" });
});

test("karaoke mutes the voice, ends solos, and can be taken back", () => {
  const sung = withKaraoke(mix({ vocals: { soloed: true }, bass: { muted: true } }), true);
  expect(gains(sung)).toEqual({ vocals: 0, drums: 1, bass: 0 });
  expect(isKaraoke(sung)).toBe(true);
  expect(gains(withKaraoke(sung, false))).toEqual({ vocals: 1, drums: 1, bass: 0 });
});
