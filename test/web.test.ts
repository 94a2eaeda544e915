import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createWebAssets, type WebAssets } from "../src/web.ts";
import { checkPage } from "./cli/page.ts";

/** Each test starts processes, and the machine may be busy. */
setDefaultTimeout(30_000);

describe("the page from source", () => {
  let assets: WebAssets;
  beforeAll(async () => {
    assets = await createWebAssets();
  });

  test("is complete, with a strict policy and nothing inline", () =>
    checkPage(async (path) => assets.lookup(path)));

  test("is not sent again to who has it", () => {
    const etag = assets.lookup("/")?.headers.get("etag") ?? "";
    const request = new Request("http://localhost/", { headers: { "If-None-Match": etag } });
    expect(assets.lookup("/", request)?.status).toBe(304);
  });

  test("comes gzipped to who takes that, under a tag of its own", async () => {
    const ask = (headers: Record<string, string>) =>
      assets.lookup("/embed.js", new Request("http://localhost/", { headers }));
    const plain = ask({});
    const gzipped = ask({ "Accept-Encoding": "br, gzip;q=0.8" });
    const refused = ask({ "Accept-Encoding": "gzip;q=0" });
    expect([plain, gzipped, refused].map((it) => it?.headers.get("content-encoding"))).toEqual([
      null,
      "gzip",
      null,
    ]);
    expect(gzipped?.headers.get("vary")).toBe("Accept-Encoding");
    const etag = gzipped?.headers.get("etag") ?? "";
    expect(etag).not.toBe(plain?.headers.get("etag") ?? "");
    const text = new TextDecoder().decode(Bun.gunzipSync((await gzipped?.bytes()) ?? new Uint8Array()));
    expect(text).toBe((await plain?.text()) ?? "");
    expect(ask({ "Accept-Encoding": "gzip", "If-None-Match": etag })?.status).toBe(304);
    expect(ask({ "If-None-Match": etag })?.status).toBe(200);
  });

  test("is nothing but its own files", () => {
    for (const path of ["", "/index.html", "/../package.json", "/app.tsx", "//", "/constructor"])
      expect(assets.lookup(path)).toBeUndefined();
  });
});
