import { expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { Log } from "../../src/core/ports.ts";
import { openSecrets } from "../../src/storage/secrets.ts";
import { Place } from "./support.ts";

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);

test("a secret is there again after a restart, and is that download's alone", async () => {
  using place = new Place();
  const first = await openSecrets(place.dir);
  await first.put("a", { token: "hf_secret", headers: { Authorization: "Bearer ü" } });
  await first.put("b", { headers: { "X-Key": "k" } });
  await first.put("c", { url: "https://cdn.example/m.gguf?Signature=s" });
  expect(await first.get("nobody")).toEqual({});
  const second = await openSecrets(place.dir);
  expect(await second.get("a")).toEqual({ token: "hf_secret", headers: { Authorization: "Bearer ü" } });
  expect(await second.get("b")).toEqual({ headers: { "X-Key": "k" } });
  expect(await second.get("c")).toEqual({ url: "https://cdn.example/m.gguf?Signature=s" });
  await second.delete("a");
  expect(await second.get("a")).toEqual({});
  expect(readFileSync(join(place.dir, "secrets.json"), "utf8")).not.toContain("hf_secret");
  expect(await (await openSecrets(place.dir)).get("b")).toEqual({ headers: { "X-Key": "k" } });
});

test("I7 what a kill left of a write is gone with the next start, not kept for ever beside the file", async () => {
  using place = new Place();
  const left = join(place.dir, "secrets.json.new");
  writeFileSync(left, JSON.stringify({ a: { token: "hf_secret" } }));
  const secrets = await openSecrets(place.dir);
  expect(existsSync(left)).toBe(false);
  expect(await secrets.ids()).toEqual([]);
  const outside = join(place.dir, "somebody's.txt");
  writeFileSync(outside, "untouched");
  symlinkSync(outside, left);
  await openSecrets(place.dir);
  expect([existsSync(left), readFileSync(outside, "utf8")]).toEqual([false, "untouched"]);
});

test("F119 the file is 0600 whatever the umask, and made so again when it was wider", async () => {
  using place = new Place();
  const path = join(place.dir, "new", "secrets.json");
  const old = process.umask(0);
  try {
    const secrets = await openSecrets(join(place.dir, "new"));
    expect(modeOf(join(place.dir, "new"))).toBe("700");
    writeFileSync(`${path}.new`, "left by a crash", { mode: 0o666 });
    await secrets.put("a", { token: "t" });
    expect(modeOf(path)).toBe("600");
    chmodSync(path, 0o644);
    await openSecrets(join(place.dir, "new"));
    expect(modeOf(path)).toBe("600");
  } finally {
    process.umask(old);
  }
});

test("many changes at once are all kept, in the order they were asked for", async () => {
  using place = new Place();
  const secrets = await openSecrets(place.dir);
  const changes = Array.from({ length: 50 }, (_, i) => secrets.put(`id-${i % 10}`, { token: String(i) }));
  await Promise.all([...changes, secrets.delete("id-3")]);
  const again = await openSecrets(place.dir);
  expect(await again.get("id-9")).toEqual({ token: "49" });
  expect(await again.get("id-0")).toEqual({ token: "40" });
  expect(await again.get("id-3")).toEqual({});
  expect(readdirSync(place.dir)).toEqual(["secrets.json"]);
});

test("what was handed in or out is a copy", async () => {
  using place = new Place();
  const secrets = await openSecrets(place.dir);
  const given = { headers: { a: "1" } };
  await secrets.put("x", given);
  given.headers.a = "2";
  (await secrets.get("x")).headers!.a = "3";
  expect(await secrets.get("x")).toEqual({ headers: { a: "1" } });
});

test("an id that is a word of JavaScript is an id like any other", async () => {
  using place = new Place();
  await (await openSecrets(place.dir)).put("__proto__", { token: "t" });
  const again = await openSecrets(place.dir);
  expect(await again.get("__proto__")).toEqual({ token: "t" });
  expect(await again.get("constructor")).toEqual({});
});

test.each([
  ["empty", ""],
  ["cut off", '{"a":{"token":"x"'],
  ["a list", "[1,2]"],
  ["null", "null"],
  ["of another shape", '{"a":{"token":5}}'],
  ["of another shape below", '{"a":{"headers":{"x":1}}}'],
  ["with more in it than ours", '{"a":{"password":"p"}}'],
])("I5 a file that is %s is kept aside with a warning, and work goes on", async (_, text) => {
  using place = new Place();
  const path = join(place.dir, "secrets.json");
  writeFileSync(path, text);
  const warnings: (Record<string, unknown> | undefined)[] = [];
  const log: Log = {
    debug: () => undefined,
    info: () => undefined,
    warn: (_message, fields) => void warnings.push(fields),
    error: () => undefined,
  };
  const secrets = await openSecrets(place.dir, log);
  expect(await secrets.get("a")).toEqual({});
  expect(warnings.length).toBe(1);
  expect(readFileSync(String(warnings[0]?.copy), "utf8")).toBe(text);
  expect(JSON.stringify(warnings)).not.toContain("token");
  await secrets.put("a", { token: "new" });
  expect(await (await openSecrets(place.dir, log)).get("a")).toEqual({ token: "new" });
  expect(warnings.length).toBe(1);
});

test("a change that could not be written is refused, not remembered, and the file before it stays whole", async () => {
  using place = new Place();
  const path = join(place.dir, "secrets.json");
  const secrets = await openSecrets(place.dir);
  await secrets.put("a", { token: "old" });
  mkdirSync(`${path}.new`);
  await expect(secrets.put("a", { token: "new" })).rejects.toMatchObject({ name: "DownloadError" });
  expect(await secrets.get("a")).toEqual({ token: "old" });
  expect(await (await openSecrets(place.dir)).get("a")).toEqual({ token: "old" });
});

test("F90 a link in the place of the new file is not followed", async () => {
  using place = new Place();
  const elsewhere = join(place.dir, "elsewhere");
  const secrets = await openSecrets(place.dir);
  symlinkSync(elsewhere, join(place.dir, "secrets.json.new"));
  await expect(secrets.put("a", { token: "t" })).rejects.toMatchObject({ code: "tampered" });
  expect(existsSync(elsewhere)).toBe(false);
});
