import { balance } from "./mix.ts";

/** Time constant of a change of volume, seconds: no click, and within 1 % after 25 ms. */
const SMOOTH_S = 0.005;

/** The way of one stem through the audio graph: volume and pan in one gain per side, then a meter's tap. */
export class Lane {
  readonly input: GainNode;
  readonly tap: AnalyserNode;
  private readonly sides: [GainNode, GainNode];

  constructor(
    private readonly context: AudioContext,
    output: AudioNode,
  ) {
    // A stem with one channel becomes two, so that every stem can be panned.
    this.input = new GainNode(context, { channelCount: 2, channelCountMode: "explicit" });
    const split = new ChannelSplitterNode(context, { numberOfOutputs: 2 });
    const merge = new ChannelMergerNode(context, { numberOfInputs: 2 });
    this.sides = [new GainNode(context), new GainNode(context)];
    this.input.connect(split);
    this.sides.forEach((side, channel) => split.connect(side, channel).connect(merge, 0, channel));
    this.tap = new AnalyserNode(context, { fftSize: 2048 });
    merge.connect(output);
    merge.connect(this.tap);
  }

  set(gain: number, pan: number): void {
    balance(pan).forEach((share, channel) => {
      this.sides[channel]!.gain.setTargetAtTime(gain * share, this.context.currentTime, SMOOTH_S);
    });
  }
}

/** The highest sample of what a tap has heard last, linear. */
export function peakOf(tap: AnalyserNode, scratch: Float32Array<ArrayBuffer>): number {
  tap.getFloatTimeDomainData(scratch);
  let peak = 0;
  for (const sample of scratch) peak = Math.max(peak, Math.abs(sample));
  return peak;
}
