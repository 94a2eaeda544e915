import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { appendFileSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { type Origin, startOrigin } from "../support/origin.ts";
import { until } from "../support/until.ts";
import { Home } from "./product.ts";

/** Each test starts processes, and the machine may be busy. */
setDefaultTimeout(30_000);

const MB = 1 << 20;
let origin: Origin;

beforeAll(async () => {
  origin = await startOrigin({
    resources: [
      { path: "/slow.bin", seed: 1, size: 200 * MB },
      { path: "/small.bin", seed: 2, size: MB },
    ],
    ratePerConnection: 2 * MB,
  });
});
afterAll(() => origin.stop());

const post = (url: string, body: object): Promise<Response> =>
  fetch(`${url}/v1/downloads`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });

describe("a daemon's downloads", () => {
  test("list, status, pause, resume, cancel, retry", async () => {
    using home = new Home();
    const { url } = await home.serve();
    const at = ["--server", url];
    await post(url, { url: origin.url("/slow.bin"), model_id: "a/slow" });
    const state = async (): Promise<string> =>
      JSON.parse((await home.run("status", "a/slow", "--json", ...at)).out).state;
    await until(async () => (await state()) === "downloading", "it to run");

    const { out: listed } = await home.run("list", ...at);
    expect(listed).toMatch(/^STATE +DONE +SIZE +SPEED +LEFT +ID\ndownloading +\d+\.\d% +200 MB .* a\/slow$/);
    expect((await home.run("status", "a/slow", ...at)).out).toMatch(/^a\/slow: downloading .*of 200 MB/);

    expect(await home.run("pause", "a/slow", ...at)).toEqual({ code: 0, out: "a/slow: paused", err: "" });
    expect(await state()).toBe("paused");
    expect((await home.run("resume", "a/slow", ...at)).code).toBe(0);
    expect((await home.run("cancel", "a/slow", ...at)).code).toBe(0);
    expect(await state()).toBe("cancelled");
    expect((await home.run("cancel", "a/slow", ...at)).code).toBe(1);
    expect((await home.run("retry", "a/slow", "--json", ...at)).code).toBe(0);
    expect((await home.run("cancel", "a/slow", "none", ...at)).code).toBe(4);
    expect(
      (await home.run("list", "--all", "--json", ...at)).out
        .split("\n")
        .map((line) => JSON.parse(line).model_id),
    ).toEqual(["a/slow"]);
  });

  test("watch shows every change and ends with the download", async () => {
    using home = new Home();
    const { url } = await home.serve();
    await post(url, { url: origin.url("/small.bin") });
    const { code, out } = await home.run("watch", "small.bin", "--json", "--server", url);
    expect(code).toBe(0);
    expect(JSON.parse(out.split("\n").at(-1) ?? "")).toMatchObject({
      model_id: "small.bin",
      state: "completed",
    });
    expect((await home.run("watch", "none", "--server", url)).code).toBe(4);
  });

  test("no daemon there is told with the address", async () => {
    using home = new Home();
    const { code, err } = await home.run("list", "--server", "http://127.0.0.1:9");
    expect(code).toBe(1);
    expect(err).toContain("No daemon answers at http://127.0.0.1:9");
  });
});

describe.each(["without a daemon", "with a daemon"])("files and verify %s", (mode) => {
  test("list what is there, find damage", async () => {
    using home = new Home();
    const sha256 = origin.sha256("/small.bin");
    const { out: path } = await home.run("pull", origin.url("/small.bin"), "--sha256", sha256);
    if (mode === "with a daemon") await home.serve();

    expect((await home.run("files")).out).toMatch(/verified +1 MB +small\.bin +.*\/small\.bin$/);
    expect(JSON.parse((await home.run("files", "--json")).out)).toMatchObject({
      model_id: "small.bin",
      size: MB,
      exists: true,
    });
    expect(await home.run("verify", path)).toEqual({
      code: 0,
      out: `${path}: OK (sha256:${sha256})`,
      err: "",
    });

    appendFileSync(path, "x");
    const damaged = await home.run("verify", path);
    expect(damaged.code).toBe(5);
    expect(damaged.out).toContain("DOES NOT MATCH");
    expect((await home.run("files")).out).toMatch(/damaged +1 MB/);
    rmSync(path);
    expect((await home.run("files")).out).toMatch(/missing +1 MB/);
  });
});

test("F93 verify finds the record of a file in a models folder behind a link, by either of its names", async () => {
  using home = new Home();
  mkdirSync(home.dir.at("disk"));
  symlinkSync(home.dir.at("disk"), home.models);
  const sha256 = origin.sha256("/small.bin");
  const { out: path } = await home.run("pull", origin.url("/small.bin"), "--sha256", sha256);
  for (const name of [path, home.dir.at("disk/small.bin")])
    expect(await home.run("verify", name)).toMatchObject({ code: 0, out: `${name}: OK (sha256:${sha256})` });
});

test("verify --sha256 needs no record", async () => {
  using home = new Home();
  const path = home.dir.at("f");
  await Bun.write(path, "hello");
  const sha256 = new Bun.CryptoHasher("sha256").update("hello").digest("hex");
  expect((await home.run("verify", path, "--sha256", sha256)).code).toBe(0);
  expect((await home.run("verify", path, "--sha256", "0".repeat(64))).code).toBe(5);
  expect((await home.run("verify", path)).code).toBe(4);
  expect((await home.run("verify", home.dir.at("none"))).code).toBe(4);
});

test("openapi and asyncapi print a document and leave no trace", async () => {
  using home = new Home();
  const { code, out } = await home.run("openapi");
  expect(code).toBe(0);
  expect(JSON.parse(out).paths["/v1/downloads"]).toBeDefined();
  const streams = await home.run("asyncapi");
  expect(streams.code).toBe(0);
  expect(JSON.parse(streams.out).channels.websocket.address).toBe("/v1/ws");
  expect(await Bun.file(`${home.data}/server.json`).exists()).toBe(false);
});
