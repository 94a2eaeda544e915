/** Values as people read them. Names come from outside, so they are made harmless first (F202). */
import { sanitizeControlSequences } from "@logtape/logtape";
import bytes from "bytes";

/** One line of text without control characters. */
export const safe = (text: string): string =>
  sanitizeControlSequences(text, { newlines: "escape", sgr: "escape" });

/** `1.5 GB`, powers of 1024 as everywhere in the command line. */
export const size = (count: number): string =>
  bytes.format(count, { decimalPlaces: 1, unitSeparator: " " }) ?? "?";

export const speed = (bps: number): string => `${size(bps)}/s`;

/** `12s`, `3m 05s`, `1h 02m`, `3d 04h`. */
export function time(seconds: number): string {
  const two = (value: number): string => String(Math.floor(value)).padStart(2, "0");
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${two(whole % 60)}s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)}h ${two((whole % 3600) / 60)}m`;
  return `${Math.floor(whole / 86_400)}d ${two((whole % 86_400) / 3600)}h`;
}

/** `99.9%`: rounded down, so that 100 means all of it. */
export function percent(done: number, total: number | null): string {
  if (total === null || total <= 0) return "";
  return `${(Math.floor((Math.min(done, total) / total) * 1000) / 10).toFixed(1)}%`;
}

/** Fits text into so many columns, the end (a file's name says most there) kept. */
export function fit(text: string, columns: number): string {
  const clean = safe(text);
  if (Bun.stringWidth(clean) <= columns) return clean + " ".repeat(columns - Bun.stringWidth(clean));
  const letters = [...clean];
  while (letters.length > 0 && Bun.stringWidth(letters.join("")) > columns - 1) letters.shift();
  const cut = `…${letters.join("")}`;
  return cut + " ".repeat(Math.max(0, columns - Bun.stringWidth(cut)));
}

/** `████░░░░` over so many columns. */
export function bar(done: number, total: number | null, columns: number): string {
  const share = total !== null && total > 0 ? Math.min(1, done / total) : 0;
  const full = Math.floor(share * columns);
  return "█".repeat(full) + "░".repeat(columns - full);
}

/** Rows in columns, two spaces between, the last one not padded. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const all = [head, ...rows].map((row) => row.map(safe));
  const widths = head.map((_, i) => Math.max(...all.map((row) => Bun.stringWidth(row[i] ?? ""))));
  return all.map((row) =>
    row
      .map((cell, i) => (i === row.length - 1 ? cell : cell + " ".repeat(widths[i]! - Bun.stringWidth(cell))))
      .join("  "),
  );
}
