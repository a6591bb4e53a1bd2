/** Numbers as people read them. */

/** 1:03, or 1:02:03 from an hour on. */
export function clock(seconds: number): string {
  const whole = Math.floor(seconds);
  const two = (value: number) => String(value).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** 1:03.4 */
export function fineClock(seconds: number): string {
  const tenths = Math.floor(seconds * 10 + 1e-6);
  return `${clock(Math.floor(tenths / 10))}.${tenths % 10}`;
}

/** What `clock` and `fineClock` write, in seconds; NaN for anything else. */
export function seconds(text: string): number {
  if (!/^(\d+:){0,2}\d+(\.\d*)?$/.test(text.trim())) return NaN;
  return text.trim().split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
}

/** "1 minute 20 seconds", for ears. */
export function spoken(seconds: number): string {
  const whole = Math.round(seconds);
  const units = [
    [Math.floor(whole / 3600), "hour"],
    [Math.floor(whole / 60) % 60, "minute"],
    [whole % 60, "second"],
  ] as const;
  const said = units.filter(([n]) => n).map(([n, unit]) => `${n} ${unit}${n === 1 ? "" : "s"}`);
  return said.join(" ") || "0 seconds";
}

/** How long something will take, as exactly as one can know: "about 6 s", "about 40 s", "about 2.5 min". */
export function roughly(seconds: number): string {
  const to = (step: number) => Math.max(1, Math.round(seconds / step)) * step;
  if (seconds < 19.5) return `about ${to(1)} s`;
  if (seconds < 87.5) return `about ${to(5)} s`;
  if (seconds < 285) return `about ${to(30) / 60} min`;
  if (seconds < 5370) return `about ${to(60) / 60} min`;
  return `about ${(seconds / 3600).toFixed(1)} h`;
}

/** Not to be broken between number and unit. */
export function size(bytes: number): string {
  if (bytes < 1e5) return `${Math.ceil(bytes / 1e3)}\u00a0kB`;
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(1)}\u00a0GB`;
  return `${(bytes / 1e6).toFixed(bytes >= 1e7 ? 0 : 1)}\u00a0MB`;
}

/** +2.0, 0.0, −6.5, or "off" at `silent`. */
export function decibels(db: number, silent: number): string {
  if (db <= silent) return "off";
  const text = Math.abs(db).toFixed(1);
  return text === "0.0" ? text : `${db < 0 ? "−" : "+"}${text}`;
}

export function panned(pan: number): string {
  const percent = Math.round(Math.abs(pan) * 100);
  return percent === 0 ? "centre" : `${percent} % ${pan < 0 ? "left" : "right"}`;
}

export function semitones(key: number): string {
  return key === 0 ? "0" : `${key < 0 ? "−" : "+"}${Math.abs(key)}`;
}

export function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}
