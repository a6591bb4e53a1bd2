declare module "signalsmith-stretch" {
  export interface StretchNode extends AudioWorkletNode {
    schedule(change: { active?: boolean; semitones?: number }): Promise<unknown>;
    latency(): Promise<number>;
  }
  const SignalsmithStretch: {
    (context: BaseAudioContext): Promise<StretchNode>;
    moduleUrl?: string;
  };
  export default SignalsmithStretch;
}
