import { afterEach, expect, test } from "bun:test";
import { sha256 } from "./bytes.ts";
import { ggufRepo } from "./hub.ts";
import { CODES, type ModelScope, type ModelScopeOptions, startModelScope } from "./modelscope.ts";

let site: ModelScope;
afterEach(() => site.stop());

const REPO = "acme/tiny-gguf";
const FILE = "tiny-Q4_K_M.gguf";
const api = `/api/v1/models/${REPO}`;

async function start(options: ModelScopeOptions = {}): Promise<void> {
  const files = [...ggufRepo(REPO).files, { path: "sub/dir/a b.json", content: "0123456789" }];
  site = await startModelScope({
    repos: [
      { id: REPO, files, info: { tags: ["gguf"], library_name: "gguf" } },
      { ...ggufRepo("acme/gated"), gated: "auto" },
    ],
    ...options,
  });
}

const ask = (path: string, headers: Record<string, string> = {}, method = "GET") =>
  fetch(`${site.endpoint}${path}`, { method, headers, redirect: "manual" });

async function envelope(path: string, headers: Record<string, string> = {}) {
  const response = await ask(path, headers);
  const body = (await response.json()) as {
    Code: number;
    // biome-ignore lint/suspicious/noExplicitAny: whatever the route says; the assertions look into it.
    Data: any;
    Message: string;
    RequestId: string;
    Success: boolean;
  };
  expect(Object.keys(body).sort()).toEqual(["Code", "Data", "Message", "RequestId", "Success"]);
  return { status: response.status, headers: response.headers, ...body };
}

test("everything of the API comes in the envelope: info, revisions, listing", async () => {
  await start();
  const info = await envelope(api);
  expect([info.status, info.Code, info.Success]).toEqual([200, 200, true]);
  expect([info.Data.Path, info.Data.Name]).toEqual(["acme", "tiny-gguf"]);
  const { Data } = await envelope(`${api}/revisions`);
  expect(Data.RevisionMap.Branches.map((it: { Revision: string }) => it.Revision)).toEqual(["master"]);
});

test("a listing has folders, a SHA-256 for every file, and only its own level unless asked for all", async () => {
  await start();
  const list = async (query: string) => (await envelope(`${api}/repo/files?${query}`)).Data.Files;
  const paths = (items: { Path: string; Type: string }[]) => items.map(({ Path, Type }) => `${Type} ${Path}`);
  const all = await list("Revision=master&Recursive=True");
  expect(paths(all)).toEqual(expect.arrayContaining(["tree sub", "tree sub/dir", "blob sub/dir/a b.json"]));
  for (const item of all.filter(({ Type }: { Type: string }) => Type === "blob"))
    expect([item.Path, item.Sha256]).toEqual([item.Path, sha256(site.repo(REPO).file(item.Path).content)]);
  expect(paths(await list("Recursive=False"))).not.toContain("blob sub/dir/a b.json");
  expect(paths(await list("Root=sub&Recursive=False"))).toEqual(["tree sub/dir"]);
  site.settings.listLimit = 2;
  expect(await list("Recursive=True&PageSize=500")).toHaveLength(2);
});

test("the commit: by first digits beside the list, and per file the one that last changed it", async () => {
  await start();
  const repo = site.repo(REPO);
  const first = repo.branches.get("master")!;
  const second = repo.commit([{ path: "new.json", content: "{}" }]);
  const { Data } = await envelope(`${api}/repo/files?Revision=master&Recursive=True`);
  expect([Data.LatestCommitter.Id, Data.LatestCommitter.ShortId]).toEqual(["", second.slice(0, 8)]);
  const revisions = Data.Files.filter((it: { Type: string }) => it.Type === "blob").map(
    ({ Path, Revision }: { Path: string; Revision: string }) => [Path, Revision],
  );
  expect(revisions).toContainEqual(["new.json", second]);
  expect(revisions).toContainEqual([FILE, first]);
  expect((await envelope(`${api}/repo/files?Revision=${first}`)).Data.LatestCommitter.ShortId).toBe(
    first.slice(0, 8),
  );
});

