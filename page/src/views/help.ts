import { html, type TemplateResult } from "lit-html";
import { open, sheet } from "./sheet.ts";

export const openHelp = () => open("help");

const KEYS: readonly (readonly [string[], string])[] = [
  [["Space"], "Play, pause"],
  [["←", "→"], "5 seconds back, on"],
  [["Shift ←", "Shift →"], "1 second back, on"],
  [["Home"], "To the start of the song, or of the loop"],
  [["1", "…", "9"], "Solo the first stem, the second, …"],
  [["Shift 1", "…"], "Mute it"],
  [["0"], "All stems as they were: no solo, no mute"],
  [["K"], "Karaoke: vocals off, on"],
  [["L"], "Loop on, off"],
  [["[", "]"], "The loop starts here, ends here"],
  [["−", "+"], "Slower, faster"],
  [["↓", "↑"], "Key a semitone down, up"],
  [["D"], "Download"],
  [["/"], "Search"],
  [["?"], "These keys"],
];

export function helpSheet(): TemplateResult {
  const row = ([keys, what]: readonly [string[], string]) =>
    html`<div><dt>${keys.map((key) => html`<kbd>${key}</kbd>`)}</dt><dd>${what}</dd></div>`;
  return sheet(
    "help",
    "Keys",
    html`<dl class="keys">${KEYS.map(row)}</dl>
      <p>Drag over a waveform to loop a part of the song; click to go there.</p>`,
  );
}
