import { html, nothing, type TemplateResult } from "lit-html";
import { live } from "lit-html/directives/live.js";
import { isKaraoke, LOUDEST_DB, SILENT_DB } from "../audio/mix.ts";
import { Tuning } from "../audio/tuning.ts";
import { decibels, fineClock, seconds, semitones } from "../format.ts";
import { FARTHEST_KEY, FASTEST, type Mixer, SLOWEST, SPEED_STEP } from "../mixer.ts";
import * as icons from "./icons.ts";

function playing(mixer: Mixer): TemplateResult {
  const { state } = mixer.player;
  return html`<div class="playing">
    <button
      class="quiet"
      aria-label="To the start"
      title="To the start"
      @click=${() => mixer.seek(mixer.startOfPlay_s)}
    >
      ${icons.toStart}
    </button>
    <button class="play" data-state=${state} aria-label=${mixer.isPlaying ? "Pause" : "Play"} @click=${() => mixer.toggle()}>
      ${mixer.isPlaying ? icons.pause : icons.play}
    </button>
    <p class="time"><b id="clock" .textContent=${live(fineClock(mixer.position_s))}></b><small>${fineClock(mixer.duration_s)}</small></p>
  </div>`;
}

/**
 * Fields for the loop's ends; one that is set beyond the other takes it along. They are not `live`: the page is drawn anew
 * for many reasons, and what is being typed must stay.
 */
function loopTimes(mixer: Mixer): TemplateResult | typeof nothing {
  const { region, sampleRate } = mixer;
  if (!region) return nothing;
  const [start, end] = [region.start / sampleRate, region.end / sampleRate];
  const field = (label: string, value: number, set: (s: number) => void) => {
    const change = (event: Event) => {
      const input = event.target as HTMLInputElement;
      const typed = seconds(input.value);
      input.value = fineClock(value); // as it was drawn, should it stay the same
      if (!Number.isNaN(typed)) set(typed);
    };
    return html`<input
      class="timefield"
      aria-label=${label}
      inputmode="decimal"
      .value=${fineClock(value)}
      @change=${change}
    />`;
  };
  return html`<span class="loop-times">
    ${field("Loop from", start, (s) => mixer.setRegion(s, s < end ? end : s + end - start))}–${field("Loop to", end, (s) =>
      mixer.setRegion(s > start ? start : s + start - end, s),
    )}
  </span>`;
}

function toggles(mixer: Mixer): TemplateResult {
  return html`<div class="toggles">
    <button class="toggle" aria-pressed=${mixer.isLooping} title="Loop (L)" @click=${() => mixer.toggleLoop()}>
      ${icons.loop}<span>Loop</span>
    </button>
    ${loopTimes(mixer)}
    ${
      mixer.hasVoice
        ? html`<button
            class="toggle"
            aria-pressed=${isKaraoke(mixer.mix)}
            title="Vocals off (K)"
            @click=${() => mixer.toggleKaraoke()}
          >
            ${icons.microphone}<span>Karaoke</span>
          </button>`
        : nothing
    }
  </div>`;
}

interface Stepping {
  readonly label: string;
  readonly value: string;
  readonly isNeutral: boolean;
  readonly down: (() => void) | null;
  readonly up: (() => void) | null;
  readonly reset: () => void;
}

function stepper({ label, value, isNeutral, down, up, reset }: Stepping): TemplateResult {
  const words = Tuning.isPossible
    ? label
    : `${label}: browsers change it only on pages of this computer (127.0.0.1) or over https`;
  const step = (name: string, icon: unknown, act: (() => void) | null) =>
    html`<button
      class="quiet"
      aria-label="${label} ${name}"
      ?disabled=${!act || !Tuning.isPossible}
      @click=${() => act?.()}
    >
      ${icon}
    </button>`;
  return html`<div class="stepper ${isNeutral ? "" : "changed"}" role="group" aria-label=${words} title=${words}>
    <span>${label}</span>
    ${step("down", icons.minus, down)}
    <button class="value" aria-label="${label} ${value}, reset" ?disabled=${isNeutral} @click=${reset}>${value}</button>
    ${step("up", icons.plus, up)}
  </div>`;
}

function tuning(mixer: Mixer): TemplateResult {
  const { speed, key } = mixer;
  return html`<div class="tuning">
    ${stepper({
      label: "Speed",
      value: `${Math.round(speed * 100)} %`,
      isNeutral: speed === 1,
      down: speed > SLOWEST ? () => mixer.setTuning(speed - SPEED_STEP, key) : null,
      up: speed < FASTEST ? () => mixer.setTuning(speed + SPEED_STEP, key) : null,
      reset: () => mixer.setTuning(1, key),
    })}
    ${stepper({
      label: "Key",
      value: semitones(key),
      isNeutral: key === 0,
      down: key > -FARTHEST_KEY ? () => mixer.setTuning(speed, key - 1) : null,
      up: key < FARTHEST_KEY ? () => mixer.setTuning(speed, key + 1) : null,
      reset: () => mixer.setTuning(speed, 0),
    })}
  </div>`;
}

function master(mixer: Mixer): TemplateResult {
  return html`<div class="master">
    <div class="meters" id="master" aria-hidden="true"><i></i><i></i></div>
    <label class="fader" title="Loudness here; downloads do not change">
      ${icons.speaker}
      <input
        type="range"
        min=${SILENT_DB}
        max=${LOUDEST_DB}
        step="0.5"
        aria-label="Volume of all"
        aria-valuetext="${decibels(mixer.volume_db, SILENT_DB)} dB"
        .value=${live(String(mixer.volume_db))}
        @input=${(event: InputEvent) => mixer.setVolume(Number((event.target as HTMLInputElement).value))}
        @dblclick=${() => mixer.setVolume(0)}
      /><output>${decibels(mixer.volume_db, SILENT_DB)}</output>
    </label>
  </div>`;
}

export function transport(mixer: Mixer): TemplateResult {
  return html`<div class="transport" role="group" aria-label="Playing">
    ${playing(mixer)} ${toggles(mixer)} ${tuning(mixer)} ${master(mixer)}
  </div>`;
}
