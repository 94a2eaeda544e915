import { ptr } from "bun:ffi";
import { libc } from "./libc.ts";

/**
 * How many bytes the kernel still holds for the peer. A reset throws those away, so whoever promises "a reset after
 * exactly N bytes" has to wait until there are none.
 */
const SIOCOUTQ = 0x5411n;
const POLL_MS = 2;
const PATIENCE_MS = 1_000;
/** Where the count cannot be read: long enough for loopback. */
const BLIND_MS = 30;

/** Resolves when the peer's kernel has everything that was written to `fd`, or after a second of no luck. */
export async function delivered(fd: number): Promise<void> {
  const system = libc();
  if (!system || fd < 0) return Bun.sleep(BLIND_MS);
  const held = new Int32Array(1);
  for (let waited = 0; waited < PATIENCE_MS; waited += POLL_MS) {
    if (system.ioctl(fd, SIOCOUTQ, ptr(held)) !== 0 || held[0] === 0) return;
    await Bun.sleep(POLL_MS);
  }
}