test("large files lead to another host with an auth_key, which takes ranges, expires and wants no credentials", async () => {
  await start();
  const path = `${api}/repo?Revision=master&FilePath=${FILE}`;
  const found = await ask(path);
  expect(found.status).toBe(302);
  const link = found.headers.get("location") ?? "";
  expect(link).toContain("auth_key=");
  expect(new URL(link).hostname).not.toBe(new URL(site.endpoint).hostname);
  const part = await fetch(link, { headers: { Range: "bytes=10-19" } });
  expect([part.status, part.headers.get("content-range")]).toEqual([206, `bytes 10-19/${1 << 20}`]);
  for (const name of ["Authorization", "Cookie"])
    expect((await fetch(link, { headers: { [name]: "x" } })).status).toBe(400);
  site.expireLinks();
  expect((await fetch(link)).status).toBe(403);
  expect((await ask(path, {}, "HEAD")).status).toBe(200);
  expect((await ask(`/${REPO}/resolve/master/${FILE}`)).status).toBe(302);
  expect((await ask(`/models/${REPO}/resolve/master/${FILE}`)).status).toBe(302);
});

test("small files: 200 to everything, a bounded range cut out, an open one ignored", async () => {
  await start();
  const path = `${api}/repo?Revision=master&FilePath=${encodeURIComponent("sub/dir/a b.json")}`;
  const get = async (range?: string) => {
    const response = await ask(path, range === undefined ? {} : { Range: range });
    return [response.status, response.headers.get("content-range"), await response.text()];
  };
  expect(await get()).toEqual([200, null, "0123456789"]);
  expect(await get("bytes=2-4")).toEqual([200, "bytes 2-4/10", "234"]);
  expect(await get("bytes=2-99")).toEqual([200, "bytes 2-9/10", "23456789"]);
  expect(await get("bytes=2-")).toEqual([200, null, "0123456789"]);
});

test("refusals: 404 with a code, a missing file also 200, limits and trouble on order", async () => {
  await start();
  const code = async (path: string, headers = {}) => {
    const { status, Code, Success } = await envelope(path, headers);
    return [status, Code, Success];
  };
  expect(await code("/api/v1/models/acme/none")).toEqual([404, CODES.notFound, false]);
  expect(await code("/api/v1/models/acme/gated/repo/files")).toEqual([404, CODES.noAccess, false]);
  expect(await code(`${api}/repo/files?Revision=main`)).toEqual([404, CODES.noTree, false]);
  expect(await code(`${api}/repo?FilePath=none`)).toEqual([200, CODES.noFile, false]);
  site.settings.missingFile = 404;
  expect(await code(`${api}/repo?FilePath=none`)).toEqual([404, CODES.noFile, false]);
  site.settings.unknownRevision = "empty";
  expect((await envelope(`${api}/repo/files?Revision=main`)).Data.Files).toBeNull();
  site.trouble(1);
  expect((await envelope(api)).Message).toContain("Error 1461");
  expect((await envelope(api)).Code).toBe(200);
  site.exhaust(30);
  const closed = await envelope(api);
  expect([closed.status, closed.headers.get("retry-after")]).toEqual([429, "30"]);
});

test("tokens: by cookie or header; one that nobody has is as good as none", async () => {
  await start();
  const token = site.addUser("ada", { access: { "acme/gated": "granted" } });
  const eve = site.addUser("eve");
  const status = async (headers: Record<string, string>) =>
    (await envelope("/api/v1/models/acme/gated", headers)).status;
  expect(await status({ Cookie: `a=b; m_session_id=${token}` })).toBe(200);
  expect(await status({ Authorization: `Bearer ${token}` })).toBe(200);
  expect(await status({ Authorization: `Bearer ${eve}` })).toBe(404);
  expect((await envelope(api, { Authorization: "Bearer ms-nobody" })).status).toBe(200);
});
