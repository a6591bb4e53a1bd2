import { expect, test } from "vitest";
import { type Run, songFrameAt, type Span, spans } from "./schedule.ts";

const PIECE = 100;

function first(run: Run, count: number): Span[] {
  const found: Span[] = [];
  for (const span of spans(run, PIECE)) {
    if (found.push(span) === count) break;
  }
  return found;
}

function run(changes: Partial<Run> = {}): Run {
  return { at: 1000, from: 0, rate: 1, length: 1234, loop: null, ...changes };
}

test("spans follow each other without gap or overlap, and stay within their piece", () => {
  for (const loop of [null, { start: 130, end: 777 }, { start: 250, end: 251 }, { start: 0, end: 1234 }]) {
    for (const from of [0, 1, 99, 100, 249]) {
      let at = 1000;
      for (const span of first(run({ from, loop }), 200)) {
        expect(span.at).toBe(at);
        expect(Math.floor(span.from / PIECE)).toBe(Math.floor((span.from + span.frames - 1) / PIECE));
        at += span.frames;
      }
    }
  }
});

test("what is planned is what the clock says, frame by frame", () => {
  const looped = run({ from: 200, loop: { start: 130, end: 777 } });
  for (const span of first(looped, 60)) {
    for (let i = 0; i < span.frames; i++) expect(songFrameAt(looped, span.at + i)).toBe(span.from + i);
  }
});

test("without a loop the song ends, and the clock stands there", () => {
  const all = first(run({ from: 30 }), 1000);
  expect(all.reduce((sum, span) => sum + span.frames, 0)).toBe(1204);
  expect(songFrameAt(run({ from: 30 }), 99999)).toBe(1234);
});

test("a run from behind the loop plays to the end", () => {
  const late = run({ from: 800, loop: { start: 130, end: 777 } });
  expect(first(late, 1000).reduce((sum, span) => sum + span.frames, 0)).toBe(434);
});

test("at half speed a span takes twice as long", () => {
  const slow = run({ rate: 0.5 });
  expect(first(slow, 3).map((span) => span.at)).toEqual([1000, 1200, 1400]);
  expect(songFrameAt(slow, 1201)).toBe(100.5);
});

test("before a run begins, the clock shows where it will", () => {
  expect(songFrameAt(run({ from: 5 }), 0)).toBe(5);
});
