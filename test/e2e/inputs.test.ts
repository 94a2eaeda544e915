import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { literal } from "../support/bytes.ts";
import { type Daemon, startDaemon } from "../support/daemon.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { getText, rawRequest } from "../support/raw.ts";
import { type TempDir, tempDir } from "../support/temp.ts";

/** What clients may send and order, on the executable (FAULTS F138-F155; REQUIREMENTS section A wins where they differ). */
let origin: Origin;
let dir: TempDir;
let daemon: Daemon;

beforeAll(async () => {
  dir = tempDir("inputs");
  origin = await startOrigin({
    resources: [
      { path: "/one/model.bin", content: literal("the first model") },
      { path: "/two/model.bin", content: literal("another model of the same name") },
      { path: "/quick.bin", content: literal("quick") },
      { path: "/slow.bin", seed: 2, size: 16 << 20 },
      { path: "/once.bin", seed: 3, size: 4 << 20 },
    ],
  });
  origin.on({ path: "/slow.bin" }, { kind: "rate", bytesPerSecond: 200_000 });
  daemon = await startDaemon({ dir: dir.path });
});
afterAll(async () => {
  await daemon.stop();
  await origin.stop();
  dir.remove();
});

const UUID_4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const START = { url: "http://127.0.0.1:9/never.bin", model_id: "never" };
const port = (): number => Number(new URL(daemon.base).port);

/** Sends JSON text that no serializer would write. */
async function send(method: string, path: string, text: string): Promise<[number, string | null]> {
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(daemon.base + path, { method, body: text, headers });
  const body = (await answer.json()) as { error?: { param: string | null } };
  return [answer.status, body.error?.param ?? null];
}

const total = async (): Promise<number> => (await daemon.must("GET", "/v1/downloads")).total_active;
const order = (verb: string, id: string) => daemon.api("POST", `/v1/downloads/${id}/${verb}`);

/** A download under way, by its model id. */
async function slow(id: string): Promise<string> {
  await daemon.begin({ url: origin.url("/slow.bin"), model_id: id });
  await daemon.until(id, (it) => it.progress.downloaded_bytes > 0);
  return id;
}

describe("values", () => {
  test.each([
    ['"5"', "text that looks like a number"],
    ["true", "a flag"],
    ["[5]", "a list"],
    ['{"valueOf":5}', "an object"],
    ["null", "nothing"],
    ["1.5", "a fraction"],
  ])("F138 nothing is turned into the type that is wanted: %s, %s, is no priority", async (text) => {
    const before = await total();
    const answer = await send(
      "POST",
      "/v1/downloads",
      JSON.stringify(START).replace("}", `,"priority":${text}}`),
    );
    expect(answer).toEqual([400, "priority"]);
    expect(await total()).toBe(before);
  });

  test.each(["5", "true", "[]", "{}", "null"])("F138 %s is no text", async (text) => {
    expect(await send("POST", "/v1/downloads", `{"url":${text}}`)).toEqual([400, "url"]);
    expect(await send("POST", "/v1/references", `{"references":[${text}]}`)).toEqual([400, "references"]);
  });

  test.each(["1e999", "-1e999", "9007199254740993", "18446744073709551616", "1e300", "-1"])(
    "F139 %s is no number of bytes",
    async (text) => {
      const body = JSON.stringify(START).replace("}", `,"rate_limit_bps":${text}}`);
      expect(await send("POST", "/v1/downloads", body)).toEqual([400, "rate_limit_bps"]);
      expect(await send("PATCH", "/v1/settings", `{"rate_limit_bps":${text}}`)).toEqual([
        400,
        "rate_limit_bps",
      ]);
    },
  );

  test.each(["NaN", "Infinity", "-Infinity", "0x10", "01", "1_000"])("F139 %s is no JSON", async (text) => {
    expect(await send("PATCH", "/v1/settings", `{"rate_limit_bps":${text}}`)).toEqual([400, null]);
  });

  test("F139 the largest whole number is kept to its last digit, and -0 is 0", async () => {
    const largest = Number.MAX_SAFE_INTEGER;
    expect(await send("PATCH", "/v1/settings", `{"rate_limit_bps":${largest}}`)).toEqual([200, null]);
    expect((await daemon.must("GET", "/v1/settings")).rate_limit_bps).toBe(largest);
    expect(await send("PATCH", "/v1/settings", '{"rate_limit_bps":-0}')).toEqual([200, null]);
    const { rate_limit_bps } = await daemon.must("GET", "/v1/settings");
    expect(Object.is(rate_limit_bps, 0)).toBe(true);
  });
});

