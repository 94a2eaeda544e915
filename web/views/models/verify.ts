/** Verification of files, one after the other, with what has been read so far. */
import { type Signal, signal } from "@preact/signals";
import { lanes } from "../../../src/client/lanes.ts";
import { loadModels, tell } from "../../state/actions.ts";
import { server } from "../../state/api.ts";
import { background } from "../../state/background.ts";
import { toast } from "../../state/notices.ts";
import type { Verification } from "../../state/types.ts";
import type { Model } from "./groups.ts";

export interface Work {
  bytes: number;
  total: number;
  stop: () => void;
}

/** One file at a time, whatever is pressed: several would only fight for the disk, each with a connection of its own. */
const inTurn = lanes(1);

/** Models being verified, by id. */
const working = signal<ReadonlyMap<string, Signal<Work>>>(new Map());

export const workOn = (model: Model): Work | undefined => working.value.get(model.id)?.value;

/** Reads all files of a model again, and tells what was found. */
export async function verify(model: Model): Promise<void> {
  if (working.peek().has(model.id)) return;
  const abort = new AbortController();
  const total = model.size;
  const work = signal<Work>({ bytes: 0, total, stop: () => abort.abort() });
  working.value = new Map(working.peek()).set(model.id, work);
  try {
    let before = 0;
    const verdicts: Verification[] = [];
    for (const file of model.files) {
      const onProgress = (bytes: number): void => {
        work.value = { ...work.peek(), bytes: Math.min(total, before + bytes) };
      };
      const { signal } = abort;
      const read = () => server.files.verify(file.id, { signal, onProgress });
      verdicts.push(await inTurn(() => background(read, signal), signal));
      before += file.size;
    }
    report(model, verdicts);
  } catch (error) {
    if (!abort.signal.aborted) tell(error);
  } finally {
    working.value = new Map([...working.peek()].filter(([id]) => id !== model.id));
    await loadModels().catch(tell);
  }
}

function report({ name }: Model, verdicts: readonly Verification[]): void {
  const bad = verdicts.filter(({ success }) => !success);
  if (bad.length > 0) {
    const which = verdicts.length === 1 ? "" : ` (${bad.map(({ file }) => file.path).join(", ")})`;
    toast(`${name} is not what it should be${which}. Delete it and download it again.`, { kind: "bad" });
  } else if (verdicts.some(({ matches }) => matches === undefined)) {
    toast(`${name}: nobody promised a digest to compare with. It was computed, for the next time.`);
  } else toast(`${name} is what it should be.`, { kind: "good" });
}
