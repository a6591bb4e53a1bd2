/** The list of songs, kept as the server has it. */
import * as api from "./api.ts";
import { closeMixer, openMixer } from "./mixer.ts";
import { announce, changed, complain, studio } from "./studio.ts";

function newestFirst(songs: Iterable<api.Song>): api.Song[] {
  return [...songs].sort((a, b) => b.created - a.created);
}

export async function loadModels(): Promise<void> {
  try {
    studio.models = await api.getModels();
    changed();
  } catch (error) {
    complain(error);
  }
}

let news = 0;
/** Which news was the last of each song: an answer that was asked for before may be older. */
const heard = new Map<string, number>();
/** Songs that have come and gone, each of which shifts the pages of the list. */
let moves = 0;

function hear(id: string): void {
  heard.set(id, ++news);
}

function isHeardSince(before: number, id: string): boolean {
  return (heard.get(id) ?? 0) > before;
}

let asked = 0;
/** Ids of the songs that the server has in front of the next page; others are known from news of them alone. */
let paged = new Set<string>();

/** The first songs that the search finds, or with `more` the next ones too. */
export async function loadSongs({ more = false } = {}): Promise<void> {
  const [ticket, newsBefore, movesBefore] = [++asked, news, moves];
  try {
    const found = await api.getSongs(studio.search, more ? paged.size : 0);
    if (ticket !== asked) return;
    if (moves !== movesBefore) return loadSongs({ more }); // nobody knows on which side of that the answer is
    const held = new Map(studio.songs.map((song) => [song.id, song]));
    const listed = found.songs.map((song) => (isHeardSince(newsBefore, song.id) ? (held.get(song.id) ?? song) : song));
    const kept = more ? studio.songs : [];
    studio.songs = newestFirst(new Map([...kept, ...listed].map((song) => [song.id, song])).values());
    paged = new Set([...(more ? paged : []), ...found.songs.map((song) => song.id)]);
    studio.total = found.total;
    studio.isLoaded = true;
    changed();
  } catch (error) {
    complain(error);
  }
}

let typing = 0;

export function search(text: string): void {
  studio.search = text;
  window.clearTimeout(typing);
  typing = window.setTimeout(() => void loadSongs(), 150);
}

function tell(before: api.Song | undefined, song: api.Song): void {
  if (!before || before.state === song.state) return;
  if (song.state === "done") {
    announce(`${song.title} is ready.`);
    void loadModels(); // how fast they are is better known now
  }
  if (song.state === "failed") announce(`${song.title} failed: ${song.error ?? "no reason is known"}`);
}

export function take(song: api.Song): void {
  const before = studio.songs.find((other) => other.id === song.id);
  tell(before, song);
  if (before) studio.songs = studio.songs.map((other) => (other.id === song.id ? song : other));
  else if (song.title.toLowerCase().includes(studio.search.toLowerCase())) {
    if (studio.songs.every((other) => other.created < song.created)) {
      moves++;
      studio.total++; // an older one is counted already: it is further down the list than has been read
      paged.add(song.id);
    }
    studio.songs = newestFirst([...studio.songs, song]);
  }
  if (studio.openId === song.id) {
    studio.open = song;
    showOpen();
  }
  changed();
}

/** Takes what a song is by an answer of the server's, unless there was news of it meanwhile: that is newer. */
export async function takeAnswer(answer: Promise<api.Song>): Promise<api.Song> {
  const before = news;
  const song = await answer;
  if (!isHeardSince(before, song.id)) take(song);
  return song;
}

export function drop(id: string): void {
  hear(id);
  moves++;
  if (studio.songs.some((song) => song.id === id)) studio.total--;
  studio.songs = studio.songs.filter((song) => song.id !== id);
  paged.delete(id);
  if (studio.openId === id) location.hash = "";
  changed();
}

/** Does something with a song on the server and takes what it has become. */
export async function change(action: Promise<api.Song>): Promise<void> {
  try {
    await takeAnswer(action);
  } catch (error) {
    complain(error);
  }
}

export async function remove(song: api.Song): Promise<void> {
  try {
    await api.deleteSong(song.id);
    drop(song.id);
    announce(`${song.title} is deleted.`);
  } catch (error) {
    complain(error);
  }
}

function showOpen(): void {
  const song = studio.open;
  if (song?.state !== "done") closeMixer();
  else if (studio.mixer?.song.id !== song.id) openMixer(song);
}

/** Shows what the address names: a song, or the page for adding some. */
export async function follow(): Promise<void> {
  const id = /^#\/song\/(.+)$/.exec(location.hash)?.[1] ?? null;
  if (id === studio.openId && id !== null) return;
  studio.openId = id;
  studio.open = studio.songs.find((song) => song.id === id) ?? null;
  studio.trouble = null;
  if (id === null) closeMixer();
  changed();
  if (id !== null) await loadOpen(id);
}

/** Asks how the open song is now, and leaves one that cannot be had; where nobody answers, `watch` asks again. */
async function loadOpen(id: string): Promise<void> {
  try {
    await takeAnswer(api.getSong(id));
  } catch (error) {
    const isAnswered = !(error instanceof api.RequestError) || error.status !== 0;
    if (isAnswered && studio.openId === id) location.hash = "";
    complain(error);
  }
}

/** Keeps everything up to date; after every loss of connection it is read anew. */
export function watch(): void {
  api.listen({
    song: (song) => {
      hear(song.id);
      take(song);
    },
    deleted: drop,
    models: () => void loadModels(),
    connection: (isUp) => {
      const wasDown = !studio.isConnected;
      studio.isConnected = isUp;
      if (isUp && wasDown) {
        studio.trouble = null; // what failed meanwhile failed of this
        void loadModels();
        void loadSongs();
        if (studio.openId) void loadOpen(studio.openId);
      }
      changed();
    },
  });
}
