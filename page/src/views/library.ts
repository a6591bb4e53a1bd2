import { html, nothing, type TemplateResult } from "lit-html";
import { repeat } from "lit-html/directives/repeat.js";
import { dismiss } from "../adding.ts";
import { cancelSong, retrySong, type Song } from "../api.ts";
import { clock, count, roughly } from "../format.ts";
import { change, loadSongs, search } from "../library.ts";
import { studio, type Upload } from "../studio.ts";
import { askToDelete } from "./deleting.ts";
import * as icons from "./icons.ts";

/** One dot per stem, in the stems' colours. */
export function stemDots(stems: readonly string[]): TemplateResult {
  return html`<span class="dots" aria-hidden="true">${stems.map((stem) => html`<i data-stem=${stem}></i>`)}</span>`;
}

export function progressLine(song: Song): string {
  if (song.state === "queued") {
    const place = song.position ? `Waits, number ${song.position}` : "Waits";
    return song.eta_s === null ? place : `${place} · done in ${roughly(song.eta_s)}`;
  }
  const percent = `${Math.floor(song.progress * 100)} %`;
  if (song.eta_s !== null) return `${percent} · ${clock(Math.ceil(song.eta_s))} left`;
  return song.stage ? `${percent} · ${song.stage}` : percent;
}

function line(song: Song): TemplateResult {
  switch (song.state) {
    case "done":
      return html`${stemDots(song.stems)}<span>${clock(song.duration_s ?? 0)}</span>`;
    case "failed":
      return html`<span class="wrong">${song.error ?? "It failed; the reason is not known."}</span>`;
    case "cancelled":
      return html`<span>Cancelled</span>`;
    default:
      return html`<span>${progressLine(song)}</span>`;
  }
}

function actions(song: Song): TemplateResult {
  const button = (label: string, icon: unknown, act: () => void) =>
    html`<button class="quiet" aria-label="${label} ${song.title}" title=${label} @click=${act}>${icon}</button>`;
  if (song.state === "queued" || song.state === "running")
    return button("Cancel", icons.cross, () => void change(cancelSong(song.id)));
  return html`${
    song.state === "done" ? nothing : button("Try again:", icons.again, () => void change(retrySong(song.id)))
  }${button("Delete", icons.bin, () => askToDelete(song))}`;
}

function row(song: Song): TemplateResult {
  const isRunning = song.state === "running";
  return html`<li class="song" data-state=${song.state} data-id=${song.id}>
    <a href="#/song/${song.id}" aria-current=${song.id === studio.openId ? "page" : nothing}>
      <strong>${song.title}</strong>
      <small>${line(song)}</small>
      ${isRunning ? html`<progress max="1" .value=${song.progress} aria-label=${song.title}></progress>` : nothing}
    </a>
    <div class="actions">${actions(song)}</div>
  </li>`;
}

function uploadRow(upload: Upload): TemplateResult {
  const { file, sent, isHeldBack, error } = upload;
  const sending = sent === null ? "Next" : sent < 1 ? `Sending, ${Math.floor(sent * 100)} %` : "Being checked";
  const state = isHeldBack ? "The queue is full: sent as soon as there is room" : sending;
  return html`<li class="song" data-state=${error ? "failed" : "sending"}>
    <div class="text">
      <strong>${file.name}</strong>
      <small><span class=${error ? "wrong" : ""}>${error ?? state}</span></small>
      ${error || sent === null ? nothing : html`<progress max="1" .value=${sent} aria-label=${file.name}></progress>`}
    </div>
    <div class="actions">
      <button
        class="quiet"
        aria-label="${error ? "Take off the list" : "Stop sending"} ${file.name}"
        @click=${() => dismiss(upload)}
      >
        ${icons.cross}
      </button>
    </div>
  </li>`;
}

function summary(): TemplateResult | typeof nothing {
  const waiting = studio.songs.filter((song) => song.state === "queued" || song.state === "running");
  if (!waiting.length) return nothing;
  const known = waiting.every(({ eta_s, state }) => eta_s !== null || (state === "running" && waiting.length > 1));
  const left = known ? `, ${roughly(Math.max(...waiting.map((song) => song.eta_s ?? 0)))}` : "";
  return html`<p class="summary">${count(waiting.length, "song")} to go${left}</p>`;
}

function emptyLine(): string {
  if (!studio.isLoaded) return "";
  return studio.search ? `No song is called “${studio.search}”.` : "Songs that you separate stay here.";
}

export function library(): TemplateResult {
  const { songs, uploads, total } = studio;
  return html`<nav class="library" aria-label="Songs">
    <header>
      <a class="brand" href="#/" aria-label="stemwise studio, start">
        <img src="/icon.svg" alt="" width="26" height="26" /><span>stemwise</span>
      </a>
      <a class="button primary" href="#/" aria-current=${studio.openId ? nothing : "page"}>${icons.plus}Add songs</a>
    </header>
    <label class="search">
      ${icons.search}
      <input
        id="search"
        type="search"
        placeholder="Search"
        aria-label="Search songs"
        .value=${studio.search}
        @input=${(event: InputEvent) => search((event.target as HTMLInputElement).value)}
      />
    </label>
    ${summary()}
    <ul>
      ${repeat(uploads, (upload) => upload, uploadRow)}${repeat(songs, (song) => song.id, row)}
    </ul>
    ${songs.length || uploads.length ? nothing : html`<p class="empty">${emptyLine()}</p>`}
    ${
      songs.length < total
        ? html`<button class="button" @click=${() => void loadSongs({ more: true })}>
            Show more (${total - songs.length})
          </button>`
        : nothing
    }
  </nav>`;
}
