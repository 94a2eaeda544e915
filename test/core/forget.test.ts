import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { systemDisk } from "../../src/storage/disk.ts";
import { diskTrouble, type Hook, interpose } from "../support/database.ts";
import { startOrigin } from "../support/origin.ts";
import { openProduct } from "../support/product.ts";
import { until } from "../support/until.ts";
import { codeOf, MB } from "./support.ts";

type Product = Awaited<ReturnType<typeof openProduct>>;

/** What happens around two calls of the database, set when the product is there. */
interface Hooks {
  remove: Hook;
  expired: Hook;
}

async function world(hooks: Partial<Hooks>, options: { historyMs?: number; dir?: string } = {}) {
  const origin = await startOrigin({ resources: [{ path: "/a.bin", seed: 1, size: 4 * MB }] });
  origin.put({ path: "/b.bin", seed: 2, size: 4 * MB });
  // The end never comes: what fails so leaves partial data behind.
  origin.on({ covers: 3 * MB }, { kind: "respond", status: 500 });
  const retry = { baseMs: 1, maxMs: 2, maxAttempts: 1 };
  const product = await openProduct({
    ...options,
    settings: { retry },
    database: (db) => interpose(db, hooks),
  });
  return { origin, product };
}

async function failed({ downloads, reaches }: Product, url: string): Promise<string> {
  const { download } = await downloads.start({ url });
  expect((await reaches(download.id, "failed", "completed")).state).toBe("failed");
  return download.id;
}

const partials = (product: Product): number =>
  readdirSync(product.models).filter((name) => name.endsWith(".part")).length;

describe("removing records", () => {
  test("I2 what is tried again while the history is being cleared stays, with its bytes", async () => {
    const hooks: Partial<Hooks> = {};
    const { origin, product } = await world(hooks);
    await using _ = origin;
    await using __ = product;
    const { downloads } = product;
    const first = await failed(product, origin.url("/a.bin"));
    const second = await failed(product, origin.url("/b.bin"));
    await downloads.changeSettings({ paused: true });
    hooks.remove = {
      before: async (_, count) => void (count === 1 && (await downloads.retry(second))),
    };
    expect(await downloads.forgetAll({ files: true })).toBe(1);
    expect(await codeOf(downloads.get(first))).toBe("download_not_found");
    expect(await downloads.get(second)).toMatchObject({ state: "queued" });
    expect((await downloads.get(second)).bytes).toBeGreaterThan(0);
    expect(partials(product)).toBe(1);
  });

  test("I2 a try again of a record that is being removed is refused, not accepted and forgotten", async () => {
    const hooks: Partial<Hooks> = {};
    const { origin, product } = await world(hooks);
    await using _ = origin;
    await using __ = product;
    const { downloads } = product;
    const id = await failed(product, origin.url("/a.bin"));
    await downloads.changeSettings({ paused: true });
    let answer: Promise<string> | undefined;
    hooks.remove = {
      before: async () => {
        answer = codeOf(downloads.retry(id));
        // Whatever it does by itself it has done by the time that the database has answered twice.
        for (let i = 0; i < 2; i++) await product.db.saveSetting("test", i);
      },
    };
    await downloads.forget(id, { files: false });
    expect(await answer).toBe("download_not_found");
    expect(await codeOf(downloads.get(id))).toBe("download_not_found");
    expect(await product.db.counts()).toMatchObject({ queued: 0, failed: 0 });
  });

  test("I2 F232 an old record that is tried again while old records are swept stays", async () => {
    const hooks: Partial<Hooks> = {};
    const { origin, product } = await world(hooks);
    await using _ = origin;
    await using __ = product;
    const id = await failed(product, origin.url("/a.bin"));
    await product.downloads.changeSettings({ paused: true });
    await product.close();
    const opened = Promise.withResolvers<Product>();
    const retried = Promise.withResolvers<void>();
    const removed = Promise.withResolvers<never>();
    await using again = await openProduct({
      dir: product.dir,
      // Whatever has ended is old.
      historyMs: -1000,
      database: (db) =>
        interpose(db, {
          expired: {
            after: async () => {
              await (await opened.promise).downloads.retry(id);
              retried.resolve();
            },
          },
          remove: { before: ([which]) => removed.reject(new Error(`${which} was removed`)) },
        }),
    });
    opened.resolve(again);
    await retried.promise;
    origin.clear();
    // Slower than a removal.
    origin.limits.ratePerConnection = 4 * MB;
    await again.downloads.changeSettings({ paused: false });
    const done = await Promise.race([again.reaches(id, "completed", "failed"), removed.promise]);
    expect(done.state).toBe("completed");
  });
});

