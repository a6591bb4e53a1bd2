import { html, nothing, type TemplateResult } from "lit-html";
import { cancelSong, retrySong, type Song } from "../api.ts";
import { change } from "../library.ts";
import { changed, studio } from "../studio.ts";
import { adding } from "./adding.ts";
import { deleteSheet } from "./deleting.ts";
import { downloadSheet } from "./downloads.ts";
import { helpSheet } from "./help.ts";
import * as icons from "./icons.ts";
import { library, progressLine, stemDots } from "./library.ts";
import { mixerView } from "./mixer.ts";

function waiting(song: Song): TemplateResult {
  const isOn = song.state === "queued" || song.state === "running";
  return html`<div class="waiting">
    <a class="quiet back" href="#/" aria-label="Back to the songs">${icons.back}</a>
    ${stemDots(song.stems)}
    <h1>${song.title}</h1>
    ${
      isOn
        ? html`<progress max="1" .value=${song.progress} aria-label="Separating ${song.title}"></progress>
            <p class="big">${progressLine(song)}</p>
            <p>${song.model}. The mixer opens as soon as the stems are there.</p>
            <button class="button" @click=${() => void change(cancelSong(song.id))}>Cancel</button>`
        : html`<p class=${song.state === "failed" ? "wrong big" : "big"}>
              ${song.state === "failed" ? (song.error ?? "It failed; the reason is not known.") : "Cancelled"}
            </p>
            <button class="button" @click=${() => void change(retrySong(song.id))}>Try again</button>`
    }
  </div>`;
}

function content(): TemplateResult | typeof nothing {
  if (!studio.openId) return adding();
  if (studio.mixer) return mixerView(studio.mixer);
  if (!studio.open) return nothing;
  return studio.open.state === "done" ? html`<p class="waiting">Opening …</p>` : waiting(studio.open);
}

function trouble(): TemplateResult | typeof nothing {
  if (!studio.isConnected)
    return html`<p class="trouble" role="alert">
      The studio does not answer. Songs go on as soon as “stemwise serve” runs again; this page waits for it.
    </p>`;
  if (!studio.trouble) return nothing;
  const close = () => {
    studio.trouble = null;
    changed();
  };
  return html`<p class="trouble" role="alert">
    <span>${studio.trouble}</span>
    <button class="quiet" aria-label="Close the message" @click=${close}>${icons.cross}</button>
  </p>`;
}

export function studioView(): TemplateResult {
  return html`<div class="shell" data-view=${studio.openId ? "song" : "home"}>
      ${library()}
      <main>${trouble()}${content()}</main>
    </div>
    <div class="dropping" aria-hidden="true"><p>Drop to add</p></div>
    ${helpSheet()}${deleteSheet()}${studio.mixer ? downloadSheet(studio.mixer) : nothing}`;
}
