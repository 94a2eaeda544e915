import { afterEach, describe, expect, test } from "bun:test";
import type { StartRequest } from "../../src/core/ports.ts";
import { client } from "../http/client.ts";
import {
  AWKWARD_NAMES,
  awkwardRepo,
  ggufRepo,
  type Hub,
  type HubOptions,
  smallFilesRepo,
  startHub,
  UNSAFE_NAMES,
  unsafeRepo,
} from "../support/hub.ts";
import { context, failure, resolve, sources } from "./support.ts";

let hub: Hub;
afterEach(() => hub?.stop());

async function withHub(options: HubOptions): Promise<Hub> {
  hub = await startHub(options);
  return hub;
}

const tiny = () =>
  ggufRepo("acme/tiny-gguf", {
    quantizations: { Q4_K_M: 50_000, Q8_0: 60_000 },
    split: { quantization: "F16", count: 3, sizeOfEach: 20_000 },
  });
const paths = (manifest: { files: { path: string }[] }): string[] =>
  manifest.files.map((file) => file.path).sort();
const asked = (): string[] => hub.origin.log.map(({ method, path }) => `${method} ${path}`);

describe("what a request chooses", () => {
  test("A24 filename is exactly that file, a shard too, in two requests and with its digest", async () => {
    await withHub({ repos: [tiny()] });
    const repo = hub.repo("acme/tiny-gguf");
    const filename = "tiny-F16-00001-of-00003.gguf";
    const manifest = await resolve(sources(hub.endpoint), { repoId: "acme/tiny-gguf", filename });
    const { size, sha256 } = repo.file(filename);
    expect(manifest.files).toMatchObject([
      { path: filename, size, digest: { algorithm: "sha256", hex: sha256 } },
    ]);
    expect(manifest).toMatchObject({ repo: "acme/tiny-gguf", commit: repo.branches.get("main") });
    expect(manifest.warnings?.[0]).toContain("part 1 of 3");
    expect(hub.origin.stats.requests).toBe(2);
  });

  test("a small git file carries its git digest", async () => {
    await withHub({ repos: [tiny()] });
    const { files } = await resolve(sources(hub.endpoint), {
      repoId: "acme/tiny-gguf",
      filename: "config.json",
    });
    expect(files[0]?.digest).toEqual<unknown>({
      algorithm: "git-sha1",
      hex: hub.repo("acme/tiny-gguf").file("config.json").oid,
    });
  });

  test("include, exclude, folders and the whole repository", async () => {
    await withHub({ repos: [tiny()] });
    const list = sources(hub.endpoint);
    const repoId = "acme/tiny-gguf";
    const shards = [1, 2, 3].map((n) => `tiny-F16-0000${n}-of-00003.gguf`);
    const all = [
      ".gitattributes",
      "README.md",
      "config.json",
      "tiny-Q4_K_M.gguf",
      "tiny-Q8_0.gguf",
      ...shards,
    ].sort();
    expect(paths(await resolve(list, { repoId }))).toEqual(all);
    expect(paths(await resolve(list, { url: `${hub.endpoint}/${repoId}` }))).toEqual(all);
    expect(paths(await resolve(list, { repoId, include: ["*-F16-*.gguf"] }))).toEqual(shards);
    expect(paths(await resolve(list, { repoId, include: ["*.gguf"], exclude: ["*-F16-*"] }))).toEqual([
      "tiny-Q4_K_M.gguf",
      "tiny-Q8_0.gguf",
    ]);
    expect(await failure(resolve(list, { repoId, include: ["*.onnx"] }))).toMatchObject({
      code: "entry_not_found",
    });
  });

  test("a folder's URL means what is below it, whatever characters it has", async () => {
    const files = ["q[4]/a.json", "q[4]/sub/b.json", "q4/c.json"].map((path) => ({ path, content: "{}" }));
    await withHub({ repos: [{ id: "acme/folders", files }] });
    const url = `${hub.endpoint}/acme/folders/tree/main/q%5B4%5D`;
    expect(paths(await resolve(sources(hub.endpoint), { url }))).toEqual(["q[4]/a.json", "q[4]/sub/b.json"]);
  });

  test("F225 2 000 files need one listing request for each thousand and none for a file", async () => {
    await withHub({ repos: [smallFilesRepo("acme/many")] });
    const { files } = await resolve(sources(hub.endpoint), { repoId: "acme/many" });
    expect(files).toHaveLength(2_001);
    expect(hub.origin.stats.requests).toBe(1 + 3);
    expect(hub.origin.log.every(({ method }) => method === "GET")).toBe(true);
  });

  test("names with blanks, #, ?, % and letters beyond ASCII arrive at the bytes they belong to", async () => {
    await withHub({ repos: [awkwardRepo("acme/awkward")] });
    const [source] = sources(hub.endpoint);
    const ref = source!.parse({ repoId: "acme/awkward" });
    const { files } = await source!.resolve(ref, context());
    const http = client();
    for (const path of AWKWARD_NAMES) {
      const file = files.find((f) => f.path === path)!;
      const response = await http.request(await source!.locate(ref, file, context()));
      expect([path, response.status, (await response.text()).length]).not.toContain(404);
      expect(response.status).toBe(200);
    }
  });
});

