import { existsSync } from "node:fs";
import { DownloadError } from "../core/errors.ts";
import type { Clock, EngineRuntime, Log } from "../core/ports.ts";
import { serverArguments } from "./llama-server/arguments.ts";
import { LogTail } from "./llama-server/log-tail.ts";
import { Supervised, TIMING, type Timing } from "./llama-server/supervised.ts";
import { inspect } from "./model/inspect.ts";

const PROGRAM = "llama-server";
/** Ours, and the hubs' keys: nothing that a server of models needs to know. */
const SECRET_VARIABLE = /^MODELHAUL_|^(HF|HUGGING_?FACE|MODELSCOPE)\w*TOKEN/i;
/** Logs of engines that do not run any more. */
const MOST_TAILS = 100;

export interface LlamaServerOptions {
  /** Path of the program; null: looked for on PATH each time. */
  program: string | null;
  environment: Readonly<Record<string, string | undefined>>;
  clock: Clock;
  log: Log;
  timing?: Partial<Timing>;
}

/** One supervised `llama-server` process per engine, on a loopback port of its own (A16). */
export function llamaServer(options: LlamaServerOptions): EngineRuntime {
  const { clock, log } = options;
  const timing = { ...TIMING, ...options.timing };
  const secrets = Object.entries(options.environment).filter(([name]) => !SECRET_VARIABLE.test(name));
  const environment = Object.fromEntries(secrets);
  const servers = new Map<string, Supervised>();
  const tails = new Map<string, LogTail>();
  let tell: Parameters<NonNullable<EngineRuntime["watch"]>>[0] = () => {};

  const stop = async (id: string): Promise<void> => {
    await servers.get(id)?.stop();
    servers.delete(id);
  };

  return {
    name: PROGRAM,
    resident: true,
    async create(spec, path, signal, among) {
      const { file, details, modelType, warnings } = await inspect(spec, path, signal, among);
      if (details.format !== "gguf")
        throw new DownloadError(
          "engine_failed",
          `llama-server loads GGUF files; '${file}' is none. The file stays.`,
        );
      const report = { endpoint: null, details, modelType, warnings };
      if (!spec.loadImmediately) return { ...report, state: "created" };
      const program = find(options.program, environment.PATH);
      const { engineId } = spec;
      await stop(engineId);
      const tail = freshTail(tails, servers, engineId);
      const server = new Supervised({
        label: engineId,
        command: (port) => [program, ...serverArguments({ ...spec, modelType }, file, port)],
        environment,
        tail,
        timing,
        clock,
        tell: (change) => {
          const { state, error = null } = change;
          if (state === "loaded") log.info("an engine is ready again", { engine_id: engineId });
          else log.warn("an engine ended by itself", { engine_id: engineId, state, error });
          tell(engineId, change);
        },
      });
      servers.set(engineId, server);
      try {
        await server.start(signal);
      } catch (error) {
        servers.delete(engineId);
        throw error;
      }
      log.info("an engine is ready", { engine_id: engineId, endpoint: server.endpoint });
      return { ...report, state: "loaded", endpoint: server.endpoint };
    },
    stop: ({ engineId }) => stop(engineId),
    async remove({ engineId }) {
      await stop(engineId);
      tails.delete(engineId);
    },
    runs: (engineId) => servers.has(engineId),
    log: (engineId) => tails.get(engineId)?.lines() ?? [],
    watch(listener) {
      tell = listener;
    },
    async close() {
      await Promise.all([...servers.keys()].map(stop));
    },
  };
}

function freshTail(
  tails: Map<string, LogTail>,
  servers: ReadonlyMap<string, unknown>,
  engineId: string,
): LogTail {
  tails.delete(engineId);
  for (const old of tails.keys()) if (tails.size >= MOST_TAILS && !servers.has(old)) tails.delete(old);
  const tail = new LogTail();
  tails.set(engineId, tail);
  return tail;
}

/** Path of the program. Throws `engine_failed` when there is none. */
export function find(program: string | null, path: string | undefined): string {
  const found = program ?? Bun.which(PROGRAM, { PATH: path ?? "" });
  if (found !== null && existsSync(found)) return found;
  const where = program === null ? "on PATH" : `at '${program}'`;
  throw new DownloadError(
    "engine_failed",
    `There is no llama-server ${where}. Install llama.cpp, or name the program with --llama-server PATH. The file stays.`,
  );
}