test("F165 of settings with one bad value none is taken, and of a change to a download neither", async () => {
  const settings = await daemon.must("GET", "/v1/settings");
  const retry = { max_attempts: 7, jitter: 2 };
  for (const bad of [{ rate_limit_bps: -1 }, { retry }, { paused: "no" }, { connections_per_download: 0 }]) {
    const { status } = await daemon.api("PATCH", "/v1/settings", { max_concurrent: 5, ...bad });
    expect([bad, status, await daemon.must("GET", "/v1/settings")]).toEqual([bad, 400, settings]);
  }
  const id = await slow("kept");
  const { priority, rate_limit_bps } = await daemon.one(id);
  for (const bad of [{ retry }, { rate_limit_bps: 0.5 }, { position: 0 }, { before: "nobody" }]) {
    const { status } = await daemon.api("PATCH", `/v1/downloads/${id}`, { priority: 9, ...bad });
    expect([bad, status >= 400 && status < 500]).toEqual([bad, true]);
    expect(await daemon.one(id)).toMatchObject({ priority, rate_limit_bps });
  }
  expect((await order("cancel", id)).status).toBe(200);
});

describe("ids and paths", () => {
  test.each(["%zz", "%", "%c0%af", "%ff", "%e2%80", "%00", "a%0d%0ab"])(
    "F147 %s in a path or a query is 400 in the family's shape",
    async (piece) => {
      for (const [target, member] of [
        [`/v1/downloads/${piece}`, "error"],
        [`/v1/downloads?q=${piece}`, "error"],
        [`/engines/${piece}/status`, "error"],
        [`/local/download/${piece}`, "error_code"],
        [`/api/progress?ModelRepo=${piece}&FilePath=x`, "progress"],
      ] as const) {
        const { status, body } = await rawRequest(port(), getText(target, { Host: "localhost" }));
        expect([target, status]).toEqual([target, 400]);
        expect(JSON.parse(Buffer.from(body).toString())).toHaveProperty(member);
      }
    },
  );

  test("F148 an unknown id is 404, a malformed one 400, and both have one shape", async () => {
    const unknown = ["nobody", "00000000-0000-4000-8000-000000000000", "../x", "x".repeat(600), "\u202ex"];
    for (const id of unknown) {
      const { status, body } = await daemon.api("GET", `/v1/downloads/${encodeURIComponent(id)}`);
      expect([id, status, Object.keys(body.error)]).toEqual([id, 404, ["message", "type", "param", "code"]]);
    }
    for (const path of ["/v1/downloads/", "/v1/downloads/a%00b", "/v1/files/seven", "/v1/files/-1"]) {
      const { status, body } = await daemon.api(path.includes("files") ? "DELETE" : "GET", path);
      expect([path, status, Object.keys(body.error)]).toEqual([
        path,
        400,
        ["message", "type", "param", "code"],
      ]);
    }
  });

  test("F155 ids are random, and a request that is sent again gets the same one", async () => {
    const request = { url: origin.url("/slow.bin"), model_id: "replayed" };
    const replay = () => daemon.api("POST", "/v1/downloads", request, { "Idempotency-Key": "one" });
    const answers = await Promise.all(Array.from({ length: 10 }, replay));
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(202));
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
    const ids = [answers[0]?.body.id as string];
    for (let n = 0; n < 20; n++)
      ids.push((await daemon.begin({ ...START, model_id: `n${n}`, url: `${START.url}?${n}` })).id);
    expect(new Set(ids).size).toBe(21);
    for (const id of ids) expect(id).toMatch(UUID_4);
    await daemon.must("POST", "/v1/downloads/cancel");
  });

  test("F155 replayed with its Idempotency-Key, a request answers with its download whatever has become of it", async () => {
    const post = (request: object, key: string) =>
      daemon.api("POST", "/v1/downloads", request, { "Idempotency-Key": key });
    const quick = { url: origin.url("/quick.bin"), model_id: "replayed-quick" };
    const first = await post(quick, "quick key");
    expect([first.status, first.body.error.param]).toEqual([400, "Idempotency-Key"]);
    const { body: done } = await post(quick, "quick-key");
    await daemon.until(done.id, "completed");
    const { body: cancelled } = await post(
      { url: origin.url("/slow.bin"), model_id: "replayed-slow" },
      "slow",
    );
    await daemon.must("POST", `/v1/downloads/${cancelled.id}/cancel`);
    const before = origin.log.length;
    await daemon.restart();
    // The order of the members says nothing.
    const again = await post({ model_id: "replayed-quick", url: quick.url }, "quick-key");
    expect([again.status, again.body.id, again.body.state]).toEqual([202, done.id, "completed"]);
    const ended = await post({ url: origin.url("/slow.bin"), model_id: "replayed-slow" }, "slow");
    expect([ended.status, ended.body.id, ended.body.state]).toEqual([202, cancelled.id, "cancelled"]);
    expect(origin.log.length).toBe(before);
    const other = await post({ url: origin.url("/slow.bin"), model_id: "another" }, "quick-key");
    expect([other.status, other.body.error.param]).toEqual([400, "Idempotency-Key"]);
    const at = await Promise.all([1, 2, 3].map(() => post({ ...quick, model_id: "at-once" }, "at-once")));
    expect(new Set(at.map(({ body }) => body.id)).size).toBe(1);
    await daemon.until("at-once", "completed");
  });
});

