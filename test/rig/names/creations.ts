import { dirname } from "node:path";
import { DownloadError } from "../../../src/core/errors.ts";
import type { PlanInput, Storage, Target } from "../../../src/core/ports.ts";
import { gitSha1, input, sha256 } from "../../storage/support.ts";
import { oneOf, randomOf } from "../../support/random.ts";
import { hostile, ordinary } from "./hostile.ts";
import { shown } from "./paths.ts";
import { Mined } from "./place.ts";

/** What became of files that were really to be created. */
export interface Created {
  tries: number;
  stored: number;
  refused: number;
  /** A directory became a link to elsewhere in the middle of it. */
  swapped: number;
  outside: number;
  untyped: number;
  wrong: number;
  notes: Partial<Record<"outside" | "untyped" | "wrong", string>>;
}

export const nothingCreated = (): Created => ({
  tries: 0,
  stored: 0,
  refused: 0,
  swapped: 0,
  outside: 0,
  untyped: 0,
  wrong: 0,
  notes: {},
});

const REPOS = [
  ...["acme/tiny", "acme/tiny", "tiny", "org/new", "in/y", "acme/escape", "out/x", "out", "up/outside", "up"],
  ...["dangling", "dangling/x", "loop/z", "model.gguf", "m.gguf/x", "acme"],
];
/** Names under which links have been left. */
const PLANTED = [
  ...[
    "out/x.gguf",
    "out/canary",
    "up/outside/canary",
    "up/x.gguf",
    "loop/x",
    "dangling/x",
    "dangling",
    "m.gguf",
  ],
  ...[
    "model.gguf",
    "config.json",
    "escape/x.gguf",
    "in/x.gguf",
    "acme/escape/m.gguf",
    "acme/tiny/config.json",
  ],
];
/** So many files go into one directory before a new one is made. */
const PER_PLACE = 100;

interface Try {
  asked: PlanInput;
  content: string;
  text: string;
  /** When a directory on the way becomes a link to elsewhere. */
  swap: "never" | "planned" | "opened" | "committed";
}

function tryOf(seed: number, number: number): Try {
  const next = randomOf(Math.imul(seed, 0x85ebca6b) ^ number);
  const content = `download ${number} of seed ${seed}`;
  const kind = next();
  const name = kind < 0.35 ? hostile(next) : kind < 0.7 ? oneOf(next, PLANTED) : ordinary(next);
  const layout = oneOf(next, ["flat", "flat", "hf-cache", "ollama"] as const);
  const repo = next() < 0.15 ? null : next() < 0.2 ? hostile(next) : oneOf(next, REPOS);
  const path = layout === "ollama" && next() < 0.7 ? ollamaPath(next, content) : name;
  const digest = oneOf(next, [sha256(content), gitSha1(content), null]);
  const swap = next() < 0.8 ? "never" : oneOf(next, ["planned", "opened", "committed"] as const);
  const asked = input([{ path, content, digest: layout === "ollama" ? sha256(content) : digest }], {
    id: `${seed}-${number}`,
    repo,
    layout,
    revision: next() < 0.8 ? "main" : hostile(next),
    ...(next() < 0.1 ? { commit: hostile(next) } : {}),
  });
  return { asked, content, swap, text: `${layout} ${shown(repo ?? "")} ${shown(path)} ${swap}` };
}

/** What a registry's manifest leads to: its blobs and itself. */
function ollamaPath(next: () => number, content: string): string {
  if (next() < 0.5) return `blobs/sha256-${sha256(content).hex}`;
  return `manifests/${oneOf(next, ["registry.ollama.ai", "h:1", "..", "out"])}/${oneOf(next, ["library", hostile(next)])}/m/latest`;
}

/** Brings files into directories with links in them, one after the other; `damage` outside is looked for after each. */
export async function createAll(seed: number, count: number, say: (line: string) => void): Promise<Created> {
  const created = nothingCreated();
  let mined = new Mined();
  let storage = mined.place.storage();
  try {
    for (let number = 0; number < count; number++) {
      if (number > 0 && number % PER_PLACE === 0) {
        mined[Symbol.dispose]();
        mined = new Mined();
        storage = mined.place.storage();
      }
      const isHurt = await createOne(created, mined, storage, tryOf(seed, number), number);
      if (isHurt) {
        mined[Symbol.dispose]();
        mined = new Mined();
        storage = mined.place.storage();
      }
      if (number % 2_000 === 1_999) say(`${number + 1} of ${count} files`);
    }
  } finally {
    mined[Symbol.dispose]();
  }
  return created;
}

/** True when something was written elsewhere. */
async function createOne(
  created: Created,
  mined: Mined,
  storage: Storage,
  { asked, content, swap, text }: Try,
  number: number,
): Promise<boolean> {
  created.tries += 1;
  let at: Target | undefined;
  let isSwapped = false;
  const swapWhen = (when: Try["swap"]): void => {
    if (swap !== when || at === undefined) return;
    const dir = dirname(at.partial);
    isSwapped = mined.swap(number % 2 === 0 ? dir : dirname(dir));
  };
  try {
    const plan = await storage.plan(asked);
    at = plan.targets.get(1)!;
    swapWhen("planned");
    await bring(storage, at, contentOf(at, content), swapWhen);
    await storage.finish(asked, plan);
    if (isSwapped) created.swapped += 1;
    else {
      created.stored += 1;
      if (!mined.has(at.path, contentOf(at, content)))
        note(created, "wrong", number, `${text}: not what was stored`);
    }
  } catch (error) {
    if (!(error instanceof DownloadError) || error.code === "internal")
      note(created, "untyped", number, `${text}: ${error}`);
    created[isSwapped ? "swapped" : "refused"] += 1;
  }
  if (at !== undefined) await undo(created, storage, at, `${text}, taken away`, number);
  const damage = mined.damage();
  if (damage !== undefined) note(created, "outside", number, `${text}: ${damage}`);
  return damage !== undefined;
}

/** The way of every download: partial file, content, final name. */
async function bring(
  storage: Storage,
  at: Target,
  content: string,
  swapWhen: (when: Try["swap"]) => void,
): Promise<void> {
  const part = await storage.open(at);
  try {
    swapWhen("opened");
    await part.write(0, [Buffer.from(content)]);
    await storage.commit(at, part);
    swapWhen("committed");
  } finally {
    await part.close();
  }
}

/** Of a manifest, one that names nothing. */
const contentOf = ({ role }: Target, content: string): string =>
  role === "seal" ? JSON.stringify({ layers: [] }) : content;

/** Its partial data and its file, as cancelling and deleting do. */
async function undo(
  created: Created,
  storage: Storage,
  at: Target,
  text: string,
  number: number,
): Promise<void> {
  for (const step of [() => storage.discard([at]), () => storage.remove(at.path)])
    try {
      await step();
    } catch (error) {
      if (!(error instanceof DownloadError) || error.code === "internal")
        note(created, "untyped", number, `${text}: ${error}`);
    }
}

function note(created: Created, kind: keyof Created["notes"], number: number, what: string): void {
  created[kind] += 1;
  created.notes[kind] ??= `file ${number}: ${what}`;
}
