import { readFileSync } from "node:fs";

const ESTABLISHED = "01";

/**
 * Whether this end of a connection over loopback, named by both ports, has been ended by neither side, by the kernel's
 * own table; Linux only.
 */
export function isEstablished(port: number, peer: number): boolean {
  const [here, there] = [port, peer].map((each) => `:${each.toString(16).toUpperCase().padStart(4, "0")}`);
  const lines = ["/proc/net/tcp", "/proc/net/tcp6"].flatMap((path) => readFileSync(path, "utf8").split("\n"));
  return lines.some((line) => {
    const [, local = "", remote = "", state] = line.trim().split(/\s+/);
    return local.endsWith(here!) && remote.endsWith(there!) && state === ESTABLISHED;
  });
}
