import { readFileSync } from "node:fs";
import { type Config, ConfigError } from "../config.ts";
import { isFinished, parseDigest } from "../core/download.ts";
import { DownloadError } from "../core/errors.ts";
import type { StartRequest } from "../core/ports.ts";
import { withoutSecrets } from "../core/redact.ts";
import { type AddCommand, type Context, clientFor, configOf } from "./context.ts";
import { createDisplay, type Display } from "./display.ts";
import { combined, EXIT } from "./exit.ts";
import { complaint, follow, type Outcome } from "./follow.ts";
import { safe } from "./format.ts";
import { addOptions, CLIENT_OPTIONS, collect, STORE_OPTIONS } from "./options.ts";
import { parseRef } from "./ref.ts";
import { codeAndText } from "./report.ts";
import { openSession, RemoteSession, type Session } from "./session.ts";
import { onInterrupt } from "./terminal.ts";

interface PullFlags {
  revision?: string;
  include?: string[];
  exclude?: string[];
  sha256?: string;
  to?: string;
  tokenFile?: string;
  server?: string;
  json?: boolean;
  quiet?: boolean;
}

export const addPull: AddCommand = (program, context) => {
  const command = program
    .command("pull")
    .description(
      "download and wait until it is done; a daemon on the same data folder does the work if there is one",
    )
    .argument(
      "<ref...>",
      "hf:org/name[@revision][/path], mlx:org/name, modelscope:org/name, ollama:name[:tag], ollama-registry:name[:tag] or https://…",
    )
    .option(
      "--revision <REV>",
      "branch, tag or commit of a repository, or tag of an Ollama model of the registry",
    )
    .option("--include <GLOB>", "only files that match; repeatable", collect)
    .option("--exclude <GLOB>", "no files that match; repeatable", collect)
    .option("--sha256 <HEX>", "the digest the file must have")
    .option("--to <DIR>", "put the files there (not with a daemon, nor what goes to Ollama's folder)")
    .option(
      "--token-file <FILE>",
      "file with the hub token to use (default: as HF_TOKEN or MODELSCOPE_API_TOKEN says)",
    )
    .option("--json", "every change as one JSON object per line on standard output")
    .option("--quiet", "no progress");
  addOptions(command, [...STORE_OPTIONS, ...CLIENT_OPTIONS]).action(
    context.action((refs: string[], options: Record<string, unknown>) => pull(context, refs, options)),
  );
};

async function pull(context: Context, refs: string[], options: Record<string, unknown>): Promise<number> {
  const flags = options as PullFlags;
  const config = configOf(
    context,
    flags.to === undefined ? options : { ...options, modelsDir: flags.to },
    "client",
  );
  const requests = refs.map((ref) => requestOf(ref, flags, config));
  if (flags.sha256 !== undefined && refs.length > 1)
    throw new ConfigError("--sha256: give it with one reference only");

  const interrupts = onInterrupt();
  const session = await open(context, config, flags);
  const display = createDisplay(context.terminal, flags);
  try {
    const handed = session instanceof RemoteSession;
    if (handed && flags.to !== undefined)
      throw new ConfigError(
        "--to: a daemon does the work here, and it keeps its own folder; stop it, or leave --to out",
      );
    const sent =
      handed && flags.server === undefined ? requests.map((one) => withToken(one, config)) : requests;
    return await run({ context, session, display, signal: interrupts.signal, handed }, refs, sent);
  } finally {
    display.end();
    await session.close();
    interrupts.dispose();
  }
}

/** The daemon named by `--server`, else whoever owns the data folder. */
async function open(context: Context, config: Config, flags: PullFlags): Promise<Session> {
  if (flags.server === undefined)
    return openSession(config, context.services, { paused: false, onlyNamed: true });
  return new RemoteSession(clientFor(context.services, config));
}

