import { Lane } from "./lane.ts";
import { gains, type Mix } from "./mix.ts";
import { type Region, type Run, songFrameAt, type Span, spans } from "./schedule.ts";
import type { StemSound } from "./stem.ts";
import { Tuning } from "./tuning.ts";

/** From a decision to its sound, seconds: what the next block of the audio thread may need. */
const LEAD_S = 0.03;
/** The same where the sound before goes on meanwhile: a busy page must not be late. */
const CALM_LEAD_S = 0.15;
/** What is not scheduled so long before its time, seconds, is late; nor may that be in the block under way. */
const LATE_S = 0.01;
/** The audio thread makes so many frames at a time. Source: Web Audio API, render quantum. */
const BLOCK_FRAMES = 128;
/** So much sound is scheduled ahead, seconds; more than a browser lets a timer of a hidden page wait. */
const AHEAD_S = 3;
const FEED_MS = 200;
const FADE_S = 0.005;
/** A loop is at least so long, seconds. */
export const SHORTEST_LOOP_S = 0.05;

export type PlayerState = "stopped" | "loading" | "playing";

/** The events: `change` of state, `trouble` (a CustomEvent of words) when sound cannot be fetched. */
export class Player extends EventTarget {
  readonly context: AudioContext;
  readonly masterTaps: [AnalyserNode, AnalyserNode];
  state: PlayerState = "stopped";
  loop: Region | null = null;
  speed = 1;

  private readonly lanes = new Map<string, Lane>();
  private readonly sum: GainNode;
  private readonly master: GainNode;
  private readonly tuning: Tuning;
  private sources: { node: AudioBufferSourceNode; end: number }[] = [];
  private run: Run | null = null;
  private plan: Generator<Span, void> | null = null;
  private next: Span | null = null;
  private feeding: Run | null = null;
  /** Where it goes on: stands while nothing plays, and is on its way there (`jump`) before a seek is heard. */
  private resting = 0;
  private jump: number | null = null;
  private ticket = 0;
  /** `LEAD_S`, or twice as much each time that it has just been too short: a slow page comes to play too. */
  private lead_s = LEAD_S;
  private readonly timer: number;

  constructor(
    private readonly stems: readonly StemSound[],
    readonly sampleRate: number,
    readonly length: number,
  ) {
    super();
    this.context = contextAt(sampleRate);
    this.sum = new GainNode(this.context);
    this.master = new GainNode(this.context);
    this.tuning = new Tuning(this.context, this.sum, this.master);
    const split = new ChannelSplitterNode(this.context, { numberOfOutputs: 2 });
    this.masterTaps = [new AnalyserNode(this.context), new AnalyserNode(this.context)];
    this.master.connect(split);
    this.masterTaps.forEach((tap, channel) => split.connect(tap, channel));
    this.master.connect(this.context.destination);
    for (const stem of stems) this.lanes.set(stem.name, new Lane(this.context, this.sum));
    this.timer = window.setInterval(() => this.tick(), FEED_MS);
    void this.load(0).catch(() => undefined); // ready before the first press of play, which would tell of trouble
  }

  /** The song frame that is heard now; where it will go on, if nothing is. */
  get position(): number {
    if (this.jump !== null) return this.jump;
    return this.run ? songFrameAt(this.run, this.now - this.tuning.delay_s * this.context.sampleRate) : this.resting;
  }

  tap(stem: string): AnalyserNode | undefined {
    return this.lanes.get(stem)?.tap;
  }

  async play(): Promise<void> {
    if (this.state !== "stopped") return;
    const atEnd = this.resting >= this.length - 1;
    const from = atEnd ? (this.loop?.start ?? 0) : this.resting;
    const ticket = ++this.ticket;
    this.enter("loading");
    await this.context.resume();
    if (ticket !== this.ticket) return; // paused, closed, or sent elsewhere meanwhile
    await this.begin(() => from, false);
  }

  pause(): void {
    if (this.state === "stopped") return;
    this.ticket++;
    this.resting = Math.round(this.position);
    this.stopAt(this.soon(LEAD_S));
    this.run = null;
    this.jump = null;
    this.enter("stopped");
  }

  seek(frame: number): void {
    const to = Math.round(Math.min(Math.max(0, frame), this.length));
    this.resting = to;
    if (this.state !== "stopped") this.jumpTo(to);
    else void this.load(to).catch(() => undefined);
    this.dispatchEvent(new Event("change"));
  }

  /** Loops a region, or no longer. What is playing goes on without a seam; from behind the region it goes back. */
  setLoop(region: Region | null): void {
    this.loop = region && region.end - region.start >= SHORTEST_LOOP_S * this.sampleRate ? region : null;
    if (this.state !== "playing" || !this.run) return;
    if (this.loop && this.position >= this.loop.end) return this.seek(this.loop.start);
    this.goOn();
  }

  setMix(mix: Mix): void {
    const linear = gains(mix);
    for (const [stem, lane] of this.lanes) lane.set(linear[stem] ?? 0, mix[stem]?.pan ?? 0);
  }

  setVolume(gain: number): void {
    this.master.gain.setTargetAtTime(gain, this.context.currentTime, FADE_S);
  }

  async setTuning(speed: number, semitones: number): Promise<void> {
    if (!(await this.tuning.set(speed, semitones)) || speed === this.speed) return;
    this.speed = speed;
    if (this.state === "playing") this.goOn();
  }