test("A6 what could not be removed when a download was cancelled goes as soon as its disk is there again", async () => {
  await using origin = await startOrigin({ resources: [{ path: "/a.bin", seed: 1, size: 4 * MB }] });
  origin.on({ covers: 3 * MB }, { kind: "stall", at: "start" });
  let isAway = false;
  // A drive that was pulled out: the folder is there, and nothing in it can be reached.
  const away = <A extends unknown[], R>(call: (...args: A) => Promise<R>) => {
    return (...args: A): Promise<R> =>
      isAway ? Promise.reject(Object.assign(new Error("away"), { code: "ENXIO" })) : call(...args);
  };
  const disk = { ...systemDisk, unlink: away(systemDisk.unlink), rmdir: away(systemDisk.rmdir) };
  await using product = await openProduct({ system: { disk } });
  const { downloads } = product;
  const { download } = await downloads.start({ url: origin.url("/a.bin") });
  await product.has(download.id, MB);
  isAway = true;
  await downloads.cancel(download.id);
  expect((await downloads.get(download.id)).state).toBe("cancelled");
  await product.close();
  expect(partials(product)).toBe(1);
  await using again = await openProduct({ dir: product.dir });
  await until(() => partials(again) === 0, "the partial data to be removed");
  expect((await again.downloads.get(download.id)).bytes).toBeGreaterThan(0);
});

test("what cannot be removed stays in the list, is told, and keeps none of the others there", async () => {
  await using origin = await startOrigin({
    resources: ["a", "b", "c"].map((name, seed) => ({ path: `/${name}.bin`, seed, size: 1000 })),
  });
  const unlink: typeof systemDisk.unlink = (path) =>
    String(path).endsWith("/a.bin")
      ? Promise.reject(Object.assign(new Error("bad"), { code: "EIO" }))
      : systemDisk.unlink(path);
  await using product = await openProduct({ system: { disk: { ...systemDisk, unlink } } });
  const { downloads } = product;
  const ids: string[] = [];
  for (const name of ["a", "b", "c"]) {
    const { download } = await downloads.start({ url: origin.url(`/${name}.bin`) });
    await product.reaches(download.id, "completed");
    ids.push(download.id);
  }
  const refused = await downloads.forgetAll({ files: true }).catch((error) => error);
  expect(refused).toMatchObject({ code: "io" });
  expect(refused.message).toStartWith("1 of 3 could not be removed: ");
  const left = await Promise.all(ids.map((id) => codeOf(downloads.get(id))));
  expect(left).toEqual(["fulfilled", "download_not_found", "download_not_found"]);
  expect(readdirSync(product.models)).toEqual(["a.bin"]);
  expect(await downloads.forgetAll({ files: false })).toBe(1);
});

test("F232 an old record that cannot be removed keeps no other old one", async () => {
  await using origin = await startOrigin({ resources: [{ path: "/a.bin", seed: 1, size: 1000 }] });
  await using product = await openProduct();
  const ids: string[] = [];
  for (const name of ["first", "second"]) {
    const { download } = await product.downloads.start({ url: origin.url("/a.bin"), modelId: name });
    await product.reaches(download.id, "completed");
    ids.push(download.id);
  }
  await product.close();
  await using again = await openProduct({
    dir: product.dir,
    historyMs: -1000,
    database: (db) =>
      interpose(db, {
        remove: {
          before: ([id]) => {
            if (id === ids[0]) throw diskTrouble();
          },
        },
      }),
  });
  const isGone = async (id: string | undefined) => (await again.db.get(id as string)) === undefined;
  await until(() => isGone(ids[1]), "the second record to be removed");
  expect(await isGone(ids[0])).toBe(false);
});
