/** Where the samples lie in a wav file of 16-bit integers. */
export interface WaveFormat {
  readonly sampleRate: number;
  readonly channels: number;
  /** Bytes before the first sample. */
  readonly offset: number;
  readonly frames: number;
}

/** Reads the header from the file's first bytes. */
export function waveFormat(head: DataView): WaveFormat {
  const name = (at: number) => String.fromCharCode(...new Uint8Array(head.buffer, head.byteOffset + at, 4));
  if (head.byteLength < 12 || name(0) !== "RIFF" || name(8) !== "WAVE") throw new Error("this is no wav file");
  let channels = 0;
  let sampleRate = 0;
  for (let at = 12; at + 8 <= head.byteLength; ) {
    const size = head.getUint32(at + 4, true);
    if (name(at) === "fmt ") {
      channels = head.getUint16(at + 10, true);
      sampleRate = head.getUint32(at + 12, true);
      if (head.getUint16(at + 22, true) !== 16) throw new Error("the wav file has no 16-bit samples");
    } else if (name(at) === "data") {
      return { sampleRate, channels, offset: at + 8, frames: Math.floor(size / (2 * channels)) };
    }
    at += 8 + size + (size % 2);
  }
  throw new Error("the wav file has no samples");
}

/** Writes interleaved 16-bit samples into one array per channel, in [-1, 1). */
export function deinterleave(samples: Int16Array, channels: readonly Float32Array[]): void {
  channels.forEach((wave, channel) => {
    for (let i = channel, frame = 0; i < samples.length; i += channels.length) wave[frame++] = samples[i]! / 32768;
  });
}
