import { afterEach, describe, expect, test } from "bun:test";
import { firstDifference, gitSha1Of, readAll, sha256 } from "./bytes.ts";
import {
  AWKWARD_NAMES,
  awkwardRepo,
  encodePath,
  ggufRepo,
  type Hub,
  type HubOptions,
  smallFilesRepo,
  startHub,
  UNSAFE_NAMES,
  unsafeRepo,
} from "./hub.ts";

const TINY = ggufRepo("acme/tiny-gguf", { split: { quantization: "Q8_0", count: 3, sizeOfEach: 5_000 } });
const BIG = "tiny-Q4_K_M.gguf";
let hub: Hub;

async function serve(options: HubOptions = {}): Promise<Hub> {
  hub = await startHub({ repos: [TINY], ...options });
  return hub;
}

afterEach(() => hub.stop());

const ask = (path: string, init: RequestInit = {}) => {
  const headers = { "Accept-Encoding": "identity", ...init.headers };
  return fetch(path.startsWith("http") ? path : hub.endpoint + path, {
    ...init,
    headers,
    redirect: "manual",
  });
};
const bearer = (token: string) => ({ headers: { Authorization: `Bearer ${token}` } });

// Test code reads whatever JSON has come; the assertions say what it must be.
// biome-ignore lint/suspicious/noExplicitAny: the shapes are what is being tested
const read = async (path: string, init?: RequestInit): Promise<any> => (await ask(path, init)).json();

describe("model info", () => {
  test("names the commit, and with blobs=true sizes and digests under lfs.sha256", async () => {
    await serve();
    const info = await read("/api/models/acme/tiny-gguf?blobs=true");
    const big = hub.repo("acme/tiny-gguf").file(BIG);
    expect(info).toMatchObject({
      id: "acme/tiny-gguf",
      author: "acme",
      private: false,
      gated: false,
      disabled: false,
    });
    expect(info.sha).toBe(hub.repo("acme/tiny-gguf").branches.get("main"));
    // biome-ignore lint/suspicious/noExplicitAny: as above
    expect(info.siblings.find((it: any) => it.rfilename === BIG)).toEqual({
      rfilename: BIG,
      blobId: big.oid,
      size: 1 << 20,
      lfs: { sha256: sha256(big.content), size: 1 << 20, pointerSize: 132 },
    });
    const bare = await read("/api/models/acme/tiny-gguf/revision/main");
    expect(bare.siblings[0]).toEqual({ rfilename: ".gitattributes" });
  });

  test("expand gives only the ids and what was asked for", async () => {
    await serve();
    const info = await read("/api/models/acme/tiny-gguf?expand=sha&expand=gated");
    expect(Object.keys(info).sort()).toEqual(["_id", "gated", "id", "sha"]);
  });

  test("branches, tags, pull requests, full and short commits are revisions; a moved branch shows at once", async () => {
    await serve();
    const repo = hub.repo("acme/tiny-gguf");
    const first = repo.branches.get("main")!;
    const pull = repo.commit([{ path: "new.txt", content: "new" }], { branch: null });
    repo.tags.set("v1", first);
    repo.pullRequests.set(1, pull);
    const sha = async (revision: string) =>
      (await read(`/api/models/acme/tiny-gguf/revision/${encodeURIComponent(revision)}`)).sha;
    expect([await sha("main"), await sha("v1"), await sha(first), await sha(first.slice(0, 8))]).toEqual(
      Array(4).fill(first),
    );
    expect(await sha("refs/pr/1")).toBe(pull);
    const second = repo.commit([{ path: "config.json", content: "{}" }]);
    expect([await sha("main"), await sha("v1")]).toEqual([second, first]);
    const refs = await read("/api/models/acme/tiny-gguf/refs?include_prs=1");
    expect(refs).toEqual({
      branches: [{ name: "main", ref: "refs/heads/main", targetCommit: second }],
      converts: [],
      tags: [{ name: "v1", ref: "refs/tags/v1", targetCommit: first }],
      pullRequests: [{ name: "1", ref: "refs/pr/1", targetCommit: pull }],
    });
  });

  test("a renamed repository and another spelling redirect, relative, keeping the rest", async () => {
    await serve({ repos: [TINY, { id: "acme/old", files: [], renamedTo: "acme/tiny-gguf" }] });
    const location = async (path: string) => (await ask(path)).headers.get("location");
    expect(await location("/api/models/acme/old/tree/main?recursive=true")).toBe(
      "/api/models/acme/tiny-gguf/tree/main?recursive=true",
    );
    expect(await location("/acme/old/resolve/main/config.json")).toBe(
      "/acme/tiny-gguf/resolve/main/config.json",
    );
    expect(await location("/api/models/ACME/tiny-GGUF")).toBe("/api/models/acme/tiny-gguf");
  });
});

