import { expect, test } from "bun:test";
import { sha256Of } from "../support/bytes.ts";
import { openProduct } from "../support/product.ts";
import { digest, MB, slowOrigin } from "./support.ts";

test("F47 one cancelled while it was paused begins anew when it is tried again: its bytes are new ones", async () => {
  await using origin = await slowOrigin();
  const retry = { baseMs: 1, maxMs: 2, maxAttempts: 2 };
  await using product = await openProduct({ settings: { retry, connectionsPerDownload: 1 } });
  const { downloads } = product;
  const { download } = await downloads.start({ url: origin.url("/slow.gguf") });
  await product.has(download.id, 4 * MB);
  await downloads.pause(download.id);
  await downloads.cancel(download.id);
  origin.limits.ratePerConnection = 1000 * MB;
  origin.limits.rateTotal = 1000 * MB;
  // Two tries that bring a megabyte each, and then nothing more; the third brings the rest.
  for (const first of [1, 6]) {
    origin.on({ path: "/slow.gguf", nth: first }, { kind: "cut", at: MB });
    origin.on(
      { path: "/slow.gguf", nth: { from: first + 1, to: first + 4 } },
      { kind: "respond", status: 500 },
    );
  }
  await downloads.retry(download.id);
  const done = await product.reaches(download.id, "completed", "failed");
  expect([done.error, done.state]).toEqual([null, "completed"]);
  expect(digest(done.localPath as string)).toBe(sha256Of(3, 8 * MB));
});
