import * as api from "./api.ts";
import type { Mixer } from "./mixer.ts";

/** A file on its way to the server. */
export interface Upload {
  readonly file: File;
  readonly choice: api.Choice;
  readonly stop: AbortController;
  /** 0 … 1; null while it waits for its turn. */
  sent: number | null;
  /** The queue is as long as it may be: it is sent again later. */
  isHeldBack: boolean;
  error: string | null;
}

/** A file that a person has chosen, before anything is done with it. */
export interface Candidate {
  readonly file: File;
  /** As the browser reads it; null where it cannot. */
  duration_s: number | null;
}

/** All that the page shows. Whoever changes it calls `changed`. */
export const studio = {
  status: null as api.Status | null,
  models: [] as api.Model[],
  songs: [] as api.Song[],
  total: 0,
  search: "",
  candidates: [] as Candidate[],
  /** Files of a folder that are no music, by their names. */
  leftOut: 0,
  choice: { model: "", two_stems: null } as api.Choice,
  uploads: [] as Upload[],
  /** Null: the page for adding songs. */
  openId: null as string | null,
  open: null as api.Song | null,
  mixer: null as Mixer | null,
  isConnected: true,
  isLoaded: false,
  trouble: null as string | null,
};

let render: () => void = () => undefined;
let isPlanned = false;

export function onChange(draw: () => void): void {
  render = draw;
}

export function changed(): void {
  if (isPlanned) return;
  isPlanned = true;
  queueMicrotask(() => {
    isPlanned = false;
    render();
  });
}

/** Says something to those who do not see the page. */
export function announce(text: string): void {
  document.querySelector("#announcer")!.textContent = text;
}

/** Shows what went wrong at the top of the page, in the words of the error. */
export function complain(error: unknown): void {
  studio.trouble = error instanceof Error ? error.message : String(error);
  changed();
}
