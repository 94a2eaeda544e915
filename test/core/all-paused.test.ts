import { describe, expect, test } from "bun:test";
import { openProduct } from "../support/product.ts";
import { slowOrigin } from "./support.ts";

describe("R129 the settings let no download run", () => {
  test("a global pause gives running downloads back without making them the user's", async () => {
    await using origin = await slowOrigin();
    await using product = await openProduct();
    const { download } = await product.downloads.start({ url: origin.url("/slow.gguf") });
    await product.has(download.id, 1);
    await product.downloads.changeSettings({ paused: true });
    await product.reaches(download.id, "queued");
    await product.downloads.changeSettings({ paused: false });
    await product.reaches(download.id, "downloading");
  });

  test("R129 what waits while all are paused says so, and everybody who watches hears when that changes", async () => {
    await using origin = await slowOrigin();
    await using product = await openProduct({ settings: { maxConcurrent: 1 } });
    const { downloads } = product;
    const start = async (n: number) =>
      (await downloads.start({ url: `${origin.url("/slow.gguf")}?${n}`, modelId: `m${n}` })).download.id;
    const running = await start(1);
    await product.has(running, 1);
    const [waiting, stopped] = [await start(2), await start(3)];
    await downloads.pause(stopped);
    const told: [string, string | undefined][] = [];
    downloads.feed.subscribe((event) => {
      if (event.type === "download") told.push([event.download.id, event.download.waiting?.reason]);
    });
    await downloads.changeSettings({ paused: true });
    await product.reaches(running, "queued");
    const reasons = async () => {
      const { items } = await downloads.list({}, { limit: 9 });
      return items.map((it) => it.waiting?.reason);
    };
    expect(await reasons()).toEqual(["all_paused", "all_paused", "user"]);
    expect(told).toContainEqual([running, "all_paused"]);
    expect(told).toContainEqual([waiting, "all_paused"]);
    told.length = 0;
    await downloads.changeSettings({ rateLimit: 1 << 30 });
    expect(told).toEqual([]);
    await downloads.changeSettings({ paused: false });
    await product.reaches(running, "downloading");
    expect(await reasons()).toEqual([undefined, "queue", "user"]);
    expect(told.filter(([id]) => id === waiting)).toEqual([[waiting, "queue"]]);
    expect(told.filter(([id]) => id === stopped)).toEqual([]);
  });

  test("R129 that all are paused goes before another reason to wait, and is true from the start of a process on", async () => {
    await using origin = await slowOrigin();
    origin.on({}, { kind: "respond", status: 503 });
    await using product = await openProduct();
    const { download } = await product.downloads.start({ url: origin.url("/slow.gguf") });
    await product.reachesSuch(download.id, (it) => it.waiting?.reason === "retry");
    await product.downloads.changeSettings({ paused: true });
    expect((await product.downloads.get(download.id)).waiting).toEqual({ reason: "all_paused" });
    await product.close();
    await using again = await openProduct({ dir: product.dir });
    expect((await again.downloads.get(download.id)).waiting).toEqual({ reason: "all_paused" });
    await again.downloads.changeSettings({ paused: false });
    expect((await again.downloads.get(download.id)).waiting?.reason).not.toBe("all_paused");
  });
});