describe("tree and paths-info", () => {
  test("files have real sizes, the git id of the pointer, and the digest under lfs.oid", async () => {
    await serve();
    const items = await read("/api/models/acme/tiny-gguf/tree/main?recursive=true");
    const big = hub.repo("acme/tiny-gguf").file(BIG);
    // biome-ignore lint/suspicious/noExplicitAny: as above
    expect(items.find((it: any) => it.path === BIG)).toEqual({
      type: "file",
      oid: gitSha1Of(
        `version https://git-lfs.github.com/spec/v1\noid sha256:${sha256(big.content)}\nsize 1048576\n`,
      ),
      size: 1 << 20,
      path: BIG,
      lfs: { oid: sha256(big.content), size: 1 << 20, pointerSize: 132 },
      xetHash: big.xetHash,
    });
    // biome-ignore lint/suspicious/noExplicitAny: as above
    expect(items.find((it: any) => it.path === "config.json").oid).toBe(
      gitSha1Of(hub.repo("acme/tiny-gguf").file("config.json").content),
    );
  });

  test("2 000 files come in pages of 1 000, by absolute links to the hub itself, each once", async () => {
    await serve({ repos: [smallFilesRepo("acme/many")] });
    const pages: number[] = [];
    const paths = new Set<string>();
    let next: string | undefined = `${hub.endpoint}/api/models/acme/many/tree/main?recursive=true`;
    while (next) {
      const response: Response = await ask(next);
      const items = (await response.json()) as { path: string; type: string }[];
      pages.push(items.length);
      for (const item of items) if (item.type === "file") paths.add(item.path);
      next = /^<([^>]+)>; rel="next"$/.exec(response.headers.get("link") ?? "")?.[1];
      if (next) expect(next).toStartWith(`${hub.endpoint}/api/models/acme/many/tree/main?`);
    }
    expect([pages, paths.size]).toEqual([[1000, 1000, 21], 2001]);
  });

  test("a listing that just fits one page has no next one", async () => {
    await serve({
      repos: [{ id: "gpt2", files: ["a", "b", "c"].map((path) => ({ path, content: path })) }],
      pageSize: 3,
    });
    const response = await ask("/api/models/gpt2/tree/main");
    expect([((await response.json()) as unknown[]).length, response.headers.get("link")]).toEqual([3, null]);
  });

  test("a repository whose id is one word is found on every route", async () => {
    await serve({ repos: [{ id: "gpt2", files: [{ path: "a/b.txt", content: "x" }] }] });
    expect((await read("/api/models/gpt2")).id).toBe("gpt2");
    expect((await read("/api/models/gpt2/tree/main/a"))[0].path).toBe("a/b.txt");
    const response = await fetch(`${hub.endpoint}/gpt2/resolve/main/a/b.txt`);
    expect([response.status, await response.text()]).toEqual([200, "x"]);
  });

  test("one level, a sub-folder, expand, and a folder that is not there", async () => {
    await serve({ repos: [awkwardRepo("acme/names")] });
    const paths = async (rest: string) =>
      (await read(`/api/models/acme/names/tree/main${rest}`)).map((it: { path: string }) => it.path);
    expect(await paths("")).toContain("sub");
    expect(await paths("")).not.toContain("sub/dir");
    expect(await paths("/sub%2Fdir")).toEqual(["sub/dir/file name (1).gguf"]);
    const [first] = await read("/api/models/acme/names/tree/main?expand=true&recursive=true");
    expect(first.lastCommit.id).toBe(hub.repo("acme/names").branches.get("main"));
    expect((await ask("/api/models/acme/names/tree/main/nowhere")).headers.get("x-error-code")).toBe(
      "EntryNotFound",
    );
  });

  test("paths-info takes a form or JSON and leaves unknown paths out", async () => {
    await serve();
    const url = "/api/models/acme/tiny-gguf/paths-info/main";
    const body = new URLSearchParams([
      ["paths", BIG],
      ["paths", "nothing"],
      ["paths", "config.json"],
    ]);
    const form = await read(url, { method: "POST", body });
    expect(form.map((it: { path: string }) => it.path)).toEqual([BIG, "config.json"]);
    const headers = { "Content-Type": "application/json" };
    const json = await read(url, {
      method: "POST",
      headers,
      body: JSON.stringify({ paths: [BIG], expand: true }),
    });
    expect([json[0].path, json[0].securityFileStatus.status]).toEqual([BIG, "unscanned"]);
  });

  test("unsafe names stand in the listing as they are", async () => {
    await serve({ repos: [unsafeRepo("acme/evil")] });
    const items = await read("/api/models/acme/evil/tree/main?recursive=true");
    const files = items
      .filter((it: { type: string }) => it.type === "file")
      .map((it: { path: string }) => it.path);
    expect(files).toEqual(["README.md", ...UNSAFE_NAMES]);
  });
});

