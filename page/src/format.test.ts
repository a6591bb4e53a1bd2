import { expect, test } from "vitest";
import { roughly } from "./format.ts";

test("a time to wait is told to a sixth of it at worst", () => {
  const units: Record<string, number> = { s: 1, min: 60, h: 3600 };
  for (let seconds = 3; seconds < 40_000; seconds *= 1.01) {
    const [, value, unit] = /^about ([\d.]+) (s|min|h)$/.exec(roughly(seconds))!;
    expect(Math.abs((Number(value) * units[unit!]!) / seconds - 1)).toBeLessThanOrEqual(1 / 6);
  }
});

test("times to wait are told in round numbers", () => {
  const told = [0, 6.2, 19.4, 19.6, 87, 88, 150, 284, 286, 3600, 5400].map(roughly);
  expect(told).toEqual([1, 6, 19, 20, 85].map((n) => `about ${n} s`).concat([1.5, 2.5, 4.5, 5, 60].map((n) => `about ${n} min`), "about 1.5 h"));
});
