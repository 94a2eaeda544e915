import { join } from "node:path";
import { Lines } from "../../support/until.ts";
import type { Figure, Rig, RigOptions } from "../rig.ts";
import type { Findings } from "../ssrf/inside.ts";

/** Namespaces of our own: nothing in there reaches the machine's network, and nothing outside is changed. */
const UNSHARE = ["unshare", "--net", "--mount", ...(process.getuid?.() === 0 ? [] : ["--map-root-user"])];
const INSIDE = join(import.meta.dir, "..", "ssrf", "inside.ts");

/** F166 to F177, G16: the daemon is asked to fetch from where it must not look. */
export const ssrf: Rig = {
  name: "ssrf",
  title:
    "Every spelling of an address inside, directly, behind redirects, by names that change their mind, and with proxies about: nobody inside is connected to, and every refusal says so.",
  needs: { unshare: "util-linux", ip: "iproute2", mount: "mount" },
  hindrance() {
    const command = [...UNSHARE, "ip", "link", "set", "lo", "up"];
    const { exitCode } = Bun.spawnSync(command, { stdout: "ignore", stderr: "ignore" });
    return exitCode === 0 ? undefined : "this user may not make network and mount namespaces";
  },
  async run(options) {
    return figuresOf(await inside(options), options);
  },
};

async function inside({ seed, isLong, say }: RigOptions): Promise<Findings> {
  const options = JSON.stringify({ seed, isLong });
  const child = Bun.spawn([...UNSHARE, process.execPath, INSIDE, options], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = [new Lines(child.stdout), new Lines(child.stderr)];
  const code = await child.exited;
  await Promise.all([out.closed, err.closed]);
  for (const line of err.all) say(line);
  if (code !== 0) throw new Error(`the inner half of the rig ended with ${code}`);
  return JSON.parse(out.all.at(-1) ?? "") as Findings;
}

function figuresOf(found: Findings, { isLong, seed }: RigOptions): Figure[] {
  const total = Object.values(found.attempts).reduce((sum, count) => sum + count, 0);
  const ways = Object.entries(found.attempts).map(([way, count]) => `${way} ${count}`);
  const none = (what: string, all: readonly string[]): Figure => ({
    what,
    value: all.length,
    atMost: 0,
    ...(all[0] !== undefined && { note: `--seed ${seed}: ${all.slice(0, 5).join("; ")}` }),
  });
  return [
    { what: "spellings of addresses inside", value: found.spellings, atLeast: 200 },
    { what: "attempts", value: total, atLeast: isLong ? 3_000 : 250, note: ways.join(", ") },
    { what: "listening canaries", value: found.listening, atLeast: 50 },
    { what: "visits of our own that were noticed", value: found.noticed, atLeast: 2, atMost: 2 },
    none("connections to canaries", found.reached),
    { what: "connections tried where nobody listens", value: found.unanswered, atMost: 0 },
    none("attempts not refused with the right code", found.untyped),
    none("requests for something inside that a named proxy got", found.proxied),
    { what: "names that the resolver changed", value: found.flipped, atLeast: isLong ? 20 : 5 },
    { what: "allowed downloads that were not done", value: found.wanted - found.done, atMost: 0 },
    { what: "allowed downloads done", value: found.done, atLeast: 8 },
  ];
}