describe("one commit for everything", () => {
  test("F206 a commit asked for is the one that is fetched: a hub that answers with another is refused", async () => {
    await withHub({ repos: [tiny()] });
    const [source] = sources(hub.endpoint);
    const repo = hub.repo("acme/tiny-gguf");
    const commit = repo.commit([{ path: "config.json", content: '{"pinned":true}' }]);
    const ask = (revision: string) =>
      source!.resolve(
        source!.parse({ repoId: "acme/tiny-gguf", filename: "config.json", revision }),
        context(),
      );
    expect((await ask(commit)).commit).toBe(commit);
    const stale = JSON.stringify({
      _id: "1",
      id: "acme/tiny-gguf",
      sha: "0".repeat(40),
      gated: false,
      private: false,
    });
    hub.origin.on(
      { path: "/api/models/acme/tiny-gguf/revision/*" },
      { kind: "respond", status: 200, headers: { "Content-Type": "application/json" }, body: stale },
    );
    const error = await failure(ask(commit));
    expect([error.code, error.message]).toEqual(["protocol", expect.stringContaining(commit)]);
  });

  test("F76 F206 files stay those of the commit although the branch moves", async () => {
    await withHub({ repos: [tiny()] });
    const [source] = sources(hub.endpoint);
    const ref = source!.parse({ repoId: "acme/tiny-gguf", filename: "config.json" });
    const manifest = await source!.resolve(ref, context());
    hub.repo("acme/tiny-gguf").commit([{ path: "config.json", content: '{"moved":true}' }]);
    const response = await client().request(await source!.locate(ref, manifest.files[0]!, context()));
    expect(await response.text()).not.toContain("moved");
    expect(manifest.files[0]?.locator).toContain(manifest.commit!);
  });

  test("tags, pull requests and commits as revisions, and their URLs", async () => {
    await withHub({ repos: [tiny()] });
    const repo = hub.repo("acme/tiny-gguf");
    const first = repo.branches.get("main")!;
    const second = repo.commit([{ path: "extra.json", content: "{}" }], { branch: null });
    repo.pullRequests.set(1, second);
    repo.tags.set("v1.0", first);
    const list = sources(hub.endpoint);
    const commit = async (request: StartRequest) => (await resolve(list, request)).commit;
    const repoId = "acme/tiny-gguf";
    expect(await commit({ repoId, revision: "v1.0" })).toBe(first);
    expect(await commit({ repoId, revision: "refs/pr/1" })).toBe(second);
    expect(await commit({ repoId, revision: second })).toBe(second);
    expect(await commit({ url: `${hub.endpoint}/${repoId}/tree/refs%2Fpr%2F1` })).toBe(second);
    expect(await commit({ url: `${hub.endpoint}/${repoId}/resolve/refs/pr/1/extra.json` })).toBe(second);
    expect(await commit({ url: `https://huggingface.co/${repoId}/raw/v1.0/config.json` })).toBe(first);
  });

  test("another spelling and an old name lead to the canonical one", async () => {
    await withHub({ repos: [tiny(), { id: "acme/old-name", files: [], renamedTo: "acme/tiny-gguf" }] });
    const list = sources(hub.endpoint);
    const filename = "config.json";
    expect((await resolve(list, { repoId: "ACME/Tiny-GGUF", filename })).repo).toBe("acme/tiny-gguf");
    expect((await resolve(list, { repoId: "acme/old-name", filename })).repo).toBe("acme/tiny-gguf");
  });

  test("sha256 of the client is kept, and refused early when the hub has other content", async () => {
    await withHub({ repos: [tiny()] });
    const list = sources(hub.endpoint);
    const one = { repoId: "acme/tiny-gguf", filename: "tiny-Q8_0.gguf" };
    const { sha256 } = hub.repo(one.repoId).file(one.filename);
    expect(
      (await resolve(list, { ...one, sha256: sha256.toUpperCase() })).files[0]?.digest?.hex,
    ).toBe<string>(sha256);
    expect(await failure(resolve(list, { ...one, sha256: "0".repeat(64) }))).toMatchObject({
      code: "checksum",
    });
  });
});

