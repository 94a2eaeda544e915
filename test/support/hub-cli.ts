/** A hub to try modelhaul against by hand: `bun run hub`. */
import parseBytes from "bytes";
import { Command } from "commander";
import { ggufRepo, type Hub, type RepoSpec, safetensorsRepo, smallFilesRepo, startHub } from "./hub.ts";

interface CliOptions {
  host: string;
  port: string;
  cdnPort: string;
  rate?: string;
  size: string;
  xet: boolean;
  json: boolean;
}

const API = "http://127.0.0.1:8080/v1/downloads";
const MEMBER = "ada";

/** What there is to download, each with the request that does it. */
interface Demo {
  spec: RepoSpec;
  what: string;
  body: Record<string, unknown>;
}

function demos(size: number, token: string): Demo[] {
  const gated = {
    ...ggufRepo("acme/gated-gguf", { quantizations: { Q4_K_M: 4 << 20 } }),
    gated: "manual" as const,
  };
  return [
    {
      spec: ggufRepo("acme/tiny-gguf", {
        quantizations: { Q4_K_M: 4 << 20, Q8_0: 8 << 20 },
        split: { quantization: "F16", count: 3, sizeOfEach: 4 << 20 },
      }),
      what: "several quantizations and a split set",
      body: { repo_id: "acme/tiny-gguf", filename: "tiny-Q4_K_M.gguf" },
    },
    {
      spec: ggufRepo("acme/big-gguf", { quantizations: { Q4_K_M: size } }),
      what: "one big file",
      body: { repo_id: "acme/big-gguf", filename: "big-Q4_K_M.gguf" },
    },
    {
      spec: safetensorsRepo("acme/shards", { shards: 4, sizeOfEach: 8 << 20 }),
      what: "a whole safetensors repository",
      body: { repo_id: "acme/shards" },
    },
    {
      spec: smallFilesRepo("acme/many-files"),
      what: "2 000 small files",
      body: { repo_id: "acme/many-files" },
    },
    {
      spec: gated,
      what: `gated, refused without the token ${token}`,
      body: { repo_id: "acme/gated-gguf", filename: "gated-Q4_K_M.gguf", token },
    },
  ];
}

const SHOWN_FILES = 12;

function describe({ spec, what, body }: Demo, hub: Hub): string {
  const files = spec.files.slice(0, SHOWN_FILES).map((it) => {
    const size = parseBytes.format(hub.repo(spec.id).file(it.path).size) ?? "";
    return `    ${size.padStart(8)}  ${it.path}`;
  });
  const more = spec.files.length > SHOWN_FILES ? [`    … and ${spec.files.length - SHOWN_FILES} more`] : [];
  const curl = `  curl -X POST ${API} -H 'content-type: application/json' -d '${JSON.stringify(body)}'`;
  return [`${spec.id}: ${what}`, ...files, ...more, curl, ""].join("\n");
}

function bytesOf(text: string, option: string): number {
  const size = parseBytes.parse(text);
  if (size === null || size < 1) throw new Error(`${option} ${text}: give a size such as 256MB`);
  return size;
}

async function run(options: CliOptions): Promise<void> {
  const ratePerConnection = options.rate === undefined ? undefined : bytesOf(options.rate, "--rate");
  const hub = await startHub({
    host: options.host,
    cdnHost: options.host === "localhost" ? "127.0.0.1" : "localhost",
    port: Number(options.port),
    cdnPort: Number(options.cdnPort),
    cdnLimits: { ratePerConnection },
    xet: options.xet,
  });
  const token = hub.addUser(MEMBER, { access: { "acme/gated-gguf": "granted" } });
  const all = demos(bytesOf(options.size, "--size"), token);
  for (const { spec } of all) hub.add(spec);
  if (options.json) {
    const { pid } = process;
    console.log(
      JSON.stringify({
        endpoint: hub.endpoint,
        cdn: hub.cdn.base,
        token,
        pid,
        repos: all.map((it) => it.spec.id),
      }),
    );
  } else {
    const rate = options.rate === undefined ? "" : `, ${options.rate}/s on each connection`;
    console.log(`hub on ${hub.endpoint}, its CDN on ${hub.cdn.base}${rate}\n`);
    for (const demo of all) console.log(describe(demo, hub));
    console.log(
      `Start modelhaul beside it:\n  HF_ENDPOINT=${hub.endpoint} bun run start\nStop this with Ctrl-C.`,
    );
  }
  const stop = async (): Promise<void> => {
    await hub.stop();
    process.exit(0);
  };
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
}

function fail(error: Error & { code?: string }): never {
  const hint =
    error.code === "EADDRINUSE" ? "; give others with --port and --cdn-port, or stop what listens there" : "";
  console.error(`hub: ${error.message}${hint}`);
  process.exit(1);
}

await new Command("hub")
  .description("a Hugging Face hub for trying modelhaul by hand: generated files, nothing stored")
  .option("--host <name>", "address of the hub; the CDN gets the other name of loopback", "127.0.0.1")
  .option("--port <number>", "port of the hub, 0 for any", "9090")
  .option("--cdn-port <number>", "port of the CDN, 0 for any", "9091")
  .option("--rate <size>", "bytes per second of each CDN connection, such as 20MB")
  .option("--size <size>", "size of the big file", "256MB")
  .option("--no-xet", "announce no Xet, for reference clients that would use it")
  .option("--json", "print one line of JSON once listening", false)
  .action((options: CliOptions) => run(options).catch(fail))
  .parseAsync();
