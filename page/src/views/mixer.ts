import { html, nothing, type TemplateResult } from "lit-html";
import { live } from "lit-html/directives/live.js";
import { spectrogramUrl } from "../api.ts";
import { isHeard, LOUDEST_DB, SILENT_DB } from "../audio/mix.ts";
import { clock, decibels, panned } from "../format.ts";
import { type Mixer, ZOOMS } from "../mixer.ts";
import { changed } from "../studio.ts";
import { openDownloads } from "./downloads.ts";
import { openHelp } from "./help.ts";
import * as icons from "./icons.ts";
import "./stem-wave.ts";
import { pointAt, ruler } from "./timeline.ts";
import { transport } from "./transport.ts";

function switches(mixer: Mixer, stem: string): TemplateResult {
  const { muted, soloed } = mixer.mix[stem]!;
  return html`<div class="switches">
    <button
      class="switch solo"
      aria-label="Solo ${stem}"
      title="Solo"
      aria-pressed=${soloed}
      @click=${() => mixer.setFader(stem, { soloed: !soloed })}
    >
      S
    </button>
    <button
      class="switch mute"
      aria-label="Mute ${stem}"
      title="Mute"
      aria-pressed=${muted}
      @click=${() => mixer.setFader(stem, { muted: !muted })}
    >
      M
    </button>
  </div>`;
}

function faders(mixer: Mixer, stem: string): TemplateResult {
  const { volume_db, pan } = mixer.mix[stem]!;
  const value = (event: InputEvent) => Number((event.target as HTMLInputElement).value);
  return html`<label class="fader" title="Volume; double-click: 0 dB">
      <span>Vol</span
      ><input
        type="range"
        min=${SILENT_DB}
        max=${LOUDEST_DB}
        step="0.5"
        aria-label="Volume of ${stem}"
        aria-valuetext="${decibels(volume_db, SILENT_DB)} dB"
        .value=${live(String(volume_db))}
        @input=${(event: InputEvent) => mixer.setFader(stem, { volume_db: value(event) })}
        @dblclick=${() => mixer.setFader(stem, { volume_db: 0 })}
      /><output>${decibels(volume_db, SILENT_DB)}</output>
    </label>
    <label class="fader pan" title="Pan; double-click: centre">
      <span>Pan</span
      ><input
        type="range"
        min="-1"
        max="1"
        step="0.05"
        aria-label="Pan of ${stem}"
        aria-valuetext=${panned(pan)}
        .value=${live(String(pan))}
        @input=${(event: InputEvent) => mixer.setFader(stem, { pan: value(event) })}
        @dblclick=${() => mixer.setFader(stem, { pan: 0 })}
      /><output>${pan === 0 ? "C" : `${Math.round(Math.abs(pan) * 100)}${pan < 0 ? "L" : "R"}`}</output>
    </label>`;
}

function lane(mixer: Mixer, stem: string): TemplateResult {
  const { song, duration_s, highest } = mixer;
  const hasPicture = mixer.spectrograms.has(stem);
  return html`<div
    class="lane ${isHeard(mixer.mix, stem) ? "" : "unheard"}"
    data-stem=${stem}
    role="group"
    aria-label=${stem}
  >
    <div class="head">
      <h2>${stem}</h2>
      ${switches(mixer, stem)}
      <button
        class="quiet picture"
        aria-label="Spectrogram of ${stem}"
        title="Spectrogram"
        aria-pressed=${hasPicture}
        @click=${() => mixer.toggleSpectrogram(stem)}
      >
        ${icons.spectrum}
      </button>
      ${faders(mixer, stem)}
      <div class="meter" data-tap=${stem} aria-hidden="true"></div>
    </div>
    <div class="track" @pointerdown=${(event: PointerEvent) => pointAt(event, mixer)}>
      <stem-wave .source=${{ peaks: mixer.peaks.get(stem), highest, duration_s }}></stem-wave>
      ${
        hasPicture
          ? html`<img src=${spectrogramUrl(song.id, stem)} alt="Spectrogram of ${stem}" draggable="false" />`
          : nothing
      }
    </div>
  </div>`;
}

function zoomButtons(mixer: Mixer): TemplateResult {
  const to = (zoom: number | undefined) => () => {
    mixer.zoom = zoom ?? mixer.zoom;
    changed();
  };
  const place = ZOOMS.indexOf(mixer.zoom as (typeof ZOOMS)[number]);
  const [out, inward] = [ZOOMS[place - 1], ZOOMS[place + 1]];
  return html`<button class="quiet" aria-label="Zoom out" title="Zoom out" ?disabled=${!out} @click=${to(out)}>
      ${icons.zoomOut}
    </button>
    <button class="quiet" aria-label="Zoom in" title="Zoom in" ?disabled=${!inward} @click=${to(inward)}>
      ${icons.zoomIn}
    </button>`;
}

function facts(mixer: Mixer): string {
  const { song } = mixer;
  const parts = [clock(mixer.duration_s), `${mixer.sampleRate / 1000} kHz`, song.model];
  if (song.model_licence) parts.push(`weights: ${song.model_licence}`);
  if (song.wall_s) parts.push(`separated in ${clock(Math.ceil(song.wall_s))}`);
  return parts.join(" · ");
}

export function mixerView(mixer: Mixer): TemplateResult {
  return html`<div class="mixer" data-zoom=${mixer.zoom}>
    <header class="title">
      <a class="quiet back" href="#/" aria-label="Back to the songs">${icons.back}</a>
      <div>
        <h1>${mixer.song.title}</h1>
        <p>${facts(mixer)}</p>
        ${mixer.song.notes.map((note) => html`<p class="notes">${note}.</p>`)}
      </div>
      <div class="tools">
        ${zoomButtons(mixer)}
        <button class="quiet" aria-label="Keys" title="Keys (?)" @click=${openHelp}>${icons.keyboard}</button>
        <button class="button" @click=${openDownloads}>${icons.download}Download</button>
      </div>
    </header>
    ${mixer.trouble ? html`<p class="trouble" role="alert">${mixer.trouble}</p>` : nothing}
    <div class="lanes ${mixer.region ? "marked" : ""} ${mixer.isLooping ? "looping" : ""}">
      <div class="roll">${ruler(mixer)} ${mixer.song.stems.map((stem) => lane(mixer, stem))}</div>
    </div>
    ${transport(mixer)}
  </div>`;
}