function requestOf(ref: string, flags: PullFlags, config: Config): StartRequest {
  const request = parseRef(ref);
  const { revision, include, exclude, sha256, tokenFile } = flags;
  if (sha256 !== undefined && parseDigest("sha256", sha256) === undefined)
    throw new ConfigError(`--sha256 ${JSON.stringify(sha256)}: expected 64 hexadecimal digits`);
  const { rateLimit, layout, given } = config;
  return {
    ...request,
    ...(revision === undefined ? {} : { revision }),
    ...(include === undefined ? {} : { include: [...(request.include ?? []), ...include] }),
    ...(exclude === undefined ? {} : { exclude }),
    ...(sha256 === undefined ? {} : { sha256 }),
    ...(tokenFile === undefined ? {} : { token: readToken(tokenFile) }),
    ...(given.has("rateLimit") ? { rateLimit } : {}),
    ...(given.has("layout") ? { layout } : {}),
  };
}

function readToken(path: string): string {
  let token: string;
  try {
    token = readFileSync(path, "utf8").trim();
  } catch (error) {
    throw new ConfigError(`--token-file ${path}: ${error instanceof Error ? error.message : error}`);
  }
  if (token === "" || /\s/.test(token)) throw new ConfigError(`--token-file ${path}: expected one token`);
  return token;
}

/** Our own daemon may have been started without the hub token that this command was given by the environment. */
function withToken(request: StartRequest, config: Config): StartRequest {
  const { provider, repoId } = request;
  const hub = repoId !== undefined || provider === "mlx" ? config.hfToken : null;
  const token = provider === "modelscope" ? config.modelscopeToken : hub;
  return request.token === undefined && token !== null ? { ...request, token } : request;
}

interface Run {
  context: Context;
  session: Session;
  display: Display;
  signal: AbortSignal;
  /** A daemon does the work. */
  handed: boolean;
}

async function run(task: Run, refs: readonly string[], requests: readonly StartRequest[]): Promise<number> {
  const { context, session, display, signal } = task;
  const codes: number[] = [];
  const ids: string[] = [];
  for (const [i, request] of requests.entries()) {
    try {
      const { id } = await session.start(request);
      if (!ids.includes(id)) ids.push(id);
    } catch (error) {
      if (error instanceof DownloadError && error.code === "connect") throw error;
      const { code, text } = codeAndText(error);
      context.terminal.err(`modelhaul: ${safe(withoutSecrets(refs[i] ?? ""))}: ${text}`);
      codes.push(code);
    }
  }
  const outcomes: ReadonlyMap<string, Outcome> =
    ids.length === 0 ? new Map() : await follow(session, ids, display, signal);
  if (signal.aborted)
    return interrupted(
      task,
      ids.filter((id) => !outcomes.has(id)),
    );
  display.end();
  // What waits for its disk waits for the next command then, not for any other one.
  await session.interrupt(ids.filter((id) => isWaiting(outcomes.get(id))));
  const inOrder = ids.flatMap((id): [string, Outcome][] => {
    const outcome = outcomes.get(id);
    return outcome === undefined ? [] : [[id, outcome]];
  });
  return combined([...codes, ...report(task, inOrder)]);
}

const isWaiting = (outcome: Outcome | undefined): boolean =>
  outcome?.download !== undefined && !isFinished(outcome.download.state);

/** Paths on standard output, in the order asked for; failures on standard error. */
function report({ context: { terminal }, display }: Run, outcomes: readonly [string, Outcome][]): number[] {
  for (const [id, outcome] of outcomes) {
    const text = complaint(id, outcome);
    if (text !== "") terminal.err(text);
    else if (!display.json && outcome.download?.local_path) terminal.out(safe(outcome.download.local_path));
    for (const warning of outcome.download?.warnings ?? []) display.note(`note: ${safe(warning)}`);
  }
  return outcomes.map(([, outcome]) => outcome.code);
}

async function interrupted({ session, display, handed }: Run, ids: readonly string[]): Promise<number> {
  display.end();
  await session.interrupt(ids);
  display.note(
    handed
      ? "The daemon goes on; `modelhaul watch` follows it."
      : "Stopped. What has arrived is kept: the same command goes on from there.",
  );
  return EXIT.interrupted;
}
