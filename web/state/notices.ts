/** What is told beside the views, and what is asked: `parts/toasts.tsx` and `parts/confirm.tsx` show them. */
import { type ReadonlySignal, signal } from "@preact/signals";

export interface Toast {
  id: number;
  text: string;
  kind: "info" | "good" | "bad";
  action?: { label: string; run: () => void };
  /** The server did not answer: old news once it does again. */
  isSilence?: boolean;
}

const GOOD_MS = 5_000;
/** Bad news stay until they are dismissed, as far as there is room. */
const MOST = 4;

const shown = signal<readonly Toast[]>([]);
export const toasts: ReadonlySignal<readonly Toast[]> = shown;
let last = 0;

/** Tells something. The same text twice is shown once. */
export function toast(text: string, options: Partial<Omit<Toast, "id" | "text">> = {}): void {
  last += 1;
  const told: Toast = { id: last, text, kind: "info", ...options };
  shown.value = [...shown.value.filter((other) => other.text !== text), told].slice(-MOST);
  if (told.kind !== "bad") setTimeout(dismiss, told.action ? 2 * GOOD_MS : GOOD_MS, told.id);
}

/** The server answers again: what tells of its silence stays a moment, to be read, and goes. */
export function endSilence(): void {
  for (const { id, isSilence } of shown.value) if (isSilence) setTimeout(dismiss, GOOD_MS, id);
}

export function dismiss(id: number): void {
  shown.value = shown.value.filter((other) => other.id !== id);
}

export interface Question {
  title: string;
  text: string;
  /** Words on the button that does it. */
  yes: string;
  no?: string;
  danger?: boolean;
}

interface Asked extends Question {
  answer: (yes: boolean) => void;
}

const asked = signal<Asked | undefined>(undefined);
export const question: ReadonlySignal<Asked | undefined> = asked;

/** Asks in a dialog; resolves with the answer. A question that is open already is answered with no. */
export function confirm(question: Question): Promise<boolean> {
  asked.value?.answer(false);
  return new Promise((resolve) => {
    asked.value = {
      ...question,
      answer(yes) {
        asked.value = undefined;
        resolve(yes);
      },
    };
  });
}
