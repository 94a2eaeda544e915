import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Daemon } from "../../support/daemon.ts";
import { ggufHeader } from "../../support/hub/gguf.ts";
import { ggufRepo, startHub } from "../../support/hub.ts";
import { startModelScope } from "../../support/modelscope.ts";
import { ordinaryModel, startOllamaRegistry } from "../../support/ollama-registry.ts";
import { type TempDir, tempDir } from "../../support/temp.ts";
import { type OpenApiDocument, operationsOf } from "../fuzz/grammar.ts";
import { emptyTally, Fuzz, SLOW_MS, type Tally } from "../fuzz/run.ts";
import { emptySocketTally, fuzzSockets, type SocketTally } from "../fuzz/sockets.ts";
import type { Figure, Rig, RigOptions } from "../rig.ts";

const MOST_GROWTH_MB = 50;
/** Samples of memory that one figure is the median of. */
const SAMPLES = 9;

/** F137-F164, F222, F223, G14: whatever is sent. */
export const fuzz: Rig = {
  name: "fuzz",
  title:
    "Requests made of the OpenAPI document, real ones changed, raw bytes, and WebSocket frames of every kind: no 5xx, no crash, no answer slower than a second, every refusal in its family's shape, memory flat, nothing written elsewhere.",
  async run(options) {
    using dir = tempDir("rig-fuzz");
    await using hub = await startHub({ repos: [ggufRepo("acme/tiny-gguf")] });
    await using site = await startModelScope({ repos: [ggufRepo("acme/tiny-gguf")] });
    await using registry = await startOllamaRegistry({ models: [ordinaryModel("llama3.2")] });
    await using daemon = new Daemon({
      dir: dir.path,
      args: ["--log-level", "warning", "--ollama-registry", registry.endpoint, "--allow-host", "a"],
      env: {
        HF_ENDPOINT: hub.endpoint,
        MODELSCOPE_ENDPOINT: site.endpoint,
        OLLAMA_HOST: "http://127.0.0.1:9",
        TMPDIR: place(dir, "tmp"),
      },
    });
    // An engine can be made of it.
    mkdirSync(daemon.modelsDir);
    const header = ggufHeader({ name: "tiny", quantization: "Q4_K_M", size: 4096 });
    writeFileSync(join(daemon.modelsDir, "tiny.gguf"), header);
    await daemon.start(["env", "-C", place(dir, "cwd")]);
    // Nothing that is queued starts: no request leaves this machine, and no name is looked up.
    await daemon.must("PATCH", "/v1/settings", { paused: true });
    return await attack(options, daemon, dir);
  },
};

function place(dir: TempDir, name: string): string {
  mkdirSync(dir.at(name));
  return dir.at(name);
}

async function attack({ seed, isLong, say }: RigOptions, daemon: Daemon, dir: TempDir): Promise<Figure[]> {
  const count = isLong ? 1_000_000 : 8_000;
  const warm = isLong ? 50_000 : 3_000;
  const document = (await daemon.must("GET", "/openapi.json")) as OpenApiDocument;
  const operations = operationsOf(document);
  const tally = emptyTally();
  const memory = new Memory(daemon.pid);
  const began = Date.now();
  const port = Number(new URL(daemon.base).port);
  const after = (sent: number): void => {
    if (sent % 200 === 0) memory.sample();
    if (sent === warm) memory.warm();
    if (sent % 50_000 === 0) say(`${sent} of ${count} requests, ${tally.faults} faults, ${memory.now} MB`);
  };
  const start = performance.now();
  await new Fuzz({ port, seed, count, operations, tally, say, after }).run();
  const seconds = (performance.now() - start) / 1000;
  const frames = await attackSockets({ seed, isLong, say }, daemon, port);
  const isAlive = existsSync(`/proc/${daemon.pid}`) && (await daemon.api("GET", "/health")).status === 200;
  const settings = await daemon.must("GET", "/v1/settings");
  const grown = memory.grown;
  await daemon.stop();
  const internal = daemon.log.filter((line) => /request failed|frame failed/i.test(line));
  // The default folders of the layouts `hf-cache` and `ollama` are folders for models too.
  const models = [daemon.modelsDir, dir.at(".cache"), dir.at(".ollama")];
  const strays = newer(dir.path, began, [daemon.dataDir, ...models]);
  return [
    ...figuresOf(tally, count, seconds, operations.length),
    {
      what: "memory more than after warm-up",
      value: grown,
      unit: "MB",
      atMost: MOST_GROWTH_MB,
      note: memory.story,
    },
    ...frames,
    { what: "crashes", value: isAlive ? 0 : 1, atMost: 0 },
    { what: "settings that let the queue run", value: settings.paused === true ? 0 : 1, atMost: 0 },
    { what: "failures of ours in the log", value: internal.length, atMost: 0, ...noted(internal[0]) },
    { what: "files written elsewhere", value: strays.length, atMost: 0, ...noted(strays[0]) },
  ];
}

/** So many sockets between two looks at a neighbour, and at memory. */
const SOCKETS_AT_ONCE = 50;

