import { gguf, LLAMA } from "../../engines/support.ts";
import { literal } from "../../support/bytes.ts";
import { ggufRepo, startHub } from "../../support/hub.ts";
import { LlamaProgram } from "../../support/llama-server.ts";
import { startOrigin } from "../../support/origin.ts";
import type { Peer, Place, Plants } from "./plant.ts";

export const REPO = "acme/gated-gguf";
export const FILE = "gated-Q4_K_M.gguf";
/** Reached through the proxy alone. */
export const PROXIED = "http://models.example";

export type World = Awaited<ReturnType<typeof startWorld>>;

/** A hub with a gated repository, an origin that takes signatures, another that must learn nothing, and a proxy. */
export async function startWorld(plants: Plants, programDir: string) {
  const hub = await startHub({
    repos: [{ ...ggufRepo(REPO, { quantizations: { Q4_K_M: 3 << 20 } }), gated: "manual" }],
    cdnLimits: { ratePerConnection: 4_000_000 },
  });
  const user = (name: string, access: "granted" | "rejected"): string => {
    // The token is made of the user's name.
    return plants.keep(name, hub.addUser(plants.word(), { access: { [REPO]: access } }), "hub");
  };
  const model = literal(gguf({ pairs: LLAMA }));
  const [origin, other, proxy] = await Promise.all([
    startOrigin({
      resources: [
        { path: "/m.gguf", seed: 1, size: 5 << 20 },
        { path: "/engine.gguf", content: model },
      ],
      ratePerConnection: 1_500_000,
    }),
    startOrigin({ resources: [{ path: "/landed.gguf", seed: 2, size: 200_000 }] }),
    startOrigin({
      handler: ({ target }) =>
        target.startsWith(PROXIED)
          ? { resource: { path: "/proxied.gguf", seed: 3, size: 100_000 } }
          : undefined,
    }),
  ]);
  const moved = plants.plant("signature of a redirect", "other");
  origin.on({ path: "/moved.gguf" }, { kind: "redirect", to: `${other.url("/landed.gguf")}?sig=${moved}` });
  origin.on({ path: "/lost.gguf" }, { kind: "redirect", to: `${other.url("/refused.gguf")}?sig=${moved}` });
  other.on({ path: "/refused.gguf" }, { kind: "respond", status: 403, body: `your token ${moved} is bad` });
  const challenge = `Bearer realm="${other.url("/token")}",service="x"`;
  origin.on(
    { path: "/guarded.gguf" },
    { kind: "respond", status: 401, headers: { "WWW-Authenticate": challenge } },
  );
  const program = new LlamaProgram(programDir);
  const peers: Record<Peer, typeof origin> = { hub: hub.origin, cdn: hub.cdn, origin, other, proxy };
  return {
    hub,
    origin,
    other,
    proxy,
    program,
    granted: user("hub token of the environment", "granted"),
    rejected: user("hub token of a request", "rejected"),
    abstract: user("hub token of an abstractcore request", "granted"),
    engine: user("hub token of an engine", "rejected"),
    picker: user("hub token of a listing", "granted"),
    pulled: user("hub token of the command line", "granted"),
    peers,
    async [Symbol.asyncDispose]() {
      for (const pid of program.alive()) process.kill(pid, "SIGKILL");
      await Promise.all([hub[Symbol.asyncDispose](), origin.stop(), other.stop(), proxy.stop()]);
    },
  };
}

/** Everything that one peer was told. */
export const heardBy = ({ peers }: World, peer: Peer): Place => ({
  name: `requests to the ${peer}`,
  content: Buffer.from(
    JSON.stringify(peers[peer].log.map(({ target, headers, body }) => ({ target, headers, body }))),
  ),
});
