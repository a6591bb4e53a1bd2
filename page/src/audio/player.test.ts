import { beforeEach, expect, test, vi } from "vitest";
import { Player } from "./player.ts";
import type { StemSound } from "./stem.ts";

const RATE = 1000;
const param = { setTargetAtTime() {}, cancelScheduledValues() {}, setValueAtTime() {}, linearRampToValueAtTime() {} };
const starts: number[] = [];

class Node {
  gain = param;
  connect = (next: unknown) => next;
  start(_: number, offset: number): void {
    starts.push(offset);
  }
  stop(): void {}
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

function open(): { player: Player; begin: () => Promise<void> } {
  const stem = { name: "vocals", pieceFrames: 2 * RATE, piece: () => Promise.resolve({}) };
  const player = new Player([stem as unknown as StemSound], RATE, 100 * RATE);
  const begin = () => {
    for (const resolve of (player.context as unknown as Context).waiting) resolve();
    return new Promise<void>((resolve) => setTimeout(resolve));
  };
  return { player, begin };
}

beforeEach(() => {
  starts.length = 0;
  vi.stubGlobal("window", { setInterval: () => 0, clearInterval: () => undefined });
  vi.stubGlobal("AudioContext", Context);
  for (const name of ["GainNode", "ChannelSplitterNode", "ChannelMergerNode", "AnalyserNode", "AudioBufferSourceNode"])
    vi.stubGlobal(name, Node);
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