/** F222, F223: WebSockets over which goes what no client sends, beside one that behaves. */
async function attackSockets(
  { seed, isLong, say }: Pick<RigOptions, "seed" | "isLong" | "say">,
  daemon: Daemon,
  port: number,
): Promise<Figure[]> {
  const count = isLong ? 50_000 : 1_500;
  const tally = emptySocketTally();
  const memory = new Memory(daemon.pid);
  await tidy(daemon);
  using neighbour = await daemon.ws();
  neighbour.send({ type: "subscribe" });
  let looks = 0;
  const after = async (sockets: number): Promise<void> => {
    if (sockets % SOCKETS_AT_ONCE > 0) return;
    memory.sample();
    if (sockets >= count / 10 && Number.isNaN(memory.grown)) memory.warm();
    const { id } = await daemon.begin({ url: `http://127.0.0.1:9/look-${++looks}` });
    await neighbour.next((frame) => frame.type === "download" && frame.download.id === id);
    neighbour.all.length = 0;
    await tidy(daemon);
    if (sockets % 10_000 === 0)
      say(`${sockets} of ${count} sockets, ${tally.faults} faults, ${memory.now} MB`);
  };
  await fuzzSockets({ port, seed, count, tally, say, after });
  return socketFigures(tally, count, looks, memory);
}

/** Cancels and forgets what has piled up. */
async function tidy(daemon: Daemon): Promise<void> {
  await daemon.must("POST", "/v1/downloads/cancel");
  await daemon.must("DELETE", "/v1/history");
}

function socketFigures(tally: SocketTally, count: number, looks: number, memory: Memory): Figure[] {
  const list = (numbers: Iterable<[string, number]>): string =>
    [...numbers].map(([name, n]) => `${name}: ${n}`).join(", ");
  const { stood, ended, unfinished, overload } = tally;
  return [
    {
      what: "WebSockets",
      value: tally.sockets,
      atLeast: count,
      note: list(Object.entries({ stood, ended, unfinished, overload })),
    },
    {
      what: "frames over them",
      value: tally.frames,
      atLeast: 3 * count,
      note: list(Object.entries(tally.byKind)),
    },
    {
      what: "frames of the server",
      value: sum(tally.answers.values()),
      atLeast: count,
      note: list(tally.answers),
    },
    {
      what: "events that a neighbour got meanwhile",
      value: looks,
      atLeast: Math.floor(count / SOCKETS_AT_ONCE),
    },
    {
      what: "faults of WebSockets: no answer and no end, frames that no server sends",
      value: tally.faults,
      atMost: 0,
      ...noted(tally.notes.join("\n  - ")),
    },
    {
      what: "memory more than after the first tenth of them",
      value: memory.grown,
      unit: "MB",
      atMost: MOST_GROWTH_MB,
      note: memory.story,
    },
  ];
}

function figuresOf(tally: Tally, count: number, seconds: number, operations: number): Figure[] {
  const statuses = [...tally.byStatus].sort(([a], [b]) => a - b).map(([status, n]) => `${status}: ${n}`);
  return [
    { what: "requests", value: tally.sent, atLeast: count, note: statuses.join(", ") },
    { what: "a second", value: tally.sent / seconds },
    { what: "operations of the document", value: operations, atLeast: 60 },
    { what: "by the grammar", value: tally.byKind.grammar, atLeast: count * 0.6 },
    { what: "real ones changed", value: tally.byKind.mutated, atLeast: count * 0.15 },
    { what: "raw bytes", value: tally.byKind.raw, atLeast: count * 0.05 },
    { what: "refused in the family's shape", value: tally.refused, atLeast: count / 4 },
    { what: "refused by the HTTP parser", value: tally.parser, atLeast: 1 },
    { what: "raw bytes that wait for more", value: tally.unanswered },
    { what: "503 with Retry-After", value: tally.overload },
    { what: "connections opened", value: tally.reconnects + tally.byKind.raw },
    {
      what: "faults: 5xx, other shapes, no answer",
      value: tally.faults,
      atMost: 0,
      ...noted(tally.notes.join("\n  - ")),
    },
    { what: "slowest answer, in the crowd", value: tally.slowestMs, unit: "ms" },
    { what: `answers slower than ${SLOW_MS} ms, alone too`, value: tally.slow, atMost: 0 },
  ];
}

const noted = (note: string | undefined): { note?: string } =>
  note === undefined || note === "" ? {} : { note };

const sum = (numbers: Iterable<number>): number => [...numbers].reduce((all, one) => all + one, 0);

/** Resident memory of a process over time. */
class Memory {
  readonly #pid: number;
  #samples: number[] = [];
  #warm: number | undefined;

  constructor(pid: number) {
    this.#pid = pid;
  }

  sample(): void {
    const [, kilobytes = "0"] =
      /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${this.#pid}/status`, "utf8")) ?? [];
    this.#samples.push(Number(kilobytes) / 1024);
  }

  get now(): number {
    return Math.round(median(this.#samples.slice(-SAMPLES)));
  }

  /** From here on it should stay as it is. */
  warm(): void {
    this.#warm = this.now;
  }

  get grown(): number {
    return this.#warm === undefined ? Number.NaN : this.now - this.#warm;
  }

  get story(): string {
    return `${this.#warm} MB after warm-up, ${this.now} MB at the end, ${Math.round(Math.max(...this.#samples))} MB at most`;
  }
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

/** Files and folders below `root` that have come or changed since then, but for those below `allowed`. */
function newer(root: string, since: number, allowed: readonly string[]): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !allowed.some((folder) => path === folder || path.startsWith(`${folder}/`)))
    .filter((path) => lstatSync(path).mtimeMs > since);
}