  close(): void {
    this.ticket++;
    window.clearInterval(this.timer);
    this.run = null;
    void this.context.close();
  }

  private get now(): number {
    return this.context.currentTime * this.context.sampleRate;
  }

  private soon(leadS: number): number {
    return Math.ceil(this.now + leadS * this.context.sampleRate);
  }

  private jumpTo(frame: number): void {
    this.jump = frame;
    void this.begin(() => frame, true);
  }

  private goOn(): void {
    const before = this.run;
    if (this.jump !== null) this.jumpTo(this.jump);
    else if (before) void this.begin((at) => Math.round(songFrameAt(before, at)), false);
  }

  /**
   * Ends the present run and begins another, all stems at one frame of the context, as soon as their sound is there.
   * `from` says with which frame of the song, given that frame of the context.
   */
  private async begin(from: (at: number) => number, isJump: boolean): Promise<void> {
    const ticket = ++this.ticket;
    const leadS = this.run && !isJump ? CALM_LEAD_S : this.lead_s;
    try {
      for (;;) {
        const planned = this.soon(leadS);
        await this.load(from(planned));
        if (ticket !== this.ticket) return;
        const at = this.soon(leadS);
        const start = from(at);
        if (this.pieceOf(start) === this.pieceOf(from(planned))) return this.enterRun(at, start, isJump);
      }
    } catch (error) {
      if (ticket === this.ticket) this.fail(error);
    }
  }

  private enterRun(at: number, from: number, isJump: boolean): void {
    this.stopAt(at, isJump);
    this.jump = null;
    const rate = (this.speed * this.sampleRate) / this.context.sampleRate;
    this.run = { at, from, rate, length: this.length, loop: this.loop };
    this.plan = spans(this.run, this.stems[0]!.pieceFrames);
    this.next = this.plan.next().value ?? null;
    this.enter("playing");
    void this.feed();
  }

  private tick(): void {
    if (this.state !== "playing" || !this.run) return;
    this.sources = this.sources.filter((source) => source.end > this.context.currentTime - 1);
    if (!this.next && this.position >= this.length) {
      this.pause();
      this.seek(0);
    } else void this.feed();
  }

  /** Schedules what the next seconds need, as soon as it is fetched; what comes too late makes all stems wait. */
  private async feed(): Promise<void> {
    const run = this.run;
    if (!run || this.feeding === run) return;
    this.feeding = run;
    try {
      while (this.next && this.next.at < this.now + AHEAD_S * this.context.sampleRate) {
        const span = this.next;
        const pieces = await this.load(span.from);
        if (run !== this.run) return;
        if (!this.schedule(span, run, pieces)) return this.postpone(span);
        this.lead_s = LEAD_S;
        this.next = this.plan?.next().value ?? null;
      }
    } catch (error) {
      if (run === this.run) this.fail(error);
    } finally {
      if (this.feeding === run) this.feeding = null;
    }
  }

  private isLate(span: Span): boolean {
    return span.at < this.now + Math.max(LATE_S * this.context.sampleRate, BLOCK_FRAMES);
  }

  private postpone(span: Span): void {
    this.stopAt(this.soon(0), false);
    this.lead_s *= 2;
    this.enter("loading");
    this.jumpTo(span.from);
  }

  /** False if it was too late, also if it became so meanwhile: then each stem would begin with a block of its own. */
  private schedule(span: Span, run: Run, pieces: AudioBuffer[]): boolean {
    const rate = this.context.sampleRate;
    const end = (span.at + span.frames / run.rate) / rate;
    const nodes = pieces.map((buffer, i) => {
      const node = new AudioBufferSourceNode(this.context, { buffer, playbackRate: this.speed });
      node.connect(this.lanes.get(this.stems[i]!.name)!.input);
      return node;
    });
    if (this.isLate(span)) return false;
    for (const node of nodes) {
      node.start(span.at / rate, (span.from % this.stems[0]!.pieceFrames) / this.sampleRate);
      node.stop(end);
      this.sources.push({ node, end });
    }
    return !this.isLate(span);
  }

  /** Ends all that sounds at one frame of the context, behind a short fade where what follows is something else. */
  private stopAt(frame: number, fade = true): void {
    const time = frame / this.context.sampleRate;
    for (const source of this.sources) source.node.stop(time);
    this.sources = [];
    if (!fade) return;
    const { gain } = this.sum;
    gain.cancelScheduledValues(0);
    gain.setValueAtTime(1, time - FADE_S);
    gain.linearRampToValueAtTime(0, time);
    gain.linearRampToValueAtTime(1, time + FADE_S);
  }

  private pieceOf(frame: number): number {
    return Math.floor(frame / this.stems[0]!.pieceFrames);
  }

  private load(frame: number): Promise<AudioBuffer[]> {
    const index = this.pieceOf(Math.min(frame, this.length - 1));
    return Promise.all(this.stems.map((stem) => stem.piece(index)));
  }

  private fail(error: unknown): void {
    this.pause();
    const detail = `The sound could not be fetched: ${error instanceof Error ? error.message : String(error)}.`;
    this.dispatchEvent(new CustomEvent("trouble", { detail }));
  }

  private enter(state: PlayerState): void {
    this.state = state;
    this.dispatchEvent(new Event("change"));
  }
}

/** At the song's own rate nothing is resampled, and a frame of the song is one of the context. */
function contextAt(sampleRate: number): AudioContext {
  try {
    return new AudioContext({ sampleRate });
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    return new AudioContext();
  }
}
