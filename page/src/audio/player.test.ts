import { beforeEach, expect, test, vi } from "vitest";
import { Player } from "./player.ts";
import type { StemSound } from "./stem.ts";

const RATE = 48000;
const param = { setTargetAtTime() {}, cancelScheduledValues() {}, setValueAtTime() {}, linearRampToValueAtTime() {} };
const starts: number[] = [];
let sources: Source[] = [];
/** Seconds that pass while a source is made or started. */
let pauseS: (step: "made" | "started", nth: number) => number;
let tick: () => void;

class Node {
  gain = param;
  connect = (next: unknown) => next;
}

/** What plays a piece: from `begins` on, or from when it is `told` to if that is later. */
class Source extends Node {
  begins = Infinity;
  told = 0;
  ends = Infinity;
  constructor(private readonly context: Context) {
    super();
    sources.push(this);
    context.currentTime += pauseS("made", sources.length);
  }
  start(time: number, offset: number): void {
    starts.push(offset);
    this.context.currentTime += pauseS("started", starts.length);
    this.begins = time;
    this.told = this.context.currentTime;
  }
  stop(time: number): void {
    this.ends = Math.max(time, this.context.currentTime);
  }
}

/** A browser that lets sound begin when it likes to. */
class Context {
  sampleRate = RATE;
  currentTime = 0;
  destination = null;
  readonly waiting: (() => void)[] = [];
  resume = () => new Promise<void>((resolve) => this.waiting.push(resolve));
  close = () => Promise.resolve();
}

function open(nStems = 1): { player: Player; begin: () => Promise<void> } {
  const stem = { name: "vocals", pieceFrames: 2 * RATE, piece: () => Promise.resolve({}) };
  const player = new Player(Array<StemSound>(nStems).fill(stem as unknown as StemSound), RATE, 100 * RATE);
  const begin = () => {
    for (const resolve of (player.context as unknown as Context).waiting) resolve();
    return new Promise<void>((resolve) => setTimeout(resolve));
  };
  return { player, begin };
}

beforeEach(() => {
  starts.length = 0;
  sources = [];
  pauseS = () => 0;
  vi.stubGlobal("window", { setInterval: (call: () => void) => ((tick = call), 0), clearInterval: () => undefined });
  vi.stubGlobal("AudioContext", Context);
  vi.stubGlobal("AudioBufferSourceNode", Source);
  for (const name of ["GainNode", "ChannelSplitterNode", "ChannelMergerNode", "AnalyserNode"]) vi.stubGlobal(name, Node);
});

test("who pauses or closes before the browser lets sound begin hears nothing", async () => {
  for (const end of ["pause", "close"] as const) {
    const { player, begin } = open();
    void player.play();
    player[end]();
    await begin();
    expect(player.state).not.toBe("playing");
    expect(starts).toEqual([]);
  }
});

test("play begins where one has gone to meanwhile, and with the loop that was set", async () => {
  const { player, begin } = open();
  void player.play();
  player.seek(5 * RATE);
  player.setLoop({ start: 4 * RATE, end: 6 * RATE });
  await begin();
  expect(player.state).toBe("playing");
  expect(starts[0]).toBe(1); // second of the third piece
  expect(player.loop).toEqual({ start: 4 * RATE, end: 6 * RATE });
  expect(starts[1]).toBe(0); // of that piece again: back at the start of the loop
});

test("play goes on after a pause, also while the browser still waits", async () => {
  const { player, begin } = open();
  void player.play();
  player.pause();
  void player.play();
  await begin();
  expect(player.state).toBe("playing");
  expect(starts[0]).toBe(0);
});

test("stems that are not all scheduled in time begin anew together", async () => {
  const pauses: (typeof pauseS)[] = [
    (step, nth) => (step === "made" && nth === 3 ? 0.035 : 0), // in the middle of the first four
    (step, nth) => (step === "started" && nth === 3 ? 0.035 : 0),
    (step, nth) => (step === "started" && nth === 11 ? 4 : 0), // in the third piece
    (step) => (step === "made" ? 0.02 : 0), // always: four take longer than there is time at first
    (step) => (step === "started" ? 0.02 : 0),
  ];
  for (const pause of pauses) {
    [pauseS, sources, starts.length] = [pause, [], 0];
    const { player, begin } = open(4);
    void player.play();
    await begin();
    (player.context as unknown as Context).currentTime += 1.5;
    tick();
    await begin();
    expect(player.state).toBe("playing");
    const left = sources.filter(({ begins, ends }) => begins < Infinity && ends > player.context.currentTime);
    expect(left.length).toBeGreaterThanOrEqual(8);
    const late = (pause("made", 3) ? sources : left).filter(({ begins, told }) => told > begins);
    expect(late).toEqual([]);
    for (const { begins } of left) expect(left.filter((other) => other.begins === begins).length).toBe(4);
  }
});
