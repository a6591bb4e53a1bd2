/** The studio's interface, as the page uses it. The server documents it at /api/openapi.json. */

export interface Song {
  readonly id: string;
  readonly title: string;
  readonly model: string;
  readonly model_licence: string | null;
  readonly stems: readonly string[];
  readonly state: "queued" | "running" | "done" | "failed" | "cancelled";
  /** 0 … 1. */
  readonly progress: number;
  readonly stage: string | null;
  readonly eta_s: number | null;
  readonly position: number | null;
  readonly error: string | null;
  readonly duration_s: number | null;
  readonly sample_rate: number | null;
  readonly n_channels: number | null;
  readonly n_samples: number | null;
  /** Unix seconds. */
  readonly created: number;
  readonly wall_s: number | null;
  /** What one should know of how it was treated, each a sentence without its full stop. */
  readonly notes: readonly string[];
}

export interface Model {
  readonly name: string;
  readonly stems: readonly string[];
  readonly licence: string;
  readonly bytes: number;
  readonly installed: boolean;
  /** Times real time on this machine; null if it is not known yet. */
  readonly speed: number | null;
  /** Seconds that a song takes beside, however short it is. */
  readonly per_song_s: number | null;
  readonly description: string;
  readonly two_stems: readonly string[];
}

export interface Status {
  readonly version: string;
  readonly limits: { readonly bytes: number; readonly duration_s: number; readonly queue: number };
  readonly folders: readonly string[];
}

export interface Choice {
  readonly model: string;
  /** One stem and what is left without it; null for all of the model's stems. */
  readonly two_stems: string | null;
}

export type Codec = "wav" | "flac" | "mp3";

/** What the server said is wrong, or that it said nothing. */
export class RequestError extends Error {
  constructor(
    message: string,
    /** The HTTP status; 0 where there was no answer. */
    readonly status = 0,
  ) {
    super(message);
  }
}

const UNREACHABLE = "The studio does not answer. Is “stemwise serve” still running?";
/** Asked for of every request that changes something: another site's page cannot send it. */
const OURS = { "X-Stemwise": "1" };

function refusal(status: number, body: string): RequestError {
  try {
    const { detail } = JSON.parse(body) as { detail?: unknown };
    if (typeof detail === "string") return new RequestError(detail, status);
  } catch {
    // no JSON: a proxy's page, say
  }
  return new RequestError(`The studio answered with an error (${status}).`, status);
}

export async function request(path: string, options: RequestInit = {}): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(path, { ...options, headers: { ...OURS, ...options.headers } });
  } catch {
    throw new RequestError(UNREACHABLE);
  }
  if (!answer.ok) throw refusal(answer.status, await answer.text());
  return answer;
}

async function json<T>(path: string, options?: RequestInit): Promise<T> {
  const answer = await request(path, options);
  try {
    return (await answer.json()) as T;
  } catch {
    throw new RequestError(UNREACHABLE); // it broke off
  }
}

const PAGE_SIZE = 50;

export const getStatus = () => json<Status>("/api/status");
export const getModels = () => json<Model[]>("/api/models");
export const getSong = (id: string) => json<Song>(`/api/songs/${id}`);
export const cancelSong = (id: string) => json<Song>(`/api/songs/${id}/cancel`, { method: "POST" });
export const retrySong = (id: string) => json<Song>(`/api/songs/${id}/retry`, { method: "POST" });
export const deleteSong = (id: string) => request(`/api/songs/${id}`, { method: "DELETE" });

export function getSongs(search: string, offset: number): Promise<{ songs: Song[]; total: number }> {
  const query = new URLSearchParams({ search, offset: String(offset), limit: String(PAGE_SIZE) });
  return json(`/api/songs?${query}`);
}

export function addFromPath(path: string, choice: Choice): Promise<Song> {
  return json("/api/songs/from-path", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ path, ...choice }),
  });
}

/** Sends a file; `onProgress` hears the share that is sent, 0 … 1 (fetch cannot tell). */
export function upload(
  file: File,
  choice: Choice,
  onProgress: (share: number) => void,
  signal: AbortSignal,
): Promise<Song> {
  const form = new FormData();
  form.set("model", choice.model);
  if (choice.two_stems) form.set("two_stems", choice.two_stems);
  form.set("file", file);
  return new Promise((resolve, reject) => {
    const sender = new XMLHttpRequest();
    sender.open("POST", "/api/songs");
    for (const [name, value] of Object.entries(OURS)) sender.setRequestHeader(name, value);
    sender.upload.onprogress = (event) => onProgress(event.loaded / event.total);
    sender.onerror = () => reject(new RequestError(UNREACHABLE));
    sender.onabort = () => reject(new RequestError("Stopped."));
    sender.onload = () => {
      if (sender.status === 201) resolve(JSON.parse(sender.responseText) as Song);
      else reject(refusal(sender.status, sender.responseText));
    };
    signal.addEventListener("abort", () => sender.abort());
    sender.send(form);
  });
}

export const stemUrl = (id: string, stem: string) => `/api/songs/${id}/stems/${stem}`;
export const spectrogramUrl = (id: string, stem: string) => `${stemUrl(id, stem)}/spectrogram.png`;
export const stemDownloadUrl = (id: string, stem: string, codec: Codec) =>
  `${stemUrl(id, stem)}?codec=${codec}&download=1`;
export const zipUrl = (id: string, codec: Codec) => `/api/songs/${id}/zip?codec=${codec}`;
export const mixUrl = (id: string, query: URLSearchParams, codec: Codec) =>
  `/api/songs/${id}/mix?${query}&codec=${codec}`;

/** The lowest and the highest sample of each of up to `points` stretches of a stem, in [-1, 1]. */
export async function getPeaks(
  id: string,
  stem: string,
  points: number,
): Promise<{ lowest: Float32Array; highest: Float32Array }> {
  const answer = await request(`${stemUrl(id, stem)}/peaks?points=${points}`);
  const pairs = new Int8Array(await answer.arrayBuffer());
  const side = (first: number) =>
    Float32Array.from({ length: pairs.length / 2 }, (_, i) => pairs[2 * i + first]! / 127);
  return { lowest: side(0), highest: side(1) };
}

/**
 * Songs as they change, and the ids of those that are deleted; tells too when more is known of the models, and when
 * the connection comes and goes.
 */
export function listen(on: {
  song: (song: Song) => void;
  deleted: (id: string) => void;
  models: () => void;
  connection: (isUp: boolean) => void;
}): void {
  const source = new EventSource("/api/events");
  source.addEventListener("song", (event) => on.song(JSON.parse(event.data) as Song));
  source.addEventListener("deleted", (event) => on.deleted((JSON.parse(event.data) as { id: string }).id));
  source.addEventListener("models", on.models);
  source.onopen = () => on.connection(true);
  source.onerror = () => {
    on.connection(false);
    // A browser gives up for good where something answers in the studio's place (a proxy's error page).
    if (source.readyState === EventSource.CLOSED) window.setTimeout(() => listen(on), RECONNECT_MS);
  };
}

const RECONNECT_MS = 2000;
