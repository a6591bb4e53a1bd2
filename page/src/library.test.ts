import { beforeEach, expect, test, vi } from "vitest";
import * as api from "./api.ts";
import { separate, separatePath } from "./adding.ts";
import { change, drop, follow, loadSongs, take, watch } from "./library.ts";
import { studio } from "./studio.ts";

vi.mock("./mixer.ts", () => ({ openMixer: vi.fn(), closeMixer: vi.fn() }));

function song(number: number, changes: Partial<api.Song> = {}): api.Song {
  return { id: `song ${number}`, title: `Song ${number}`, created: number, state: "done", ...changes } as api.Song;
}

/** What the server has, newest first; it lists 50 at a time. */
let there: api.Song[] = [];
/** The server's news. */
let tell: Parameters<typeof api.listen>[0];

/** An answer on its way. */
function later<T>(): { answer: Promise<T>; arrive: (value: T) => Promise<void>; fail: (error: Error) => Promise<void> } {
  let arrive: (value: T) => void;
  let fail: (error: Error) => void;
  const answer = new Promise<T>((resolve, reject) => ([arrive, fail] = [resolve, reject]));
  const soon = () => new Promise<void>((done) => setTimeout(done));
  return { answer, arrive: (value) => (arrive(value), soon()), fail: (error) => (fail(error), soon()) };
}

function open(number: number, answer: Promise<api.Song>): void {
  vi.spyOn(api, "getSong").mockReturnValue(answer);
  location.hash = `#/song/song ${number}`;
  void follow();
}

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
  vi.spyOn(api, "getModels").mockResolvedValue([]);
  vi.spyOn(api, "listen").mockImplementation((on) => void (tell = on));
  vi.stubGlobal("document", { querySelector: () => ({}) });
  vi.stubGlobal("location", { hash: "" });
  Object.assign(studio, { openId: null, open: null, trouble: null, search: "", isConnected: true });
  watch();
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

test("a connection that is lost while a song opens throws nobody out, and is no trouble once it is back", async () => {
  const lost = later<api.Song>();
  open(3, lost.answer);
  const model = { name: "tuned" } as api.Model;
  vi.spyOn(api, "getModels").mockResolvedValue([model]).mockRejectedValueOnce(new api.RequestError("no answer"));
  tell.models();
  await lost.fail(new api.RequestError("no answer"));
  expect(location.hash).toBe("#/song/song 3");
  expect(studio.trouble).toBe("no answer");
  tell.connection(false);
  vi.spyOn(api, "getSong").mockResolvedValue(song(3, { title: "As it is now" }));
  tell.connection(true);
  await later<void>().arrive();
  expect([studio.trouble, studio.open?.title, studio.models]).toEqual([null, "As it is now", [model]]);
});

test("a song that there is not is left, also after the connection was lost", async () => {
  for (const isLost of [false, true]) {
    const missing = later<api.Song>();
    open(500, isLost ? later<api.Song>().answer : missing.answer);
    if (isLost) {
      tell.connection(false);
      vi.spyOn(api, "getSong").mockReturnValue(missing.answer);
      tell.connection(true);
    }
    await missing.fail(new api.RequestError("there is no such song", 404));
    expect(location.hash).toBe("");
    studio.openId = null;
  }
});

test("an answer that news of its song has overtaken is dropped", async () => {
  const queued = song(120, { state: "queued" });
  const done = song(120, { state: "done" });
  const asking: ((answer: Promise<api.Song>) => void)[] = [
    (answer) => open(120, answer),
    (answer) => void change(answer),
    (answer) => {
      vi.spyOn(api, "addFromPath").mockReturnValue(answer);
      void separatePath("/song");
    },
    (answer) => {
      vi.spyOn(api, "upload").mockReturnValue(answer);
      studio.candidates = [{ file: { name: "song.wav", size: 1 } as File, duration_s: null }];
      void separate();
    },
  ];
  for (const ask of asking) {
    for (const told of [done, null]) {
      there = [song(3)];
      await loadSongs();
      const { answer, arrive } = later<api.Song>();
      ask(answer);
      if (told) tell.song(told);
      else tell.deleted(queued.id);
      await arrive(queued);
      expect(studio.songs).toEqual(told ? [done, song(3)] : [song(3)]);
      studio.openId = null;
    }
  }
});

test("an answer is taken where there was news of other songs only, or of its own before", async () => {
  tell.song(song(3, { state: "queued" }));
  const { answer, arrive } = later<api.Song>();
  void change(answer);
  tell.song(song(4, { state: "queued" }));
  await arrive(song(3, { state: "running" }));
  expect(studio.songs.find(({ created }) => created === 3)?.state).toBe("running");
});

test("a list that news have overtaken has what is newer", async () => {
  const { answer, arrive } = later<{ songs: api.Song[]; total: number }>();
  const before = { songs: there.slice(0, 50), total: there.length };
  vi.spyOn(api, "getSongs").mockReturnValueOnce(answer);
  void loadSongs();
  tell.song(song(100, { progress: 0.5 }));
  await arrive(before);
  expect(studio.songs.find(({ created }) => created === 100)?.progress).toBe(0.5);
  expect([studio.total, shown()]).toEqual([120, there.slice(0, 50).map(({ created }) => created)]);
});

test("a list around which songs have come and gone is read anew", async () => {
  const moves = [{ added: 120 }, { gone: 119 }, { added: 121, more: true }, { gone: 118, more: true }];
  for (const { added, gone, more } of moves) {
    await loadSongs();
    const { answer, arrive } = later<{ songs: api.Song[]; total: number }>();
    const offset = more ? 50 : 0;
    const before = { songs: there.slice(offset, offset + 50), total: there.length };
    vi.spyOn(api, "getSongs").mockReturnValueOnce(answer);
    void loadSongs({ more });
    if (added) there = [song(added), ...there];
    there = there.filter(({ created }) => created !== gone);
    if (added) tell.song(song(added));
    else tell.deleted(`song ${gone}`);
    await arrive(before);
    expect(studio.total).toBe(there.length);
    expect(shown()).toEqual(there.slice(0, shown().length).map(({ created }) => created));
    expect(shown().length).toBeGreaterThanOrEqual(offset + 49);
  }
});