describe("errors told apart, each with what to do", () => {
  const one = { repoId: "acme/tiny-gguf", filename: "tiny-Q8_0.gguf" };

  test("missing, private, no such revision, no such file, disabled", async () => {
    await withHub({
      repos: [
        tiny(),
        { ...tiny(), id: "acme/private", private: true },
        { ...tiny(), id: "acme/off", disabled: true },
      ],
    });
    const token = hub.addUser("eve");
    const list = sources(hub.endpoint);
    const cases: [StartRequest, string, RegExp][] = [
      [{ repoId: "acme/nothing" }, "not_found", /not found or is private.*give a token/],
      [{ repoId: "acme/private" }, "not_found", /not found or is private/],
      [{ repoId: "acme/private", token }, "not_found", /the token given may not read it/],
      [{ ...one, revision: "v9" }, "revision_not_found", /no revision "v9"/],
      [{ ...one, filename: "none.gguf" }, "entry_not_found", /no file "none.gguf"/],
      [{ repoId: "acme/off" }, "disabled", /disabled/],
      [{ ...one, token: "hf_unknown" }, "auth_required", /does not accept the token/],
    ];
    for (const [request, code, message] of cases) {
      const error = await failure(resolve(list, request));
      expect([request, error.code]).toEqual([request, code as never]);
      expect(error.message).toMatch(message);
      expect(error.message).not.toContain("hf_unknown");
    }
  });

  test("F38 gated: anonymous, not asked, pending and rejected are four messages, told before a byte is fetched", async () => {
    await withHub({ repos: [{ ...tiny(), gated: "manual" }] });
    const access = (it: "pending" | "rejected" | "granted") => ({ access: { "acme/tiny-gguf": it } });
    const cases: [string | undefined, RegExp][] = [
      [undefined, /accept its conditions at https:\/\/huggingface\.co\/acme\/tiny-gguf, then give a token/],
      [hub.addUser("nobody"), /ask for it at https:\/\/huggingface\.co\/acme\/tiny-gguf/],
      [hub.addUser("waiting", access("pending")), /still waiting/],
      [hub.addUser("refused", access("rejected")), /rejected/],
    ];
    const list = sources(hub.endpoint);
    for (const [token, message] of cases) {
      const error = await failure(resolve(list, { ...one, token }));
      expect(error.code).toBe("gated");
      expect(error.message).toMatch(message);
    }
    const granted = hub.addUser("granted", access("granted"));
    const { files } = await resolve(list, { ...one, token: granted });
    expect(files[0]?.digest?.algorithm).toBe("sha256");
    expect(asked().filter((line) => line.includes("/resolve/"))).toEqual([]);
  });

  test("F135 masked digests are none: the open files of a gated repository stay available", async () => {
    await withHub({ repos: [{ ...tiny(), gated: "auto" }] });
    const { files } = await resolve(sources(hub.endpoint), {
      repoId: "acme/tiny-gguf",
      filename: "README.md",
    });
    expect(files[0]?.digest?.algorithm).toBe("git-sha1");
  });

  test("explain reads the same from an answer during the transfer, and leaves the CDN's own 403 alone", async () => {
    await withHub({ repos: [{ ...tiny(), gated: "auto" }] });
    const [source] = sources(hub.endpoint);
    const ref = source!.parse(one);
    const response = await client().request({
      url: `${hub.endpoint}/acme/tiny-gguf/resolve/main/${one.filename}`,
    });
    await response.cancel();
    expect(source!.explain?.(ref, response.status, response.headers)).toMatchObject({ code: "gated" });
    const cdn = new Headers({ "content-type": "application/xml", server: "CloudFront" });
    expect(source!.explain?.(ref, 403, cdn)).toBeUndefined();
    expect(source!.explain?.(ref, 503, new Headers())).toBeUndefined();
  });

  test("F44 F45 429 waits as long as the hub's budget says, 5xx is tried again, nonsense is no listing", async () => {
    await withHub({ repos: [tiny()] });
    const list = sources(hub.endpoint);
    hub.exhaust("api", 40);
    const limited = await failure(resolve(list, one));
    expect(limited).toMatchObject({ code: "rate_limited", verdict: "retry" });
    expect(limited.retryAfterMs).toBeGreaterThan(30_000);
    expect(limited.retryAfterMs).toBeLessThan(60_000);
    await hub.stop();

    await withHub({ repos: [tiny()] });
    const again = sources(hub.endpoint);
    hub.origin.on({ times: 1 }, { kind: "respond", status: 500 });
    expect(await failure(resolve(again, one))).toMatchObject({ code: "server_error", verdict: "retry" });
    for (const body of [
      "<html>login</html>",
      "[]",
      "null",
      '{"sha":"x"}',
      '{"id":"a/b","sha":"../../etc"}',
      `{"id":"../../etc","sha":"${"a".repeat(40)}"}`,
    ]) {
      hub.origin.on(
        { times: 1 },
        { kind: "respond", status: 200, body, headers: { "Content-Type": "application/json" } },
      );
      expect([body, (await failure(resolve(again, one))).code]).toEqual([body, "protocol"]);
    }
  });
});

