import { type Daemon, startDaemon } from "../../support/daemon.ts";
import { randomOf } from "../../support/random.ts";
import { tempDir } from "../../support/temp.ts";
import type { Figure, Rig } from "../rig.ts";
import { processesOf, type Traces, tracesBelow } from "../secrets/places.ts";
import { type Leak, leaksIn, looksOf, type Peer, type Place, Plants } from "../secrets/plant.ts";
import { aside, begin, type Cast, command, crash, end, frames, read } from "../secrets/scenario.ts";
import { heardBy, startWorld, type World } from "../secrets/world.ts";

const PEERS: readonly Peer[] = ["hub", "cdn", "origin", "other", "proxy"];

interface Haul {
  secrets: number;
  places: number;
  bytes: number;
  files: number;
  leaks: string[];
  /** Secrets that did not reach the peer they are meant for. */
  undelivered: string[];
  /** Files of secrets that others may read. */
  open: string[];
  keepers: number;
  /** Downloads that had to end well and did not. */
  unfinished: string[];
}

/** I7, F183, F193 to F196, F207, G19: what was told in confidence is looked for in everything that was written or said. */
export const secrets: Rig = {
  name: "secrets",
  title:
    "Keys, tokens, signed links, logins and headers go through success, failure, redirects, refusals, nonsense, kill -9 and debug logs: they reach whom they are meant for, and are found nowhere else.",
  async run({ seed, isLong, say }) {
    const rounds = isLong ? 12 : 1;
    const hauls: Haul[] = [];
    for (let round = 0; round < rounds; round++) {
      hauls.push(await play(randomOf(seed + round), round % 2 === 0 ? "json" : "text"));
      say(`round ${round + 1} of ${rounds}`);
    }
    return figuresOf(hauls, seed);
  },
};

async function play(next: () => number, format: "json" | "text"): Promise<Haul> {
  const plants = new Plants(next);
  using dir = tempDir("rig-secrets");
  using program = tempDir("rig-secrets-program");
  await using world = await startWorld(plants, program.path);
  const key = plants.plant("API key");
  const login = `ada:${plants.plant("password of the proxy", "proxy")}`;
  await using daemon = await startDaemon({
    dir: dir.path,
    args: [
      ...["--log-level", "debug", "--log-format", format, "--linger", "1h"],
      ...["127.0.0.0/8", "::1/128"].flatMap((it) => ["--allow-address", it]),
      ...["--engine-runtime", "llama-server", "--llama-server", world.program.path],
    ],
    env: {
      HF_ENDPOINT: world.hub.endpoint,
      HF_TOKEN: world.granted,
      MODELHAUL_API_KEY: key,
      MODELHAUL_PROXY: `http://${login}@127.0.0.1:${world.proxy.port}`,
    },
    apiKey: key,
  });
  const cast: Cast = { world, daemon, plants, key, dir: dir.path, next, said: [] };
  const { places, traces, unfinished } = await act(cast);
  return judge(world, plants, { places, traces, unfinished });
}

/** The whole play, and everything that it left behind. */
async function act(cast: Cast): Promise<{ places: Place[]; traces: Traces[]; unfinished: string[] }> {
  const { daemon, dir, said } = cast;
  const places: Place[] = [];
  const traces: Traces[] = [];
  const first = await listen(daemon);
  frames(cast, (text) => first.socket.sendText(text));
  const wanted = await begin(cast);
  traces.push(tracesBelow(dir, "before the kill"));
  places.push(...first.places(), ...processesOf(dir, daemon.pid));
  await crash(cast);
  traces.push(tracesBelow(dir, "after the kill"));
  const second = await listen(daemon);
  await aside(cast);
  const unfinished = await end(cast, wanted);
  await read(cast);
  places.push(...(await command(cast)), ...processesOf(dir, daemon.pid), ...second.places());
  await daemon.stop();
  traces.push(tracesBelow(dir, "at the end", false));
  places.push({ name: "answers", content: Buffer.from(said.join("\n")) });
  places.push({ name: "the log", content: Buffer.from(daemon.log.join("\n")) });
  return { places, traces, unfinished };
}

async function listen(daemon: Daemon) {
  const [events, socket] = await Promise.all([daemon.events(), daemon.ws()]);
  socket.send({ type: "subscribe" });
  const places = (): Place[] => {
    const all = [
      { name: "server-sent events", content: Buffer.from(JSON.stringify(events.all)) },
      { name: "WebSocket frames", content: Buffer.from(JSON.stringify(socket.all)) },
    ];
    events[Symbol.dispose]();
    socket[Symbol.dispose]();
    return all;
  };
  return { socket, places };
}

function judge(
  world: World,
  { all }: Plants,
  found: { places: Place[]; traces: Traces[]; unfinished: string[] },
): Haul {
  const written = [...found.places, ...found.traces.flatMap(({ places }) => places)];
  const heard = PEERS.map((peer) => ({ peer, place: heardBy(world, peer) }));
  const leaks: Leak[] = [
    ...leaksIn(all, written),
    ...heard.flatMap(({ peer, place }) =>
      leaksIn(
        all.filter(({ goesTo }) => !goesTo.includes(peer)),
        [place],
      ),
    ),
  ];
  const undelivered = all.filter(
    ({ text, goesTo }) =>
      !goesTo.every((peer) =>
        heard.some((it) => it.peer === peer && looksOf(text).some((look) => it.place.content.includes(look))),
      ),
  );
  const keepers = found.traces.flatMap(({ keepers: those }) => those);
  return {
    secrets: all.length,
    places: written.length + heard.length,
    bytes: [...written, ...heard.map(({ place }) => place)].reduce((sum, it) => sum + it.content.length, 0),
    files: found.traces.reduce((sum, { files }) => sum + files, 0),
    leaks: leaks.map(({ secret, place, before }) => `${secret} in ${place}, after "${before}"`),
    undelivered: undelivered.map(({ name }) => name),
    open: keepers
      .filter(({ mode, uid }) => mode !== 0o600 || uid !== process.getuid?.())
      .map(({ path, mode }) => `${path} ${mode.toString(8)}`),
    keepers: keepers.length,
    unfinished: found.unfinished,
  };
}

function figuresOf(hauls: readonly Haul[], seed: number): Figure[] {
  const sum = (of: (haul: Haul) => number): number => hauls.reduce((total, haul) => total + of(haul), 0);
  const none = (what: string, of: (haul: Haul) => readonly string[]): Figure => {
    const all = hauls.flatMap((haul, round) => of(haul).map((it) => `round ${round + 1}: ${it}`));
    const note = `--seed ${seed}: ${all.slice(0, 5).join("; ")}`;
    return { what, value: all.length, atMost: 0, ...(all.length > 0 && { note }) };
  };
  return [
    { what: "secrets told", value: sum((it) => it.secrets), atLeast: 20 * hauls.length },
    none("secrets found where they must not be", (it) => it.leaks),
    none("secrets that did not reach whom they are meant for", (it) => it.undelivered),
    none("files of secrets that others may read or own", (it) => it.open),
    { what: "looks at the file of secrets", value: sum((it) => it.keepers), atLeast: 2 * hauls.length },
    none("downloads that had to end well and did not", (it) => it.unfinished),
    { what: "places searched", value: sum((it) => it.places), atLeast: 100 * hauls.length },
    { what: "files among them", value: sum((it) => it.files), atLeast: 30 * hauls.length },
    { what: "searched", value: sum((it) => it.bytes) / 2 ** 20, unit: "MiB", atLeast: 5 * hauls.length },
  ];
}
