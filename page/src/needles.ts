/** What moves with the sound, drawn for each frame of the screen without rendering the page anew. */
import { peakOf } from "./audio/lane.ts";
import { fineClock } from "./format.ts";
import type { Mixer } from "./mixer.ts";
import { studio } from "./studio.ts";

const FLOOR_DB = -60;
const FALL_DB = 1.2; // each frame of the screen
const scratch = new Float32Array(2048);
const levels = new WeakMap<Element, number>();

/** A meter rises at once and falls slowly. Full, 1, is 0 dB. */
function show(element: HTMLElement, tap: AnalyserNode | undefined): void {
  const peak = tap ? peakOf(tap, scratch) : 0;
  const db = Math.max(20 * Math.log10(peak + 1e-9), (levels.get(element) ?? FLOOR_DB) - FALL_DB, FLOOR_DB);
  if (db === levels.get(element)) return;
  levels.set(element, db);
  element.style.setProperty("--level", String(Math.min(1, 1 - db / FLOOR_DB)));
  element.classList.toggle("clips", db > 0);
}

function setPlaces(mixer: Mixer, lanes: HTMLElement): void {
  const share = (frame: number) => String(frame / mixer.player.length);
  lanes.style.setProperty("--played", share(mixer.player.position));
  if (!mixer.region) return;
  lanes.style.setProperty("--from", share(mixer.region.start));
  lanes.style.setProperty("--to", share(mixer.region.end));
}

let shownZoom = 1;

/** Turns the page of a zoomed song when the playhead leaves it, and zooms around the playhead. */
function keepInView(mixer: Mixer, lanes: HTMLElement): void {
  const isZoomed = mixer.zoom !== shownZoom;
  shownZoom = mixer.zoom;
  const isFollowed = mixer.player.state === "playing" && mixer.zoom > 1 && !lanes.matches(":active");
  if (!isZoomed && !isFollowed) return;
  const visible = lanes.clientWidth - lanes.querySelector<HTMLElement>(".head")!.offsetWidth;
  const track = lanes.querySelector<HTMLElement>(".track")!;
  const place = (mixer.player.position / mixer.player.length) * track.offsetWidth - lanes.scrollLeft;
  if (isZoomed) lanes.scrollLeft += place - 0.5 * visible;
  else if (place < 0 || place > visible) lanes.scrollLeft += place - 0.05 * visible;
}

let shownTime = "";
let shownSecond = -1;

function draw(mixer: Mixer): void {
  const lanes = document.querySelector<HTMLElement>(".lanes");
  if (!lanes) return;
  setPlaces(mixer, lanes);
  keepInView(mixer, lanes);
  for (const meter of lanes.querySelectorAll<HTMLElement>("[data-tap]")) show(meter, mixer.player.tap(meter.dataset.tap!));
  document.querySelectorAll<HTMLElement>("#master i").forEach((bar, i) => show(bar, mixer.player.masterTaps[i]));
  const time = fineClock(mixer.position_s);
  if (time === shownTime) return;
  shownTime = time;
  document.querySelector("#clock")!.textContent = time;
  const second = Math.floor(mixer.position_s);
  if (second === shownSecond) return;
  shownSecond = second;
  document.querySelector("#position")?.setAttribute("aria-valuenow", String(second));
}

export function drawForever(): void {
  if (studio.mixer) draw(studio.mixer);
  requestAnimationFrame(drawForever);
}
