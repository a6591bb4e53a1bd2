import type { StretchNode } from "signalsmith-stretch";

/**
 * Speed and key. At another speed the stems are played faster or slower, like a tape, all by the same schedule; what
 * that does to their pitch is taken back here, on the sum of them. So they stay together whatever this adds.
 */
export class Tuning {
  private node: StretchNode | null = null;
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
    return this.node ? this.latency_s : 0;
  }

  async set(speed: number, semitones: number): Promise<void> {
    const ticket = ++this.wanted;
    if (speed === 1 && semitones === 0) return this.bypass();
    const node = this.node ?? (await this.load());
    if (ticket !== this.wanted) return;
    void node.schedule({ active: true, semitones: semitones - 12 * Math.log2(speed) });
    if (this.node) return;
    this.node = node;
    this.input.disconnect();
    this.input.connect(node).connect(this.output);
  }

  private bypass(): void {
    if (!this.node) return;
    this.input.disconnect();
    this.node.disconnect();
    this.node = null;
    this.input.connect(this.output);
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
