import WaveSurfer from "wavesurfer.js";
import type { Peaks } from "../mixer.ts";

const scheme = matchMedia("(prefers-color-scheme: dark)");
/** Of the page; wavesurfer's own style element needs it under our security policy. */
const nonce = document.querySelector<HTMLMetaElement>("meta[property=csp-nonce]")?.nonce;

/** `<stem-wave>`: the waveform of one stem, in the element's text colour; style.css moves what is played. */
class StemWave extends HTMLElement {
  private wave: WaveSurfer | null = null;
  private shown: { peaks: Peaks; highest: number; duration_s: number } | null = null;
  private readonly recolour = () => {
    const { color } = getComputedStyle(this);
    this.wave?.setOptions({ waveColor: color, progressColor: color });
  };

  /** The peaks to draw, and the highest sample that the height stands for. */
  set source(source: { peaks: Peaks | undefined; highest: number; duration_s: number }) {
    const { peaks, highest, duration_s } = source;
    if (!peaks || !highest || this.shown?.peaks === peaks && this.shown.highest === highest) return;
    this.shown = { peaks, highest, duration_s };
    this.draw();
  }

  connectedCallback(): void {
    scheme.addEventListener("change", this.recolour);
    this.draw();
  }

  disconnectedCallback(): void {
    scheme.removeEventListener("change", this.recolour);
    this.wave?.destroy();
    this.wave = null;
  }

  private draw(): void {
    if (!this.shown || !this.isConnected) return;
    this.wave?.destroy();
    const { peaks, highest, duration_s } = this.shown;
    const { color } = getComputedStyle(this);
    this.wave = WaveSurfer.create({
      container: this,
      height: "auto",
      waveColor: color,
      progressColor: color,
      cursorWidth: 0,
      interact: false,
      autoScroll: false,
      hideScrollbar: true,
      normalize: true,
      maxPeak: highest,
      peaks: [peaks.highest, peaks.lowest],
      duration: duration_s,
      ...(nonce ? { cspNonce: nonce } : {}),
    });
  }
}

customElements.define("stem-wave", StemWave);
