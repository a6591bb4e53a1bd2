import { html, type TemplateResult } from "lit-html";
import type { Song } from "../api.ts";
import { remove } from "../library.ts";
import { changed } from "../studio.ts";
import { open, sheet } from "./sheet.ts";

let doomed: Song | null = null;

export function askToDelete(song: Song): void {
  doomed = song;
  changed();
  queueMicrotask(() => open("delete"));
}

export function deleteSheet(): TemplateResult {
  const song = doomed;
  return sheet(
    "delete",
    `Delete “${song?.title ?? ""}”?`,
    html`<p>The song and its stems are removed from this computer.</p>
      <form class="row end" method="dialog">
        <button class="button" autofocus>Keep it</button>
        <button class="button danger" @click=${() => song && void remove(song)}>Delete</button>
      </form>`,
  );
}
