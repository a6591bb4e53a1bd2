import { deinterleave, type WaveFormat, waveFormat } from "./wave.ts";

const PIECE_S = 2;
/** Pieces of one stem that are kept: what is playing, what comes next, and some of where one seeks back to. */
const KEPT = 8;
const HEAD_BYTES = 4096;

async function bytes(url: string, first: number, last: number): Promise<ArrayBuffer> {
  const answer = await fetch(url, { headers: { Range: `bytes=${first}-${last}` } });
  if (answer.status !== 206) throw new Error(`the server answered ${answer.status} to a request for sound`);
  return answer.arrayBuffer();
}

/** The sound of one stem, fetched in pieces of some seconds; only a few of them are held. */
export class StemSound {
  private readonly pieces = new Map<number, Promise<AudioBuffer>>();

  private constructor(
    readonly name: string,
    private readonly url: string,
    private readonly format: WaveFormat,
  ) {}

  static async open(name: string, url: string): Promise<StemSound> {
    return new StemSound(name, url, waveFormat(new DataView(await bytes(url, 0, HEAD_BYTES - 1))));
  }

  get sampleRate(): number {
    return this.format.sampleRate;
  }

  get frames(): number {
    return this.format.frames;
  }

  /** Frames of a piece; the last one of a song may be shorter. */
  get pieceFrames(): number {
    return PIECE_S * this.format.sampleRate;
  }

  /**
   * One piece, and the frame behind it: with it, playing at another speed interpolates across the seam between two
   * pieces as if there were none.
   */
  piece(index: number): Promise<AudioBuffer> {
    const known = this.pieces.get(index);
    const piece = known ?? this.fetchPiece(index);
    this.pieces.delete(index); // back in as the newest
    this.pieces.set(index, piece);
    if (!known) piece.catch(() => this.pieces.delete(index)); // asked for again, it is tried again
    for (const oldest of this.pieces.keys()) {
      if (this.pieces.size <= KEPT) break;
      this.pieces.delete(oldest);
    }
    return piece;
  }

  private async fetchPiece(index: number): Promise<AudioBuffer> {
    const { channels, offset, sampleRate, frames } = this.format;
    const start = index * this.pieceFrames;
    const end = Math.min(start + this.pieceFrames + 1, frames);
    const width = 2 * channels;
    const samples = new Int16Array(await bytes(this.url, offset + start * width, offset + end * width - 1));
    const buffer = new AudioBuffer({ length: this.pieceFrames + 1, numberOfChannels: channels, sampleRate });
    deinterleave(samples, Array.from({ length: channels }, (_, channel) => buffer.getChannelData(channel)));
    return buffer;
  }
}
