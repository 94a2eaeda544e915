/** Numbers as people write them, with a decimal point or comma; what can be read in two ways is asked for again. */
import type { JSX } from "preact";
import { Input } from "./field.tsx";

export interface Range {
  min: number;
  max: number;
  whole: boolean;
}

const NUMBER = /^[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)$/;
/** A thousand to some, one to others. */
const EITHER = /^([+-]?[1-9]\d{0,2}),(\d{3})$/;

/** NaN for everything else, the empty field included. */
export function numberOf(typed: string): number {
  const text = typed.trim();
  return NUMBER.test(text) && !EITHER.test(text) ? Number(text.replace(",", ".")) : Number.NaN;
}

/** What to write instead of a number that can be read in two ways; undefined for others. */
function eitherWay(typed: string): string | undefined {
  const [, front, rest] = EITHER.exec(typed.trim()) ?? [];
  if (front === undefined) return undefined;
  return `Write ${front}${rest} or ${Number(`${front}.${rest}`)}: with a comma it can be read as both.`;
}

/** What to write instead; undefined when nothing is wrong. */
export function numberFault(typed: string, { min, max, whole }: Range): string | undefined {
  const value = numberOf(typed);
  if (value >= min && value <= max && (!whole || Number.isInteger(value))) return undefined;
  const kind = whole ? "a whole number" : "a number";
  return (whole ? undefined : eitherWay(typed)) ?? `Write ${kind} from ${min} to ${max}.`;
}

/** Bytes per second of a speed limit in `unit` bytes; 0, no limit, for an empty field, NaN for what is none. */
export function rateOf(typed: string, unit: number): number {
  if (typed.trim() === "") return 0;
  const perSecond = Math.round(numberOf(typed) * unit);
  return perSecond >= 1 && Number.isSafeInteger(perSecond) ? perSecond : Number.NaN;
}

/** What to write instead; undefined when it is a speed limit, or nothing. */
export function rateFault(typed: string, unit: number): string | undefined {
  if (!Number.isNaN(rateOf(typed, unit))) return undefined;
  return eitherWay(typed) ?? "Write a number above 0, such as 5 or 2.5, or nothing for no limit.";
}

type NumberInputProps = JSX.IntrinsicElements["input"] & { kind?: "whole" | "decimal" | "signed" };

/**
 * Text, as a browser's own number field hides from the page what it cannot read, and a turn of the mouse wheel changes
 * what is in it.
 */
export function NumberInput({ kind = "whole", ...rest }: NumberInputProps) {
  // Keypads of numbers have no minus.
  const inputMode = kind === "signed" ? "text" : kind === "decimal" ? "decimal" : "numeric";
  return <Input inputMode={inputMode} autocomplete="off" spellcheck={false} {...rest} />;
}
