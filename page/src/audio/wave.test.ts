import { expect, test } from "vitest";
import { deinterleave, waveFormat } from "./wave.ts";

/** A wav file's header, with a chunk that nobody asked for before the samples. */
function header(bits: number): DataView {
  const view = new DataView(new ArrayBuffer(64));
  const name = (at: number, text: string) => [...text].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  name(0, "RIFF");
  name(8, "WAVE");
  name(12, "fmt ");
  view.setUint32(16, 16, true);
  view.setUint16(22, 2, true);
  view.setUint32(24, 48000, true);
  view.setUint16(34, bits, true);
  name(36, "LIST");
  view.setUint32(40, 3, true);
  name(48, "data");
  view.setUint32(52, 400, true);
  return view;
}

test("samples are found behind chunks of other kinds", () => {
  expect(waveFormat(header(16))).toEqual({ sampleRate: 48000, channels: 2, offset: 56, frames: 100 });
});

test("another kind of file is refused in words", () => {
  expect(() => waveFormat(header(24))).toThrow("16-bit");
  expect(() => waveFormat(new DataView(new ArrayBuffer(64)))).toThrow("no wav file");
});

test("interleaved samples become channels", () => {
  const [left, right] = [new Float32Array(3), new Float32Array(3)];
  deinterleave(new Int16Array([32767, -32768, 16384, 0]), [left, right]);
  expect([...left]).toEqual([32767 / 32768, 0.5, 0]);
  expect([...right]).toEqual([-1, 0, 0]);
});
