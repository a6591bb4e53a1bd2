import { beforeEach, expect, test, vi } from "vitest";
import * as api from "./api.ts";
import { drop, loadSongs, take } from "./library.ts";
import { studio } from "./studio.ts";

vi.mock("./mixer.ts", () => ({ openMixer: vi.fn(), closeMixer: vi.fn() }));

function song(number: number, changes: Partial<api.Song> = {}): api.Song {
  return { id: `song ${number}`, title: `Song ${number}`, created: number, state: "done", ...changes } as api.Song;
}

/** What the server has, newest first; it lists 50 at a time. */
let there: api.Song[] = [];

function shown(): number[] {
  return studio.songs.map((song) => song.created);
}

async function showAll(): Promise<void> {
  for (let pages = 0; pages < 5 && studio.songs.length < studio.total; pages++) await loadSongs({ more: true });
}

beforeEach(async () => {
  there = Array.from({ length: 120 }, (_, place) => song(119 - place));
  vi.spyOn(api, "getSongs").mockImplementation((_, offset) =>
    Promise.resolve({ songs: there.slice(offset, offset + 50), total: there.length }),
  );
  await loadSongs();
});

test("news of a song further down makes it neither one more nor hides another", async () => {
  take(song(3, { state: "queued" }));
  expect(studio.total).toBe(120);
  await showAll();
  expect(shown()).toEqual(there.map((song) => song.created));
  expect(studio.total).toBe(120);
});

test("songs that come and go meanwhile do not shift the next page", async () => {
  for (const number of [120, 121, 122]) {
    there.unshift(song(number));
    take(song(number));
  }
  expect(studio.total).toBe(123);
  for (const gone of [121, 100, 99, 98, 97]) {
    there = there.filter(({ created }) => created !== gone);
    drop(`song ${gone}`);
    drop(`song ${gone}`); // as the server tells it too
  }
  expect(studio.total).toBe(118);
  await showAll();
  expect(shown()).toEqual(there.map((song) => song.created));
});

test("the first song of all is counted", async () => {
  there = [];
  await loadSongs();
  take(song(0, { state: "queued" }));
  take(song(0, { state: "running" }));
  expect([studio.total, shown()]).toEqual([1, [0]]);
});
