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

  test("is nothing but its own files", () => {
    for (const path of ["", "/index.html", "/../package.json", "/app.tsx", "//", "/constructor"])
      expect(assets.lookup(path)).toBeUndefined();
  });
});
