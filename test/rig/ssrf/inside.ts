/** Runs in the namespaces that `rigs/ssrf.ts` makes; prints what it found as one line of JSON. */
import { type Daemon, startDaemon } from "../../support/daemon.ts";
import { randomOf } from "../../support/random.ts";
import { tempDir } from "../../support/temp.ts";
import { until } from "../../support/until.ts";
import { type Attempt, byAmbiguity, byOtherDoors, byRebinding, byUrl, HOPS } from "./attempts.ts";
import { PORT, PROXY_PORT, unanswered } from "./network.ts";
import { spellings } from "./spellings.ts";
import { GOOD, MIRROR, OPEN, PROXY, startWorld, type World } from "./world.ts";

const KEY = "the-key-of-the-ssrf-rig";
const AT_ONCE = 24;
const PATIENCE_MS = 60_000;

export interface Findings {
  spellings: number;
  attempts: Record<string, number>;
  /** Canaries that were reached, and by what phase. */
  reached: string[];
  /** Connections tried at addresses where nobody listens. */
  unanswered: number;
  /** Attempts that were not refused with the right code. */
  untyped: string[];
  /** Requests for something inside that went to the proxy the operator named. */
  proxied: string[];
  /** Downloads that are allowed, wanted and done. */
  wanted: number;
  done: number;
  /** Names that the resolver answered differently than before. */
  flipped: number;
  listening: number;
  /** Of a canary and of a place where nobody listens, those that noticed a visit of the rig's own. */
  noticed: number;
}

interface Options {
  seed: number;
  isLong: boolean;
}

const { seed, isLong } = JSON.parse(process.argv[2] ?? "{}") as Options;
const next = randomOf(seed);
using folder = tempDir("rig-ssrf");
const world = await startWorld(folder.path);
const findings: Findings = {
  spellings: 0,
  attempts: {},
  reached: [],
  unanswered: 0,
  untyped: [],
  proxied: [],
  wanted: 0,
  done: 0,
  flipped: 0,
  listening: world.canaries.listening,
  noticed: await tryOut(world),
};

const shuffled = <T>(all: readonly T[]): T[] =>
  all
    .map((it) => ({ it, at: next() }))
    .sort((a, b) => a.at - b.at)
    .map(({ it }) => it);

interface PhaseOptions {
  args?: string[];
  env?: Record<string, string>;
  /** What must be downloaded all the same. */
  good?: string;
}

