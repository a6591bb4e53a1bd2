/**
 * When each piece of a song sounds. Pure arithmetic in frames: of the song, and of the audio context (which,
 * at normal speed, are the same frames). One plan serves all stems, so they cannot drift apart.
 */

/** Song frames from `start` up to, but not including, `end`. */
export interface Region {
  readonly start: number;
  readonly end: number;
}

/** Uninterrupted playing: from a press of play, a seek or a change of speed or loop on. */
export interface Run {
  /** The context frame it begins at, a whole number. */
  readonly at: number;
  /** The song frame it begins at, a whole number. */
  readonly from: number;
  /** Song frames per context frame. */
  readonly rate: number;
  /** Frames of the song. */
  readonly length: number;
  readonly loop: Region | null;
}

/** `frames` frames of the song, from frame `from` on, that sound from context frame `at` on. */
export interface Span {
  readonly at: number;
  readonly from: number;
  readonly frames: number;
}

/** A loop catches a run that begins before the loop's end; one that begins behind it plays to the song's end. */
function loopOf(run: Run): Region | null {
  return run.loop && run.from < run.loop.end ? run.loop : null;
}

/** The song frame that sounds at a context frame; before the run it is the run's first. */
export function songFrameAt(run: Run, contextFrame: number): number {
  const frame = run.from + Math.max(0, contextFrame - run.at) * run.rate;
  const loop = loopOf(run);
  if (loop && frame >= loop.end) return loop.start + ((frame - loop.end) % (loop.end - loop.start));
  return Math.min(frame, run.length);
}

/** The spans of a run in order, each within one piece of `pieceFrames`; without end where the run loops. */
export function* spans(run: Run, pieceFrames: number): Generator<Span, void> {
  const loop = loopOf(run);
  const end = loop ? loop.end : run.length;
  let { at, from } = run;
  for (;;) {
    if (from >= end) {
      if (!loop) return;
      from = loop.start;
    }
    const frames = Math.min(pieceFrames - (from % pieceFrames), end - from);
    yield { at, from, frames };
    at += frames / run.rate;
    from += frames;
  }
}
