import { svg, type SVGTemplateResult } from "lit-html";

const icon = (inside: SVGTemplateResult) =>
  svg`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true">${inside}</svg>`;

export const play = icon(svg`<path class="filled" d="M8 5.2v13.6a.6.6 0 0 0 .9.5l10.6-6.8a.6.6 0 0 0 0-1L8.9 4.7a.6.6 0 0 0-.9.5Z"/>`);
export const pause = icon(svg`<path class="filled" d="M7 5h3.4v14H7zM13.6 5H17v14h-3.4z"/>`);
export const toStart = icon(svg`<path class="filled" d="M18 6.2v11.6a.5.5 0 0 1-.8.4l-8.2-5.8a.5.5 0 0 1 0-.8l8.2-5.8a.5.5 0 0 1 .8.4ZM6 5.5h2v13H6z"/>`);
export const loop = icon(svg`<path d="M4 12V10.5A3.5 3.5 0 0 1 7.5 7H18m-3-3 3 3-3 3M20 12v1.5a3.5 3.5 0 0 1-3.5 3.5H6m3 3-3-3 3-3"/>`);
export const plus = icon(svg`<path d="M12 5v14M5 12h14"/>`);
export const minus = icon(svg`<path d="M5 12h14"/>`);
export const cross = icon(svg`<path d="m6 6 12 12M18 6 6 18"/>`);
export const bin = icon(svg`<path d="M4.5 7h15M9.5 7V4.5h5V7M6.5 7l.9 12.5h9.200L17.5 7M10 10.5v5.5m4-5.5v5.5"/>`);
export const again = icon(svg`<path d="M19 12a7 7 0 1 1-2.200-5.100L19 9m0-5v5h-5"/>`);
export const download = icon(svg`<path d="M12 4v11m-4.5-4.5L12 15l4.5-4.5M5 19.5h14"/>`);
export const search = icon(svg`<circle cx="10.5" cy="10.5" r="6"/><path d="m15 15 5 5"/>`);
export const back = icon(svg`<path d="m14.5 5-7 7 7 7"/>`);
export const spectrum = icon(svg`<path d="M5 19V9m3.5 10V5m3.5 14v-7m3.5 7V8m3.5 11v-4"/>`);
export const speaker = icon(svg`<path d="M5 9.5v5h3.5L13 18.5v-13L8.5 9.5zM16 9a4.300 4.300 0 0 1 0 6m2.5-8.5a8 8 0 0 1 0 11"/>`);
export const keyboard = icon(svg`<rect x="3" y="6.5" width="18" height="11" rx="2"/><path d="M7 10h.01M10.5 10h.01M14 10h.01M17.5 10h.01M8 14h8"/>`);
export const zoomIn = icon(svg`<circle cx="10.5" cy="10.5" r="6"/><path d="m15 15 5 5M8 10.5h5M10.5 8v5"/>`);
export const zoomOut = icon(svg`<circle cx="10.5" cy="10.5" r="6"/><path d="m15 15 5 5M8 10.5h5"/>`);
export const drop = icon(svg`<path d="M12 16V5m-4.5 4.5L12 5l4.5 4.5M4.5 15v3.5a1 1 0 0 0 1 1h13a1 1 0 0 0 1-1V15"/>`);
export const microphone = icon(svg`<rect x="9.5" y="3.5" width="5" height="10.5" rx="2.5"/><path d="M6 11.5a6 6 0 0 0 12 0M12 17.5v3M4 4l16 16"/>`);
