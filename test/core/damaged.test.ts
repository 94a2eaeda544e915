import { Database as Sqlite } from "bun:sqlite";
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { openProduct } from "../support/product.ts";
import { digest, MB, slowOrigin } from "./support.ts";

test("F135 a damaged record ends its download and nothing else: it can be removed, and the file brought anew", async () => {
  await using origin = await slowOrigin();
  const stopped = await openProduct();
  await using _ = stopped;
  const url = origin.url("/slow.gguf");
  const { download } = await stopped.downloads.start({ url });
  await stopped.has(download.id, MB);
  await stopped.close();
  const outside = new Sqlite(`${stopped.dir}/data/state.db`);
  outside.run("UPDATE files SET digest = ?", [
    JSON.stringify({ algorithm: "sha256", hex: "../../../planted" }),
  ]);
  outside.close();

  origin.limits.ratePerConnection = 1000 * MB;
  origin.limits.rateTotal = 1000 * MB;
  await using product = await openProduct({ dir: stopped.dir });
  const failed = await product.reaches(download.id, "failed", "completed");
  expect([failed.state, failed.error?.code, failed.error?.message]).toEqual([
    "failed",
    "internal",
    expect.stringContaining("Remove the download"),
  ]);
  const other = await product.downloads.start({ url: origin.url("/other.gguf") });
  await product.reaches(other.download.id, "completed");
  await product.downloads.forget(download.id, { files: false });
  const again = await product.downloads.start({ url });
  const done = await product.reaches(again.download.id, "completed", "failed");
  expect(digest(done.localPath as string)).toBe(origin.sha256("/slow.gguf"));
  expect(existsSync(`${stopped.dir}/planted`)).toBe(false);
});
