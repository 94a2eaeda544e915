import { describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { getText, rawRequest } from "../support/raw.ts";
import { tempDir } from "../support/temp.ts";
import { KEY, serve } from "./support.ts";

describe("--web-root", () => {
  test("serves the folder's files, and nothing beside it (F201)", async () => {
    using dir = tempDir("web");
    const root = dir.at("site");
    mkdirSync(`${root}/js`, { recursive: true });
    mkdirSync(`${root}/v1`);
    writeFileSync(dir.at("secret.txt"), "secret");
    writeFileSync(`${root}/index.html`, "<title>mine</title>");
    writeFileSync(`${root}/js/app.js`, "let a");
    writeFileSync(`${root}/.env`, "secret");
    writeFileSync(`${root}/v1/downloads`, "secret");
    await using served = await serve({ webRoot: root, apiKey: KEY });
    const page = await served.call("GET", "/");
    expect([page.status, page.body]).toEqual([200, "<title>mine</title>"]);
    expect(page.headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
    expect((await served.call("GET", "/index.html")).body).toBe("<title>mine</title>");
    const script = await served.call("GET", "/js/app.js");
    expect([script.status, script.body]).toEqual([200, "let a"]);
    expect(script.headers.get("content-type")).toContain("javascript");
    const outside = [
      "/..%2fsecret.txt",
      "/js/..%2f..%2fsecret.txt",
      "/%2e%2e/secret.txt",
      "/js/..%5c..%5csecret.txt",
      "/.env",
      "/js",
      "/js/",
      "/v1/downloads",
      "/secret.txt",
    ];
    for (const target of outside) {
      const answer = await rawRequest(served.port, getText(target, { Host: "localhost" }));
      expect([target, answer.status]).toEqual([target, 401]);
      expect(answer.text).not.toContain("secret");
    }
    expect((await served.call("GET", "/app.js")).status).toBe(401);
    expect((await served.call("POST", "/js/app.js")).status).toBe(401);
    const known = { "X-API-Key": KEY };
    expect((await served.call("GET", "/nonsense", undefined, known)).status).toBe(404);
  });

  test("a page is asked for again, what has not changed is not sent again", async () => {
    using dir = tempDir("web");
    writeFileSync(dir.at("app.js"), "let a");
    await using served = await serve({ webRoot: dir.path });
    const first = await served.call("GET", "/app.js");
    expect(first.headers.get("cache-control")).toContain("no-cache");
    const again = { "If-None-Match": first.headers.get("etag") ?? "" };
    expect((await served.call("GET", "/app.js", undefined, again)).status).toBe(304);
  });
});