describe("resolve", () => {
  test("a large file: 302 to another host name, all headers on the first hop, the text's own length", async () => {
    await serve();
    const repo = hub.repo("acme/tiny-gguf");
    const big = repo.file(BIG);
    const response = await ask(`/acme/tiny-gguf/resolve/main/${BIG}`, { method: "HEAD" });
    const header = (name: string) => response.headers.get(name);
    const location = header("location")!;
    expect(response.status).toBe(302);
    expect([new URL(location).hostname, new URL(hub.endpoint).hostname]).toEqual(["localhost", "127.0.0.1"]);
    expect([header("x-linked-size"), header("x-linked-etag")]).toEqual([
      String(big.size),
      `"${sha256(big.content)}"`,
    ]);
    expect([header("x-repo-commit"), header("x-xet-hash")]).toEqual([
      repo.branches.get("main")!,
      big.xetHash,
    ]);
    expect(Number(header("content-length"))).toBe(`Found. Redirecting to ${location}`.length);
    const file = await ask(location, { headers: { Range: "bytes=10-1009" } });
    expect([file.status, file.headers.get("content-range")]).toEqual([206, `bytes 10-1009/${big.size}`]);
    expect([file.headers.get("etag"), file.headers.get("x-repo-commit")]).toEqual([`"${big.xetHash}"`, null]);
    expect(firstDifference(await file.bytes(), big.content.read(10, 1000))).toBe(-1);
    expect(
      (await ask(location, { headers: { Range: `bytes=${big.size}-` } })).headers.get("content-range"),
    ).toBe(`bytes */${big.size}`);
  });

  test("without xet nothing of it is announced", async () => {
    await serve({ xet: false });
    const response = await ask(`/acme/tiny-gguf/resolve/main/${BIG}`);
    expect([response.headers.get("x-xet-hash"), response.headers.get("link")]).toEqual([null, null]);
    expect(JSON.stringify(await read("/api/models/acme/tiny-gguf/tree/main"))).not.toContain("xetHash");
  });

  test("a small file: 307 to a relative address, then 200 with the git id; with gzip it loses its length", async () => {
    const long = JSON.stringify({ list: Array(500).fill("word") });
    await serve({ repos: [{ id: "acme/small", files: [{ path: "config.json", content: long }] }] });
    const first = await ask("/acme/small/resolve/main/config.json");
    const location = first.headers.get("location")!;
    expect([first.status, location.startsWith("/api/resolve-cache/models/acme/small/")]).toEqual([307, true]);
    const second = await ask(location);
    expect([second.status, second.headers.get("etag")]).toEqual([200, `"${gitSha1Of(long)}"`]);
    expect([second.headers.get("content-length"), await second.text()]).toEqual([String(long.length), long]);
    const zipped = await ask(location, { headers: { "Accept-Encoding": "gzip" } });
    expect([zipped.headers.get("content-length"), zipped.headers.get("etag")]).toEqual([
      null,
      `W/"${gitSha1Of(long)}"`,
    ]);
    expect(await zipped.text()).toBe(long);
    expect((await ask(location.split("?")[0]!)).status).toBe(200);
  });

  test("awkward names arrive whole, both kinds of files", async () => {
    await serve({ repos: [awkwardRepo("acme/names")] });
    for (const name of AWKWARD_NAMES) {
      const response = await fetch(`${hub.endpoint}/acme/names/resolve/main/${encodePath(name)}`);
      const expected = readAll(hub.repo("acme/names").file(name).content);
      expect([name, response.status, firstDifference(await response.bytes(), expected)]).toEqual([
        name,
        200,
        -1,
      ]);
    }
  });

  test("raw gives the pointer of a large file", async () => {
    await serve();
    const text = await (await ask(`/acme/tiny-gguf/raw/main/${BIG}`)).text();
    expect([text.startsWith("version https://git-lfs"), text.length]).toEqual([true, 132]);
  });

  test("a link expires by itself and on order; a token on it is refused", async () => {
    await serve({ linkTtlMs: -1 });
    const link = async () => (await ask(`/acme/tiny-gguf/resolve/main/${BIG}`)).headers.get("location")!;
    const expired = await ask(await link());
    expect([expired.status, await expired.text()]).toEqual([
      403,
      expect.stringContaining("<Code>AccessDenied</Code>"),
    ]);
    hub.linkTtlMs = 60_000;
    const good = await link();
    expect((await ask(good, bearer("hf_secret"))).status).toBe(400);
    expect((await ask(good)).status).toBe(200);
    hub.expireLinks();
    expect([(await ask(good)).status, (await ask(await link())).status]).toEqual([403, 200]);
  });

  test("faults can be ordered for one file on the CDN, and on the hub", async () => {
    await serve();
    hub.cdn.on({ path: hub.cdnPath("acme/tiny-gguf", BIG), times: 1 }, { kind: "cut", at: 10 });
    hub.origin.on({ path: "/acme/*", times: 1 }, { kind: "respond", status: 503 });
    expect((await ask(`/acme/tiny-gguf/resolve/main/${BIG}`)).status).toBe(503);
    const location = (await ask(`/acme/tiny-gguf/resolve/main/${BIG}`)).headers.get("location")!;
    await expect(ask(location).then((it) => it.bytes())).rejects.toThrow();
    expect((await (await ask(location)).bytes()).length).toBe(1 << 20);
  });
});

test("search lists models by name, author and tag, in pages", async () => {
  await serve({
    repos: [
      TINY,
      ggufRepo("acme/other-gguf"),
      ggufRepo("else/tiny-gguf"),
      { ...TINY, id: "acme/secret", private: true },
    ],
  });
  const ids = async (query: string) =>
    (await read(`/api/models?${query}`)).map((it: { id: string }) => it.id);
  expect(await ids("search=TINY")).toEqual(["acme/tiny-gguf", "else/tiny-gguf"]);
  expect(await ids("author=acme&filter=gguf")).toEqual(["acme/tiny-gguf", "acme/other-gguf"]);
  expect(await ids("search=secret")).toEqual([]);
  const first = await ask("/api/models?limit=2");
  expect([((await first.json()) as unknown[]).length, first.headers.get("link")]).toEqual([
    2,
    expect.stringContaining('rel="next"'),
  ]);
});
