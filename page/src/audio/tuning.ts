import type { StretchNode } from "signalsmith-stretch";

/**
 * Speed and key. At another speed the stems are played faster or slower, like a tape, all by the same schedule; what
 * that does to their pitch is taken back here, on the sum of them. So they stay together whatever this adds.
 */
export class Tuning {
  private node: Promise<StretchNode> | null = null;
  private isUsed = false;
  private latency_s = 0;
  private wanted = 0;

  constructor(
    private readonly context: AudioContext,
    private readonly input: AudioNode,
    private readonly output: AudioNode,
  ) {
    input.connect(output);
  }

  /** Browsers give worklets to pages of this machine and to https only. */
  static get isPossible(): boolean {
    return "audioWorklet" in AudioContext.prototype && isSecureContext;
  }

  /** How much later than the schedule the sound comes, seconds. */
  get delay_s(): number {
    return this.isUsed ? this.latency_s : 0;
  }

  /** False if something else was set while this was being prepared. */
  async set(speed: number, semitones: number): Promise<boolean> {
    const ticket = ++this.wanted;
    const isNeutral = speed === 1 && semitones === 0;
    if (isNeutral && !this.node) return true;
    const node = await (this.node ??= this.load());
    if (ticket !== this.wanted) return false;
    void node.schedule({ active: true, semitones: semitones - 12 * Math.log2(speed) });
    if (this.isUsed === isNeutral) this.route(node, !isNeutral);
    return true;
  }

  private route(node: StretchNode, isUsed: boolean): void {
    this.isUsed = isUsed;
    this.input.disconnect();
    node.disconnect();
    if (isUsed) this.input.connect(node).connect(this.output);
    else this.input.connect(this.output);
  }

  private async load(): Promise<StretchNode> {
    const [{ default: SignalsmithStretch }, { default: moduleUrl }] = await Promise.all([
      import("signalsmith-stretch"),
      import("signalsmith-stretch?url"),
    ]);
    SignalsmithStretch.moduleUrl = moduleUrl; // or it would make one of a blob, which the security policy forbids
    const node = await SignalsmithStretch(this.context);
    this.latency_s = await node.latency();
    return node;
  }
}
