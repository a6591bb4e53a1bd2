/** Key commands; help.ts lists them. */
import { flatMix } from "./audio/mix.ts";
import { type Mixer, SPEED_STEP } from "./mixer.ts";
import { studio } from "./studio.ts";
import { openDownloads } from "./views/downloads.ts";
import { openHelp } from "./views/help.ts";

/** Elements that use these keys themselves. */
const TYPED_INTO = "input:not([type=range], [type=radio]), textarea, select";
const PRESSED = "button, label, summary, input[type=radio]";
const MOVED_BY_ARROWS = "input[type=range], input[type=radio]";

/**
 * Whether whoever is here walks through the page with Tab. Then the space bar presses the button that is reached; else
 * it plays, also after a click on a button, which has the focus from then on.
 */
let isOnKeyboard = true;

type Command = (mixer: Mixer, event: KeyboardEvent) => void;

function stemCommand(mixer: Mixer, event: KeyboardEvent): boolean {
  const digit = /^Digit([1-9])$/.exec(event.code)?.[1];
  const stem = digit && mixer.song.stems[Number(digit) - 1];
  if (!stem) return false;
  const { soloed, muted } = mixer.mix[stem]!;
  mixer.setFader(stem, event.shiftKey ? { muted: !muted } : { soloed: !soloed });
  return true;
}

function clearSwitches(mixer: Mixer): void {
  for (const stem of Object.keys(flatMix(mixer.song.stems))) mixer.setFader(stem, { soloed: false, muted: false });
}

function loopFrom(mixer: Mixer): void {
  const end = (mixer.region?.end ?? 0) / mixer.sampleRate;
  const start = mixer.position_s;
  mixer.setRegion(start, end > start ? end : mixer.duration_s);
}

function loopTo(mixer: Mixer): void {
  const start = (mixer.region?.start ?? 0) / mixer.sampleRate;
  const end = mixer.position_s;
  mixer.setRegion(start < end ? start : 0, end);
}

const COMMANDS: Record<string, Command> = {
  " ": (mixer) => mixer.toggle(),
  ArrowLeft: (mixer, event) => mixer.seek(mixer.position_s - (event.shiftKey ? 1 : 5)),
  ArrowRight: (mixer, event) => mixer.seek(mixer.position_s + (event.shiftKey ? 1 : 5)),
  ArrowUp: (mixer) => mixer.setTuning(mixer.speed, mixer.key + 1),
  ArrowDown: (mixer) => mixer.setTuning(mixer.speed, mixer.key - 1),
  Home: (mixer) => mixer.seek(mixer.startOfPlay_s),
  "0": clearSwitches,
  k: (mixer) => mixer.toggleKaraoke(),
  l: (mixer) => mixer.toggleLoop(),
  "[": loopFrom,
  "]": loopTo,
  "-": (mixer) => mixer.setTuning(mixer.speed - SPEED_STEP, mixer.key),
  "+": (mixer) => mixer.setTuning(mixer.speed + SPEED_STEP, mixer.key),
  d: openDownloads,
};

function isTaken(target: Element, key: string): boolean {
  if (target.matches(TYPED_INTO) || document.querySelector("dialog[open]")) return true;
  if (key === " ") return target.matches(PRESSED) && isOnKeyboard;
  return key.startsWith("Arrow") || key === "Home" ? target.matches(MOVED_BY_ARROWS) : false;
}

export function onPointer(): void {
  isOnKeyboard = false;
}

export function onKey(event: KeyboardEvent): void {
  if (event.key === "Tab") isOnKeyboard = true;
  const target = event.target as Element;
  if (event.ctrlKey || event.metaKey || event.altKey || isTaken(target, event.key)) return;
  if (event.key === "?") openHelp();
  else if (event.key === "/") document.querySelector<HTMLInputElement>("#search")?.focus();
  else {
    const { mixer } = studio;
    const key = event.key === "=" ? "+" : event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const command = Object.hasOwn(COMMANDS, key) ? COMMANDS[key] : undefined;
    if (!mixer) return;
    if (command) command(mixer, event);
    else if (!stemCommand(mixer, event)) return;
  }
  event.preventDefault();
}
