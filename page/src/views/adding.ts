import { html, nothing, type TemplateResult } from "lit-html";
import { expected, forget, propose, separate, separatePath, setChoice } from "../adding.ts";
import type { Model } from "../api.ts";
import { clock, count, roughly, size, spoken } from "../format.ts";
import { type Candidate, studio } from "../studio.ts";
import * as icons from "./icons.ts";

function chooser(label: string, isFolder: boolean, isMain = false): TemplateResult {
  const choose = (event: Event) => {
    const input = event.target as HTMLInputElement;
    propose([...(input.files ?? [])], isFolder);
    input.value = ""; // the same file can be chosen again
  };
  return html`<label class="button ${isMain ? "primary" : ""}">
    ${label}<input class="unseen" type="file" multiple ?webkitdirectory=${isFolder} @change=${choose} />
  </label>`;
}

function dropZone(): TemplateResult {
  const limits = studio.status?.limits;
  return html`<section class="drop" aria-label="Choose songs">
    <div class="strings" aria-hidden="true">
      <i data-stem="vocals"></i><i data-stem="drums"></i><i data-stem="bass"></i><i data-stem="other"></i>
    </div>
    <h1>Drop songs here</h1>
    <p>Any format, single files or a whole folder. They stay on this computer.</p>
    <div class="row">${chooser("Choose songs", false, true)}${chooser("Choose a folder", true)}</div>
    ${
      limits
        ? html`<small>Up to ${size(limits.bytes)} and ${spoken(limits.duration_s)} a song</small>`
        : nothing
    }
  </section>`;
}

function candidateRow(candidate: Candidate): TemplateResult {
  const { file, duration_s } = candidate;
  return html`<li>
    <span class="name">${file.name}</span>
    <small>${duration_s === null ? "" : `${clock(duration_s)} · `}${size(file.size)}</small>
    <button class="quiet" aria-label="Leave out ${file.name}" @click=${() => forget(candidate)}>${icons.cross}</button>
  </li>`;
}

function stemNames(stems: readonly string[]): TemplateResult {
  return html`<span class="stems">${stems.map((stem) => html`<span data-stem=${stem}>${stem}</span>`)}</span>`;
}

/** Seconds, of those songs of which they are known. */
function lengths(): number[] {
  return studio.candidates.map(({ duration_s }) => duration_s).filter((duration_s) => duration_s !== null);
}

function timeLine(model: Model): string {
  const known = lengths();
  const total = known.length ? expected(model, known) : null;
  if (total !== null) return `Takes ${roughly(total)}`;
  const usual = expected(model, [240]);
  if (usual !== null) return `A 4-minute song in ${roughly(usual)}`;
  return model.installed ? "Time: not measured yet" : "Time: known once it is downloaded";
}

function modelCard(model: Model): TemplateResult {
  const isChosen = studio.choice.model === model.name;
  const place = model.installed ? `${size(model.bytes)}, installed` : `${size(model.bytes)} to download first`;
  return html`<label class="model">
    <input
      type="radio"
      name="model"
      .value=${model.name}
      .checked=${isChosen}
      @change=${() => setChoice({ model: model.name, two_stems: null })}
    />
    <span class="title">${model.name}</span>
    ${stemNames(model.stems)}
    <span class="about">${model.description}</span>
    <small><b>${timeLine(model)}</b> · ${place} · ${model.licence}</small>
  </label>`;
}

/** Those that are here; what must be downloaded first is one click further, lest one has to scroll past it. */
function modelChoice(): TemplateResult {
  const [here, elsewhere] = [true, false].map((wanted) => studio.models.filter((model) => model.installed === wanted));
  return html`<fieldset>
    <legend>Model</legend>
    <div class="models">${here!.map(modelCard)}</div>
    ${
      elsewhere!.length
        ? html`<details ?open=${elsewhere!.some(({ name }) => name === studio.choice.model)}>
            <summary>${count(elsewhere!.length, "more model")}, to be downloaded first</summary>
            <div class="models">${elsewhere!.map(modelCard)}</div>
          </details>`
        : nothing
    }
  </fieldset>`;
}

function stemChoice(model: Model): TemplateResult | typeof nothing {
  if (!model.two_stems.length) return nothing;
  const option = (two_stems: string | null, text: string) =>
    html`<label class="pill">
      <input
        type="radio"
        name="stems"
        .checked=${studio.choice.two_stems === two_stems}
        @change=${() => setChoice({ model: model.name, two_stems })}
      />${text}
    </label>`;
  return html`<fieldset class="pills">
    <legend>Stems</legend>
    ${option(null, `All ${model.stems.length}`)}
    ${model.two_stems.map((stem) => option(stem, `${stem} and the rest`))}
  </fieldset>`;
}

function candidates(): TemplateResult {
  const { candidates: chosen, leftOut } = studio;
  return html`<section class="candidates" aria-label="Songs to separate">
    <h1>${count(chosen.length, "song")} to separate</h1>
    <ul>${chosen.map(candidateRow)}</ul>
    ${leftOut ? html`<p>${count(leftOut, "file")} of the folder did not look like music.</p>` : nothing}
    <div class="row">${chooser("Add more", false)}${chooser("Add a folder", true)}</div>
  </section>`;
}

function startBar(model: Model): TemplateResult {
  const unknown = studio.candidates.length - lengths().length;
  const beside = unknown && unknown < studio.candidates.length ? `, not counting ${count(unknown, "song")} of unknown length` : "";
  return html`<div class="begin">
    <button class="button primary large" ?disabled=${!studio.isConnected} @click=${() => void separate()}>
      Separate ${count(studio.candidates.length, "song")}
    </button>
    <p>${timeLine(model)}${beside}.</p>
  </div>`;
}

function fromPath(): TemplateResult | typeof nothing {
  const folders = studio.status?.folders ?? [];
  if (!folders.length) return nothing;
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.target as HTMLFormElement;
    void separatePath(String(new FormData(form).get("path")));
    form.reset();
  };
  return html`<form class="path" @submit=${submit}>
    <label for="path">Or a file that the studio can reach itself, below ${folders.join(" or ")}</label>
    <div class="row">
      <input id="path" name="path" required placeholder="${folders[0]}/song.flac" />
      <button class="button">Separate it</button>
    </div>
  </form>`;
}

export function adding(): TemplateResult {
  const model = studio.models.find(({ name }) => name === studio.choice.model);
  return html`<div class="adding">
    ${studio.candidates.length ? candidates() : dropZone()}
    ${
      model
        ? html`<section aria-label="How to separate">
            ${modelChoice()} ${stemChoice(model)}
          </section>`
        : nothing
    }
    ${model && studio.candidates.length ? startBar(model) : nothing} ${fromPath()}
  </div>`;
}