describe("tokens go home only", () => {
  test("F35 the request's token beats the operator's; neither reaches the CDN or another host's listing page", async () => {
    await withHub({ repos: [{ ...smallFilesRepo("acme/many", 30), private: true }], pageSize: 10 });
    const operator = hub.addUser("operator", { access: { "acme/many": "granted" } });
    const own = hub.addUser("own", { access: { "acme/many": "granted" } });
    const list = sources(hub.endpoint, ` ${operator}\n`);
    const used = () => new Set(hub.origin.log.map(({ headers }) => headers.authorization));
    await resolve(list, { repoId: "acme/many" });
    expect(used()).toEqual(new Set([`Bearer ${operator}`]));
    await resolve(list, { repoId: "acme/many", token: own });
    expect(used()).toEqual(new Set([`Bearer ${operator}`, `Bearer ${own}`]));

    await using elsewhere = await startHub({ repos: [smallFilesRepo("acme/many", 30)] });
    const foreign = `<${elsewhere.endpoint}/api/models/acme/many/tree/main?recursive=true>; rel="next"`;
    hub.origin.on({ path: "*/tree/*", times: 1 }, { kind: "headers", set: { Link: foreign } });
    await resolve(list, { repoId: "acme/many" });
    expect(elsewhere.origin.stats.requests).toBe(1);
    expect(elsewhere.origin.log[0]?.headers.authorization).toBeUndefined();
  });

  test("locate binds the token to the endpoint, and the CDN is never told", async () => {
    await withHub({ repos: [{ ...tiny(), gated: "auto" }] });
    const token = hub.addUser("ada", { access: { "acme/tiny-gguf": "granted" } });
    const [source] = sources(hub.endpoint);
    const ref = source!.parse({ repoId: "acme/tiny-gguf", filename: "tiny-Q8_0.gguf" });
    const { files } = await source!.resolve(ref, context({ token }));
    const request = await source!.locate(ref, files[0]!, context({ token }));
    expect(request).toMatchObject({ operator: true, credentials: { origin: new URL(hub.endpoint).origin } });
    expect(JSON.stringify([ref, files])).not.toContain(token);
    const response = await client().request(request);
    expect((await response.text(100_000)).length).toBeGreaterThan(0);
    expect(hub.cdn.stats.requests).toBe(1);
    expect(hub.cdn.log.every(({ headers }) => headers.authorization === undefined)).toBe(true);
  });
});

