import { speed } from "../parts/format.ts";
import { type ConnectionKind, connection } from "../state/connection.ts";
import { totalSpeed } from "../state/store.ts";

const WORDS: Record<ConnectionKind, string> = {
  connecting: "connecting",
  live: "live",
  sse: "live",
  polling: "asking every 2 s",
  offline: "no connection",
  locked: "locked",
};

export function Header() {
  return (
    <header class="head">
      <h1>modelhaul</h1>
      <span role="status">{WORDS[connection.value.kind]}</span>
      <span class="figure">{speed(totalSpeed.value)}</span>
    </header>
  );
}
