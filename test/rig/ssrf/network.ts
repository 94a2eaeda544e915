/** The world inside the rig's network namespace: every address there is leads back to this machine. */
import { readFileSync, writeFileSync } from "node:fs";
import { INSIDE_4, INSIDE_6 } from "./spellings.ts";

/** Where canaries listen: the usual ports, and the one of the origin, which rebound names are asked at. */
export const PORTS = [80, 443, 7000] as const;
export const PORT = 7000;
/** A canary that would forward whatever it is asked for; named as proxy by the environment only. */
export const PROXY_PORT = 3128;

function must(...command: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(command, { stdout: "ignore", stderr: "pipe" });
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr.toString().trim()}`);
}

/**
 * Sets up `lo` so that a connection to any address, public ones included, arrives here, and names are asked of
 * `resolver`. `open6` is one more address of IPv6 to listen on. Only for a network and mount namespace of one's own.
 */
export function openNetwork(resolver: string, folder: string, open6: string): void {
  const own6 = [open6, ...INSIDE_6.filter((address) => !/^::(?:1|ffff:0:.*)?$/.test(address))];
  must("ip", "link", "set", "lo", "up");
  must("ip", "route", "add", "local", "0.0.0.0/0", "dev", "lo");
  must("ip", "-6", "route", "add", "local", "::/0", "dev", "lo");
  // Of IPv6 only what an interface has can be listened on.
  for (const address of own6) must("ip", "-6", "address", "add", `${address}/128`, "dev", "lo", "nodad");
  const files = {
    "/etc/resolv.conf": `nameserver ${resolver}\noptions timeout:1 attempts:2\n`,
    "/etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "/etc/nsswitch.conf": "hosts: files dns\n",
  };
  for (const [path, text] of Object.entries(files)) {
    const own = `${folder}/${path.replaceAll("/", "_")}`;
    writeFileSync(own, text);
    must("mount", "--bind", own, path);
  }
}

export interface Canaries extends Disposable {
  /** Who was reached, `address:port` for each connection. */
  readonly reached: string[];
  readonly listening: number;
}

/** Listens on every address inside that can be listened on, and counts who comes. */
export function startCanaries(): Canaries {
  const reached: string[] = [];
  const places = [...INSIDE_4, ...INSIDE_6].filter((it) => it !== "0.0.0.0" && it !== "::");
  const wanted = [
    ...places.flatMap((hostname) => PORTS.map((port) => ({ hostname, port }))),
    { hostname: "127.0.0.1", port: PROXY_PORT },
  ];
  const listeners = wanted.flatMap(({ hostname, port }) => {
    try {
      const note = () => void reached.push(`${hostname}:${port}`);
      return [Bun.listen({ hostname, port, socket: { open: note, data: (socket) => void socket.end() } })];
    } catch {
      // Reserved ranges cannot all be bound; a connection there is refused, which the kernel's counters tell.
      return [];
    }
  });
  return {
    reached,
    listening: listeners.length,
    [Symbol.dispose]: () => {
      for (const listener of listeners) listener.stop(true);
    },
  };
}

/** Connections of this namespace that nobody has accepted: attempts at addresses where no canary sits. */
export function unanswered(): number {
  const [names = "", values = ""] = readFileSync("/proc/net/snmp", "utf8")
    .split("\n")
    .filter((line) => line.startsWith("Tcp:"));
  const of = (name: string): number => Number(values.split(" ")[names.split(" ").indexOf(name)]);
  return of("ActiveOpens") - of("PassiveOpens");
}