describe("names", () => {
  test.each<[fault: string, names: string[]]>([
    ["F124 climbing", ["..", "../x", "a/../../b", "a/..", "./a"]],
    ["F125 absolute", ["/etc/passwd", "//server/share", "/"]],
    ["F126 of Windows", ["\\x", "a\\b", "C:", "C:x", "C:\\x", "a/C:/b", "\\\\server\\share"]],
    ["F127 encoded", ["..%2f..%2fetc", "a%5cb", "%2e%2e/x"]],
    ["F128 with a NUL", ["a\u0000b", "a%00b"]],
    ["F129 devices and cut ones", ["CON", "nul.gguf", "a/COM1", "a.", "a ", "a:b"]],
    ["F130 with characters nobody sees", ["a\nb", "a\u202egpj", "a\u200bb", "\ufeffa", "a\u0085b"]],
    ["F131 like our partial files", ["x.part", "x.PART"]],
    ["F133 too long or too deep", ["x".repeat(65_536), "a/".repeat(10_000), "x".repeat(231)]],
    ["F134 empty", ["", ".", "a//b", "a/"]],
  ])("%s: no family takes them, and nothing has happened", async (_, names) => {
    const before = await total();
    for (const name of names) {
      const file = encodeURIComponent(name);
      const answers = await Promise.all([
        daemon.api("POST", "/v1/downloads", { repo_id: "acme/tiny", filename: name }),
        daemon.api("POST", "/v1/downloads", { url: START.url, filename: name }),
        daemon.api("POST", "/local/download", { repo_id: "acme/tiny", filename: name }),
        daemon.api("POST", "/api/download", { ModelRepo: "acme/tiny", FilePath: name }),
        daemon.api("GET", `/api/download?ModelRepo=acme%2Ftiny&FilePath=${file}`),
      ]);
      // The HTTP parser takes no target of 64 KiB.
      const statuses = answers.map(({ status }) => (status === 431 && name.length > 8192 ? 400 : status));
      expect([name.slice(0, 30), statuses]).toEqual([name.slice(0, 30), Array(5).fill(400)]);
    }
    expect(await total()).toBe(before);
  });
});

