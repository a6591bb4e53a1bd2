/** Ruler, loop and pointer: what lies over all lanes alike. */
import { html, nothing, type TemplateResult } from "lit-html";
import { clock, fineClock, spoken } from "../format.ts";
import type { Mixer } from "../mixer.ts";

/** A pointer that moves less than this, in pixels, clicks; else it drags. */
const DRAG_PX = 4;
const TICKS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800];
const MOST_TICKS = 9;

/** Where the pointer is, in seconds of the song. */
function secondsAt(event: PointerEvent, track: HTMLElement, mixer: Mixer): number {
  const { left, width } = track.getBoundingClientRect();
  return Math.min(1, Math.max(0, (event.clientX - left) / width)) * mixer.duration_s;
}

function follow(event: PointerEvent, moved: (event: PointerEvent) => void, ended: (event: PointerEvent) => void): void {
  const target = event.currentTarget as HTMLElement;
  target.setPointerCapture(event.pointerId);
  const end = (last: PointerEvent) => {
    target.removeEventListener("pointermove", moved);
    target.removeEventListener("pointerup", end);
    target.removeEventListener("pointercancel", end);
    ended(last);
  };
  target.addEventListener("pointermove", moved);
  target.addEventListener("pointerup", end);
  target.addEventListener("pointercancel", end);
}

/** A click goes to that place; a drag marks a region and loops it. */
export function pointAt(event: PointerEvent, mixer: Mixer): void {
  if (event.button !== 0) return;
  const track = event.currentTarget as HTMLElement;
  const start = secondsAt(event, track, mixer);
  let isDrag = false;
  follow(
    event,
    (move) => {
      isDrag ||= Math.abs(move.clientX - event.clientX) > DRAG_PX;
      if (isDrag) mixer.setRegion(start, secondsAt(move, track, mixer));
    },
    (last) => {
      if (!isDrag && last.type === "pointerup") mixer.seek(start);
    },
  );
}

function handle(mixer: Mixer, side: "start" | "end"): TemplateResult | typeof nothing {
  const { region, sampleRate, duration_s } = mixer;
  if (!region) return nothing;
  const here = region[side] / sampleRate;
  const other = region[side === "start" ? "end" : "start"] / sampleRate;
  const move = (to: number) => mixer.setRegion(Math.min(to, other), Math.max(to, other));
  const drag = (event: PointerEvent) => {
    event.stopPropagation();
    const track = (event.currentTarget as HTMLElement).parentElement!;
    follow(event, (moved) => move(secondsAt(moved, track, mixer)), () => undefined);
  };
  const key = (event: KeyboardEvent) => {
    const step = { ArrowLeft: -0.1, ArrowRight: 0.1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    move(here + step * (event.shiftKey ? 10 : 1));
  };
  return html`<span
    class="handle ${side}"
    role="slider"
    tabindex="0"
    aria-label="Loop ${side}"
    aria-valuemin="0"
    aria-valuemax=${duration_s}
    aria-valuenow=${here}
    aria-valuetext=${fineClock(here)}
    @pointerdown=${drag}
    @keydown=${key}
  ></span>`;
}

function ticks(mixer: Mixer): TemplateResult[] {
  const step = TICKS_S.find((s) => mixer.duration_s / s <= MOST_TICKS * mixer.zoom) ?? 3600;
  const places = Array.from({ length: Math.ceil(mixer.duration_s / step) }, (_, i) => i * step);
  return places.map(
    (s) => html`<i .style=${`left: ${(100 * s) / mixer.duration_s}%`}>${clock(s)}</i>`,
  );
}

export function ruler(mixer: Mixer): TemplateResult {
  return html`<div class="lane ruler">
    <div class="head"></div>
    <div class="track" @pointerdown=${(event: PointerEvent) => pointAt(event, mixer)}>
      <div
        class="seek"
        id="position"
        role="slider"
        tabindex="0"
        aria-label="Position"
        aria-valuemin="0"
        aria-valuemax=${Math.round(mixer.duration_s)}
        aria-valuenow=${Math.round(mixer.position_s)}
        aria-valuetext="${spoken(mixer.position_s)} of ${spoken(mixer.duration_s)}"
      ></div>
      ${ticks(mixer)} ${handle(mixer, "start")} ${handle(mixer, "end")}
    </div>
  </div>`;
}
