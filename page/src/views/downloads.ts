import { html, nothing, type TemplateResult } from "lit-html";
import { type Codec, request, stemDownloadUrl, zipUrl } from "../api.ts";
import { isHeard } from "../audio/mix.ts";
import { fineClock } from "../format.ts";
import type { Mixer } from "../mixer.ts";
import { announce, changed, studio } from "../studio.ts";
import * as icons from "./icons.ts";
import { open, sheet } from "./sheet.ts";

const CODECS: readonly Codec[] = ["wav", "flac", "mp3"];

/** What a person wants, and how it went. */
const wish = { codec: "wav" as Codec, onlyRegion: false, isMixing: false, said: "" };

export function openDownloads(): void {
  wish.said = "";
  wish.onlyRegion = !!studio.mixer?.isLooping;
  changed();
  queueMicrotask(() => open("downloads"));
}

function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

async function downloadMix(mixer: Mixer): Promise<void> {
  wish.isMixing = true;
  wish.said = "Mixing …";
  changed();
  try {
    const answer = await request(mixer.mixUrl(wish.codec, wish.onlyRegion));
    save(await answer.blob(), `${mixer.song.title} (mix).${wish.codec}`);
    const lowered = Number(answer.headers.get("X-Gain-dB") ?? 0);
    wish.said = lowered < 0 ? `Saved, ${Math.abs(lowered).toFixed(1)} dB quieter so that it does not clip.` : "Saved.";
  } catch (error) {
    wish.said = (error as Error).message;
  }
  wish.isMixing = false;
  announce(wish.said);
  changed();
}

function mixLine(mixer: Mixer): string {
  const heard = mixer.song.stems.filter((stem) => isHeard(mixer.mix, stem));
  if (!heard.length) return "Nothing is heard: every stem is off.";
  const which = heard.length === mixer.song.stems.length ? "All stems" : heard.join(", ");
  return `${which}, at their present levels. Speed and key stay those of the song.`;
}

function regionChoice(mixer: Mixer): TemplateResult | typeof nothing {
  const { region, sampleRate } = mixer;
  if (!region) return nothing;
  const part = (onlyRegion: boolean, text: string) =>
    html`<label class="pill"
      ><input
        type="radio"
        name="part"
        .checked=${wish.onlyRegion === onlyRegion}
        @change=${() => {
          wish.onlyRegion = onlyRegion;
          changed();
        }}
      />${text}</label
    >`;
  const span = `${fineClock(region.start / sampleRate)} – ${fineClock(region.end / sampleRate)}`;
  return html`<fieldset class="pills">
    <legend class="unseen">Part</legend>
    ${part(false, "Whole song")}${part(true, `Loop, ${span}`)}
  </fieldset>`;
}

function codecChoice(): TemplateResult {
  const choice = (codec: Codec) =>
    html`<label class="pill"
      ><input
        type="radio"
        name="codec"
        .checked=${wish.codec === codec}
        @change=${() => {
          wish.codec = codec;
          changed();
        }}
      />${codec}</label
    >`;
  return html`<fieldset class="pills"><legend>Format</legend>${CODECS.map(choice)}</fieldset>`;
}

export function downloadSheet(mixer: Mixer): TemplateResult {
  const { song } = mixer;
  const nothingHeard = !song.stems.some((stem) => isHeard(mixer.mix, stem));
  const link = (href: string, text: string, stem = "") =>
    html`<a class="button" href=${href} download data-stem=${stem}>${icons.download}${text}</a>`;
  return sheet(
    "downloads",
    "Download",
    html`${codecChoice()}
      <section>
        <h3>The mix as it sounds</h3>
        <p>${mixLine(mixer)}</p>
        ${regionChoice(mixer)}
        <button
          class="button primary"
          ?disabled=${wish.isMixing || nothingHeard}
          @click=${() => void downloadMix(mixer)}
        >
          ${icons.download}Mix
        </button>
        <p class="said">${wish.said}</p>
      </section>
      <section>
        <h3>The stems as they are</h3>
        <div class="row">
          ${song.stems.map((stem) => link(stemDownloadUrl(song.id, stem, wish.codec), stem, stem))}
          ${link(zipUrl(song.id, wish.codec), "all in a zip")}
        </div>
      </section>`,
  );
}