/** A daemon that asks for a key, so that nothing inside is allowed, and one phase of attempts on it. */
async function phase(
  name: string,
  attempts: readonly Attempt[],
  { args = [], env = {}, good = GOOD }: PhaseOptions = {},
): Promise<void> {
  const before = unanswered();
  {
    await using daemon = await startDaemon({
      dir: folder.at(name),
      args: ["--listen", `${OPEN.daemon}:0`, "--api-key", KEY, "--max-concurrent", "50", ...args],
      env,
      apiKey: KEY,
    });
    await allowed(daemon, name, good);
    const queue = [...attempts];
    const work = async (): Promise<void> => {
      for (let one = queue.pop(); one; one = queue.pop()) await judge(daemon, name, one);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    // F175: the daemon itself, by the address it listens on.
    await judge(daemon, name, {
      way: "itself",
      to: daemon.base,
      method: "POST",
      path: "/v1/downloads",
      body: { url: `${daemon.base}/health` },
    });
    await allowed(daemon, name, `${good}?again`);
  }
  findings.unanswered += unanswered() - before;
  console.error(`${name}: ${attempts.length} attempts`);
}

/** The positive control: what is public is downloaded. */
async function allowed(daemon: Daemon, phaseName: string, url: string): Promise<void> {
  findings.wanted += 1;
  const { id } = await daemon.begin({ url, sha256: world.origin.sha256("/good.bin") });
  const { state } = await daemon.until(id, ({ state: now }) => ENDED.has(now), PATIENCE_MS);
  if (state === "completed") findings.done += 1;
  else findings.untyped.push(`${phaseName}: ${url} should have been downloaded and ${state}`);
}

const ENDED = new Set(["completed", "failed", "cancelled"]);

async function judge(daemon: Daemon, phaseName: string, attempt: Attempt): Promise<void> {
  const { way, to, codes = ["forbidden_address"] } = attempt;
  findings.attempts[way] = (findings.attempts[way] ?? 0) + 1;
  const code = await outcome(daemon, attempt).catch((error) => `no outcome: ${error}`);
  if (!codes.includes(code)) findings.untyped.push(`${phaseName}, ${way}: ${to} ended with ${code}`);
}

/** The code it was refused with, at once or later. */
async function outcome(daemon: Daemon, { method, path, body }: Attempt): Promise<string> {
  const retry = path.includes("downloads") ? { retry: { max_attempts: 3, base_ms: 1, max_ms: 1 } } : {};
  const { status, body: answer } = await daemon.api(method, path, body && { ...body, ...retry });
  if (typeof answer === "string") return codeInStream(daemon, answer);
  if (status >= 400) return String(answer.error?.code);
  const id: string = answer.id ?? answer.engine_id ?? answer.model_id;
  const { state, error_code } = await daemon.until(id, (it) => ENDED.has(it.state), PATIENCE_MS);
  return state === "failed" ? String(error_code) : state;
}

/** abstractcore tells its errors as text in a stream. */
async function codeInStream(daemon: Daemon, text: string): Promise<string> {
  if (/are not allowed: its address is private/.test(text)) return "forbidden_address";
  return /"error":/.test(text) ? `invalid_request` : `stream ${text.slice(-200)} ${daemon.base}`;
}

/** Goes where nobody may go, so that it is known that it would be seen. */
async function tryOut({ canaries }: World): Promise<number> {
  const before = unanswered();
  const visit = (hostname: string, port: number) =>
    Bun.connect({ hostname, port, socket: { data() {} } }).then(
      (socket) => socket.end(),
      () => undefined,
    );
  await visit("10.0.0.1", 80);
  await visit("10.0.0.1", 81);
  await until(() => canaries.reached.length > 0, "a canary to be reached");
  return canaries.reached.splice(0).length + unanswered() - before;
}

function note(phaseName: string, { canaries, proxy }: World): void {
  findings.reached.push(...canaries.reached.splice(0).map((where) => `${where} in ${phaseName}`));
  const inside = proxy.log.filter(({ target }) => !/^http:\/\/[a-z0-9-]+\.test[:/]/.test(target));
  findings.proxied = inside.map(({ target }) => target);
}

const all = spellings();
findings.spellings = all.length;
const some = shuffled(all).slice(0, isLong ? all.length : 45);
const few = isLong ? some : some.slice(0, 12);
const hops = isLong ? HOPS : [1, 5];

await phase("plain", [
  ...some.flatMap((it) => byUrl(it, next, hops)),
  ...byAmbiguity(),
  ...few.flatMap((it, index) => byOtherDoors(it, next, index)),
]);
note("plain", world);
const rebinding = shuffled(byRebinding());
await phase("rebinding", isLong ? rebinding : rebinding.slice(0, 40));
note("rebinding", world);

const canaryProxy = `http://127.0.0.1:${PROXY_PORT}`;
const variables = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
await phase(
  "proxy environment",
  few.flatMap((it) => byUrl(it, next, hops)),
  { env: Object.fromEntries(variables.map((name) => [name, canaryProxy])) },
);
note("proxy environment", world);
// Whoever names a proxy lets it resolve names: what can be known without, is refused all the same.
await phase(
  "named proxy",
  few.filter(({ resolved }) => !resolved).flatMap((it) => byUrl(it, next, hops)),
  { args: ["--proxy", PROXY] },
);
note("named proxy", world);

// F177: what the operator allows is reached, and nothing beside it.
await phase(
  "allowed mirror",
  few.flatMap((it) => byUrl(it, next, hops)),
  { args: ["--allow-address", `${MIRROR}/32`], good: `http://${MIRROR}:${PORT}/good.bin` },
);
note("allowed mirror", world);
world.canaries[Symbol.dispose]();
findings.flipped = world.resolver.flipped;
console.log(JSON.stringify(findings));
await Promise.all([world.origin, world.origin6, world.mirror, world.proxy].map((one) => one.stop()));
world.resolver[Symbol.dispose]();
process.exit(0);