describe("orders", () => {
  test("F153 posted two hundred times at once, it is one download and one transfer", async () => {
    const request = { url: origin.url("/once.bin"), model_id: "once" };
    const answers = await Promise.all(
      Array.from({ length: 200 }, () => daemon.api("POST", "/v1/downloads", request)),
    );
    expect(new Set(answers.map(({ status, body }) => `${status} ${body.id}`)).size).toBe(1);
    await daemon.until("once", "completed");
    expect(origin.sent("/once.bin")).toBeLessThan(1.2 * (4 << 20));
    expect([...new Bun.Glob("once*").scanSync({ cwd: daemon.modelsDir })]).toEqual(["once.bin"]);
  });

  test("F152 paused, resumed and cancelled by many at once: the last word counts, and nobody works on afterwards", async () => {
    const id = await slow("torn");
    const verbs = ["pause", "resume", "pause", "resume", "pause", "resume", "pause", "resume"];
    for (let round = 0; round < 5; round++) {
      const answers = await Promise.all(verbs.map((verb) => order(verb, id)));
      for (const { status } of answers) expect([200, 400]).toContain(status);
    }
    expect((await order("pause", id)).body.state).toBe("paused");
    await origin.waitFor(({ stats }) => stats.active === 0, "every connection of a paused one to end");
    expect((await order("resume", id)).status).toBe(200);
    const last = await Promise.all(["pause", "cancel", "resume"].map((verb) => order(verb, id)));
    expect(last[1]?.status).toBe(200);
    expect((await daemon.one(id)).state).toBe("cancelled");
    await origin.waitFor(({ stats }) => stats.active === 0, "every connection of a cancelled one to end");
    expect([...new Bun.Glob("**/*.part").scanSync({ cwd: daemon.modelsDir, dot: true })]).toEqual([]);
  });

  test("F149 A10 a second cancel changes nothing: 400, and the record stays as it was", async () => {
    const id = await slow("cancelled twice");
    const path = encodeURIComponent(id);
    expect((await order("cancel", path)).status).toBe(200);
    const first = await daemon.one(id);
    expect(first.state).toBe("cancelled");
    const again = await order("cancel", path);
    expect([again.status, again.body.error.message]).toEqual([400, expect.stringContaining("(cancelled)")]);
    expect((await daemon.api("DELETE", `/v1/downloads/${path}`)).status).toBe(400);
    expect(await daemon.one(id)).toEqual(first);
  });

  test("F149 cancelled by ten clients at once, it is cancelled once", async () => {
    const id = await slow("cancelled-by-ten");
    const answers = await Promise.all(Array.from({ length: 10 }, () => order("cancel", id)));
    for (const { status } of answers) expect([200, 400]).toContain(status);
    expect(answers.some(({ status }) => status === 200)).toBe(true);
    expect((await daemon.one(id)).state).toBe("cancelled");
  });

  test("F150 pausing one that has ended is 400 and says its state; pausing a paused one is 200", async () => {
    await daemon.begin({ url: origin.url("/quick.bin"), model_id: "quick" });
    await daemon.until("quick", "completed");
    await daemon.begin({ url: origin.url("/missing.bin"), model_id: "missing" });
    await daemon.until("missing", "failed");
    for (const [id, state] of [
      ["quick", "completed"],
      ["missing", "failed"],
    ] as const) {
      const { status, body } = await order("pause", id);
      expect([status, body.success, body.model_id]).toEqual([400, false, id]);
      expect(body.error.message).toContain(`(${state})`);
      expect((await daemon.one(id)).state).toBe(state);
    }
    const paused = await slow("paused");
    for (let n = 0; n < 3; n++) {
      const { status, body } = await order("pause", paused);
      expect([status, body.state]).toEqual([200, "paused"]);
    }
    expect((await order("cancel", paused)).status).toBe(200);
  });

  test("F151 resuming a running one is 200 and changes nothing", async () => {
    const id = await slow("running");
    const before = origin.requests("/slow.bin").length;
    const { status, body } = await order("resume", id);
    expect([status, body.state]).toEqual([200, "downloading"]);
    const there = (await daemon.one(id)).progress.downloaded_bytes;
    await daemon.until(id, (it) => it.progress.downloaded_bytes > there);
    expect(origin.requests("/slow.bin").length).toBeLessThan(before + 8);
    expect((await order("cancel", id)).status).toBe(200);
  });

  test("F151 retrying a completed one is 400, and its file stays", async () => {
    await daemon.begin({ url: origin.url("/quick.bin"), model_id: "done" });
    const { local_path } = await daemon.until("done", "completed");
    const { status, body } = await order("retry", "done");
    expect([status, body.error.message]).toEqual([400, expect.stringContaining("(completed)")]);
    expect(readFileSync(local_path ?? "", "utf8")).toBe("quick");
  });

  test("F151 deleting an active one cancels it, and nothing of it stays on disk", async () => {
    const id = await slow("deleted");
    const { status, body } = await daemon.api("DELETE", `/v1/downloads/${id}`);
    expect([status, body.state, body.previous_status]).toEqual([200, "cancelled", "downloading"]);
    expect([...new Bun.Glob("**/*.part").scanSync({ cwd: daemon.modelsDir, dot: true })]).toEqual([]);
    // A record goes when it has ended, and not before.
    const other = await slow("still active");
    expect((await daemon.api("DELETE", `/v1/history/${encodeURIComponent(other)}`)).status).toBe(400);
    expect((await order("cancel", encodeURIComponent(other))).status).toBe(200);
  });

  test("F154 A18 the same id for two URLs is 409; one name for two URLs is two files", async () => {
    const [one, two] = [origin.url("/one/model.bin"), origin.url("/two/model.bin")];
    const id = await slow("taken");
    const refused = await daemon.api("POST", "/v1/downloads", { url: two, model_id: id });
    expect([refused.status, refused.body.error.code]).toEqual([409, "model_id_conflict"]);
    expect((await order("cancel", id)).status).toBe(200);
    await Promise.all([one, two].map((url, n) => daemon.begin({ url, model_id: `same-${n}` })));
    await Promise.all(["same-0", "same-1"].map((each) => daemon.until(each, "completed")));
    const contents = ["model.bin", "model-2.bin"].map((name) =>
      readFileSync(join(daemon.modelsDir, name), "utf8"),
    );
    expect(contents.sort()).toEqual(["another model of the same name", "the first model"]);
  });
});
