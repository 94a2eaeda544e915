import { expect } from "bun:test";

/** What every copy of the page must be, wherever its files come from. */
export async function checkPage(get: (path: string) => Promise<Response | undefined>): Promise<void> {
  const page = await get("/");
  const html = (await page?.text()) ?? "";
  expect(html).toContain("<title>modelhaul</title>");
  expect(html).not.toMatch(/<style|style=|<script(?![^>]* src=)|\son\w+=/);
  expect(page?.headers.get("content-type")).toStartWith("text/html");
  expect(page?.headers.get("content-security-policy")).toContain("default-src 'none'; script-src 'self'");
  expect(page?.headers.get("x-content-type-options")).toBe("nosniff");
  expect(page?.headers.get("cache-control")).toBe("no-cache");

  const paths = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? "");
  const types = await Promise.all(
    paths.map(async (path) => {
      const asset = await get(path);
      expect(asset?.headers.get("cache-control")).toContain("immutable");
      return asset?.headers.get("content-type")?.split(";")[0];
    }),
  );
  expect(types.sort()).toEqual(["image/svg+xml", "text/css", "text/javascript"]);
}
