import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { getText, rawRequest } from "../support/raw.ts";
import { tempDir } from "../support/temp.ts";
import { until } from "../support/until.ts";
import { KEY, type Served, serve } from "./support.ts";

/** The machine may be busy. */
setDefaultTimeout(30_000);

const paused = { settings: { paused: true } };
const NOWHERE = "http://127.0.0.1:9/victim.bin";

/** All that a request could have changed. */
async function state(served: Served): Promise<string> {
  const paths = ["/v1/downloads?state=all", "/v1/settings", "/engines", "/v1/files"];
  const answers = await Promise.all(paths.map((path) => served.call("GET", path)));
  const [downloads, ...rest] = answers.map(({ body }) => body);
  const rows = downloads.active_downloads.map((it: Record<string, unknown>) => [
    it.id,
    it.state,
    it.priority,
  ]);
  return JSON.stringify([rows, rest]);
}

test("F180 no GET and no HEAD changes anything, but for the two routes that start a download", async () => {
  await using served = await serve({ product: paused });
  const { body } = await served.call("POST", "/v1/downloads", { url: NOWHERE, model_id: "victim" });
  const before = await state(served);
  const reads = served.api.routes().filter(({ method }) => method === "GET");
  expect(reads.length).toBeGreaterThan(30);
  const ask = (method: string, target: string, headers: Record<string, string> = {}) =>
    rawRequest(served.port, getText(target, { Host: "localhost", ...headers }).replace("GET", method), {
      until: 12,
    });
  for (const { path } of reads)
    for (const method of ["GET", "HEAD"]) {
      const target = path.replace(/:(\w+)/g, (_, name) => (name === "download_id" ? body.id : "victim"));
      expect((await ask(method, target)).text).toStartWith("HTTP/1.1 ");
      expect([method, path, await state(served)]).toEqual([method, path, before]);
    }
  // Those two begin something when they name it. No image tag and no page of another site gets that far.
  const starting = [
    "/api/download?ModelRepo=a/b&FilePath=m.gguf",
    `/api/models/download?provider=url&model=${encodeURIComponent(NOWHERE.replace("victim", "other"))}`,
  ];
  const foreign: Record<string, string>[] = [
    { "Sec-Fetch-Site": "cross-site" },
    { Origin: "null" },
    { Origin: "https://evil.example" },
  ];
  for (const target of starting)
    for (const headers of foreign)
      for (const method of ["GET", "HEAD"])
        expect((await ask(method, target, headers)).text).toStartWith("HTTP/1.1 403");
  expect(await state(served)).toBe(before);
  for (const target of starting) await ask("GET", target);
  // A stream answers before its download is begun.
  const active = async () => (await served.call("GET", "/v1/downloads")).body.total_active;
  await until(async () => (await active()) === 3, "both to be begun");
});

test("F192 X-Forwarded-* and Forwarded change neither the host judged nor who is guessing", async () => {
  await using served = await serve({ product: paused, apiKey: KEY });
  const claims = (n: number) => ({
    "X-Forwarded-For": `10.0.0.${n}`,
    "X-Real-IP": `10.0.0.${n}`,
    Forwarded: `for=10.0.0.${n};host=localhost;proto=https`,
    "X-Forwarded-Host": "localhost",
    "X-Forwarded-Proto": "https",
  });
  const foreign = { Host: "rebound.example", "X-API-Key": KEY, ...claims(1) };
  expect((await rawRequest(served.port, getText("/v1/downloads", foreign))).status).toBe(421);
  const evil = { Host: "localhost", "X-Forwarded-Host": "rebound.example", "X-API-Key": KEY };
  expect((await rawRequest(served.port, getText("/v1/downloads", evil))).status).toBe(200);
  const statuses = await Promise.all(
    Array.from({ length: 80 }, async (_, n) => {
      const headers = { "X-API-Key": `guess ${n}`, ...claims(n) };
      return (await served.call("GET", "/v1/downloads", undefined, headers)).status;
    }),
  );
  expect(statuses.filter((status) => status === 429).length).toBeGreaterThan(20);
});

test("F205 many ranges at once get one whole answer, of whatever we serve", async () => {
  using dir = tempDir("pages");
  const web = dir.at("web");
  mkdirSync(web);
  writeFileSync(`${web}/index.html`, `<title>${"x".repeat(5000)}</title>`);
  writeFileSync(`${web}/app.js`, `"${"y".repeat(5000)}"`);
  await using built = await serve({ product: paused });
  await using folder = await serve({ product: paused, webRoot: web });
  const many = `bytes=${Array.from({ length: 900 }, (_, n) => `${n}-`).join(",")}`;
  for (const served of [built, folder])
    for (const path of ["/", "/app.js", "/health", "/openapi.json", "/swagger/start.js", "/v1/downloads"]) {
      const ask = (range?: string) =>
        rawRequest(served.port, getText(path, { Host: "localhost", ...(range && { Range: range }) }));
      const whole = await ask();
      for (const range of [many, "bytes=0-0,2-3", "bytes=0-,0-,0-"]) {
        const answer = await ask(range);
        expect([path, answer.status]).toEqual([path, 200]);
        expect(answer.header("content-type").join()).not.toContain("multipart");
        expect(answer.body.length).toBeLessThanOrEqual(whole.body.length + 100);
      }
    }
});