describe("a hub that cannot be trusted", () => {
  test("F69 a listing that names itself as its next page comes to an end", async () => {
    await withHub({ repos: [tiny()] });
    const commit = hub.repo("acme/tiny-gguf").branches.get("main");
    const self = `<${hub.endpoint}/api/models/acme/tiny-gguf/tree/${commit}?recursive=true&expand=false>; rel="next"`;
    hub.origin.on(
      { path: "*/tree/*" },
      { kind: "respond", status: 200, headers: { Link: self }, body: "[]" },
    );
    expect(await failure(resolve(sources(hub.endpoint), { repoId: "acme/tiny-gguf" }))).toMatchObject({
      code: "protocol",
    });
  });

  test("F124 F125 F126 a listing with unsafe names is refused as a whole, wanted files of it are not", async () => {
    for (const name of UNSAFE_NAMES) {
      await withHub({ repos: [unsafeRepo("acme/unsafe", [name])] });
      const list = sources(hub.endpoint);
      expect([name, (await failure(resolve(list, { repoId: "acme/unsafe" }))).code]).toEqual([
        name,
        "invalid_path",
      ]);
      expect(paths(await resolve(list, { repoId: "acme/unsafe", include: ["README.md"] }))).toEqual([
        "README.md",
      ]);
      const listing = await list[0]!.list!("acme/unsafe", undefined, context());
      expect(listing.files.map((f) => f.path)).toEqual<unknown>(["README.md"]);
      await hub.stop();
    }
  });
});

test("list shows quantizations and shard sets with sizes and digests", async () => {
  await withHub({ repos: [tiny()] });
  const [hf] = sources(hub.endpoint);
  const { files, ...head } = await hf!.list!("ACME/tiny-gguf", undefined, context());
  expect(head).toEqual({
    repo: "acme/tiny-gguf",
    commit: hub.repo("acme/tiny-gguf").branches.get("main")!,
    gated: false,
  });
  expect(files.find((f) => f.path === "tiny-Q8_0.gguf")).toMatchObject({
    quantization: "Q8_0",
    shardSet: null,
    shard: null,
    size: 60_000,
  });
  const set = files.filter((f) => f.shardSet === "tiny-F16-*-of-00003.gguf");
  expect(set.map((f) => f.shard)).toEqual([1, 2, 3].map((number) => ({ number, count: 3 })));
  expect(set.every((f) => f.quantization === "F16" && f.digest?.algorithm === "sha256")).toBe(true);
});
