/** The sources of this build in front of real servers, for the suite that all of them pass. */
import type { StartRequest } from "../../src/core/ports.ts";
import { createHuggingFace } from "../../src/sources/huggingface.ts";
import { createMlx } from "../../src/sources/mlx.ts";
import { createModelScope } from "../../src/sources/modelscope.ts";
import { createUrl } from "../../src/sources/url.ts";
import type { SourceSubject } from "../conformance/source.ts";
import type { RepositorySubject } from "../conformance/source-repository.ts";
import { client, clock } from "../http/client.ts";
import { bytesAt, generated, literal, readAll } from "../support/bytes.ts";
import { awkwardRepo, ggufRepo, type RepoSpec, startHub, unsafeRepo } from "../support/hub.ts";
import { startModelScope } from "../support/modelscope.ts";
import { startOrigin } from "../support/origin.ts";

const REPO = "acme/tiny-gguf";
const FILE = "tiny-Q4_K_M.gguf";

const repos = (): RepoSpec[] => [
  ggufRepo(REPO),
  ggufRepo("acme/other-gguf"),
  awkwardRepo("acme/Awkward.names"),
  unsafeRepo("acme/unsafe"),
  { ...ggufRepo("acme/private-gguf"), private: true },
  { ...ggufRepo("acme/gated-gguf"), gated: "manual" },
];

const contents = ({ files }: RepoSpec): Map<string, Uint8Array> =>
  new Map(
    files.map(({ path, content }) => [
      path,
      readAll(typeof content === "string" ? literal(content) : content),
    ]),
  );

/** What all requests for repositories must refuse; `ask` makes a request for a repository. */
function refusals(ask: (repo: string, more?: StartRequest) => StartRequest): SourceSubject["invalid"] {
  const bad = (code: "invalid_request" | "invalid_path", ...requests: StartRequest[]) =>
    requests.map((request) => ({ request, code }));
  return [
    ...bad("invalid_request", ask("a/b/c"), ask("../x"), ask("a/b.git"), ask("a/-b"), ask("a b/c")),
    ...["../main", "a b", "", "a\r\nb", "x".repeat(300)].flatMap((revision) =>
      bad("invalid_request", ask(REPO, { revision })),
    ),
    ...["../evil", "", "/etc/passwd", "a/../b", "C:\\x", "a\0b"].flatMap((filename) =>
      bad("invalid_path", ask(REPO, { filename })),
    ),
    ...bad(
      "invalid_request",
      ask(REPO, { filename: FILE, include: ["*"] }),
      ask(REPO, { include: [""] }),
      ask(REPO, { sha256: "0".repeat(64) }),
      ask(REPO, { filename: FILE, sha256: "xyz" }),
      ask(REPO, { token: "hf_a\r\nX: y" }),
      ask(REPO, { headers: { "X-A": "b\r\nc" } }),
      ask(REPO, { headers: { Range: "bytes=0-1" } }),
      ask(REPO, { token: "a", headers: { authorization: "b" } }),
    ),
  ];
}

/** Of the hub by its own name, and of the same hub by the name of MLX. */
export async function huggingFaceSubject(provider: "huggingface" | "mlx"): Promise<SourceSubject> {
  const hub = await startHub({ repos: repos(), pageSize: 3 });
  const token = hub.addUser("ada", {
    access: { "acme/gated-gguf": "granted", "acme/private-gguf": "granted" },
  });
  const stranger = hub.addUser("eve");
  const http = client();
  const mlx = provider === "mlx";
  const create = mlx ? createMlx : createHuggingFace;
  const ask = (repo: string, more: StartRequest = {}): StartRequest =>
    mlx ? { provider, model: repo, ...more } : { repoId: repo, ...more };
  const url = (path: string): StartRequest => ({
    url: path.startsWith("http") ? path : `${hub.endpoint}${path}`,
    ...(mlx ? { provider } : {}),
  });
  const one = ask(REPO, { filename: FILE });
  const secret = { ...one, token, headers: { "X-Key": "canary-key-1" } };
  const repository: RepositorySubject = {
    awkward: {
      request: ask("acme/Awkward.names"),
      repo: "acme/Awkward.names",
      files: contents(awkwardRepo("acme/Awkward.names")),
    },
    hostile: { request: ask("acme/unsafe"), repo: "acme/unsafe", good: ["README.md"] },
    denied: [
      {
        what: "missing",
        request: ask("acme/none"),
        code: "not_found",
        says: /not found or is private.*token/,
      },
      { what: "private", request: ask("acme/private-gguf"), code: "not_found", says: /give a token/ },
      {
        what: "private, another's token",
        request: ask("acme/private-gguf", { token: stranger }),
        code: "not_found",
        says: /the token given may not read it/,
      },
      {
        what: "gated",
        request: ask("acme/gated-gguf"),
        code: "gated",
        says: /accept its conditions at https/,
      },
      {
        what: "gated, not asked for",
        request: ask("acme/gated-gguf", { token: stranger }),
        code: "gated",
        says: /no access yet: ask for it/,
      },
      { what: "bad token", request: ask(REPO, { token: "hf_no" }), code: "auth_required", says: /complete/ },
      { what: "revision", request: ask(REPO, { revision: "v9" }), code: "revision_not_found", says: /"v9"/ },
      {
        what: "file",
        request: ask(REPO, { filename: "none.gguf" }),
        code: "entry_not_found",
        says: /none.gguf/,
      },
    ],
    granted: [ask("acme/private-gguf", { token }), ask("acme/gated-gguf", { token })],
    spelling: { request: ask("ACME/Tiny-GGUF", { filename: FILE }), repo: REPO },
    move: () => void hub.repo(REPO).commit([{ path: FILE, content: generated(99, 5_000), lfs: true }]),
    expireLinks: () => hub.expireLinks(),
  };
  return {
    source: create({ http, clock, endpoint: hub.endpoint }),
    http,
    one,
    same: { ...url(`/${REPO}/blob/main/${FILE}?download=true`), revision: "main" },
    content: readAll(hub.repo(REPO).file(FILE).content),
    other: { ...one, revision: "v1" },
    secret,
    secrets: [token, "canary-key-1"],
    missing: { request: ask("acme/nothing-here"), code: "not_found" },
    invalid: [
      { request: { provider: mlx ? provider : "hf" }, code: "invalid_request" },
      { request: ask("a--b/c"), code: "invalid_request" },
      ...refusals(ask),
      { request: url("/a/b/resolve/main/..%2fevil"), code: "invalid_path" },
      { request: url(`${hub.endpoint.replace("//", "//u:p@")}/a/b`), code: "invalid_url" },
      { request: { ...url("/a/b"), repoId: REPO }, code: "invalid_request" },
    ],
    requests: () => hub.origin.stats.requests + hub.cdn.stats.requests,
    network: {
      origin: hub.origin,
      strangers: [hub.cdn],
      elsewhere: secret,
      middle: 2,
      limit: (seconds) => hub.exhaust("api", seconds),
    },
    repository,
    stop: () => hub.stop(),
  };
}

export async function modelScopeSubject(): Promise<SourceSubject> {
  const site = await startModelScope({ repos: repos() });
  const token = site.addUser("ada", {
    access: { "acme/gated-gguf": "granted", "acme/private-gguf": "granted" },
  });
  const stranger = site.addUser("eve");
  const http = client();
  const ask = (repo: string, more: StartRequest = {}): StartRequest => ({
    provider: "modelscope",
    model: repo,
    ...more,
  });
  const one = ask(REPO, { filename: FILE });
  const secret = { ...one, token, headers: { "X-Key": "canary-key-5" } };
  const repository: RepositorySubject = {
    awkward: {
      request: ask("acme/Awkward.names"),
      repo: "acme/Awkward.names",
      files: contents(awkwardRepo("acme/Awkward.names")),
    },
    hostile: { request: ask("acme/unsafe"), repo: "acme/unsafe", good: ["README.md"] },
    denied: [
      { what: "missing", request: ask("acme/none"), code: "not_found", says: /not found.*owner and name/ },
      { what: "private", request: ask("acme/private-gguf"), code: "auth_required", says: /give a token/ },
      { what: "gated", request: ask("acme/gated-gguf"), code: "auth_required", says: /gated: give a token/ },
      {
        what: "gated, another's token",
        request: ask("acme/gated-gguf", { token: stranger }),
        code: "forbidden",
        says: /to be asked for at http.*\/models\/acme\/gated-gguf/,
      },
      { what: "revision", request: ask(REPO, { revision: "v9" }), code: "revision_not_found", says: /"v9"/ },
      {
        what: "file",
        request: ask(REPO, { filename: "none.gguf" }),
        code: "entry_not_found",
        says: /none.gguf/,
      },
    ],
    granted: [ask("acme/private-gguf", { token }), ask("acme/gated-gguf", { token })],
    spelling: { request: ask("ACME/Tiny-GGUF", { filename: FILE }), repo: REPO },
    move: () => void site.repo(REPO).commit([{ path: FILE, content: generated(99, 5_000), lfs: true }]),
    expireLinks: () => site.expireLinks(),
  };
  return {
    source: createModelScope({ http, clock, endpoint: site.endpoint }),
    http,
    one,
    same: { url: `${site.endpoint}/models/${REPO}/file/view/master/${FILE}?status=2`, revision: "master" },
    content: readAll(site.repo(REPO).file(FILE).content),
    other: { ...one, revision: "v1" },
    secret,
    secrets: [token, "canary-key-5"],
    missing: { request: ask("acme/nothing-here"), code: "not_found" },
    invalid: [
      { request: { provider: "ms" }, code: "invalid_request" },
      { request: ask("one-word"), code: "invalid_request" },
      ...refusals(ask),
      { request: { url: `${site.endpoint}/models/a/b/resolve/master/..%2fevil` }, code: "invalid_path" },
      { request: { url: `${site.endpoint}/models/a/b/file/view/master/..%2Fevil` }, code: "invalid_path" },
      { request: { url: `${site.endpoint}/api/v1/models/a/b/repo?FilePath=../evil` }, code: "invalid_path" },
      {
        request: { url: `${site.endpoint}/api/v1/models/a/../repo?FilePath=x`, provider: "ms" },
        code: "invalid_url",
      },
      { request: { url: `${site.endpoint.replace("//", "//u:p@")}/models/a/b` }, code: "invalid_url" },
      { request: { url: `${site.endpoint}/models/a/b`, repoId: REPO }, code: "invalid_request" },
      { request: { url: `${site.endpoint}/datasets/a/b`, provider: "ms" }, code: "invalid_url" },
    ],
    requests: () => site.origin.stats.requests + site.cdn.stats.requests,
    network: {
      origin: site.origin,
      strangers: [site.cdn],
      elsewhere: secret,
      middle: 2,
      limit: (seconds) => site.exhaust(seconds),
    },
    repository,
    stop: () => site.stop(),
  };
}

export async function urlSubject(): Promise<SourceSubject> {
  const size = 70_000;
  const elsewhere = await startOrigin({
    host: "localhost",
    resources: [{ path: "/blobs/m", seed: 5, size }],
  });
  const origin = await startOrigin({
    resources: [
      { path: "/models/m.gguf", seed: 5, size },
      { path: "/models/n.gguf", seed: 6, size },
    ],
  });
  origin.on({ path: "/linked/m.gguf" }, { kind: "redirect", to: elsewhere.url("/blobs/m"), status: 302 });
  const http = client();
  const url = origin.url("/models/m.gguf");
  const secrets = { token: "canary-token-3", headers: { Cookie: "canary-4" } };
  return {
    source: createUrl({ http, clock }),
    http,
    one: { url },
    same: { url: `${url}#part`, provider: "url" },
    content: bytesAt(5, 0, size),
    other: { url: origin.url("/models/n.gguf") },
    secret: { url: `${url}?X-Amz-Signature=canary-sig-2`, ...secrets },
    secrets: ["canary-sig-2", "canary-token-3", "canary-4"],
    missing: { request: { url: origin.url("/none.gguf") }, code: "not_found" },
    invalid: [
      { request: { url: "file:///etc/hostname" }, code: "invalid_url" },
      { request: { url: "not a url" }, code: "invalid_url" },
      { request: { url: "http://user:pass@example.com/m.gguf" }, code: "invalid_url" },
      { request: { url: "http://example.com/a\r\nb" }, code: "invalid_url" },
      { request: { url: "http://example.com\\@evil.example/m" }, code: "invalid_url" },
      { request: { url: "http://example.com:99999/m" }, code: "invalid_url" },
      { request: { url: `http://example.com/${"x".repeat(70_000)}` }, code: "invalid_url" },
      { request: { url, filename: "a/b.gguf" }, code: "invalid_path" },
      { request: { url, filename: ".." }, code: "invalid_path" },
      { request: { url, sha256: "g".repeat(64) }, code: "invalid_request" },
      { request: { url, revision: "main" }, code: "invalid_request" },
      { request: { url, include: ["*"] }, code: "invalid_request" },
      { request: { url, token: "a", headers: { authorization: "b" } }, code: "invalid_request" },
      { request: { url, headers: { "bad name": "x" } }, code: "invalid_request" },
    ],
    requests: () => origin.stats.requests + elsewhere.stats.requests,
    network: {
      origin,
      strangers: [elsewhere],
      elsewhere: { url: `${origin.url("/linked/m.gguf")}?X-Amz-Signature=canary-sig-2`, ...secrets },
      middle: 1,
      limit(seconds) {
        const headers = { "Retry-After": String(seconds) };
        origin.on({}, { kind: "respond", status: 429, headers });
      },
    },
    async stop() {
      await Promise.all([origin.stop(), elsewhere.stop()]);
    },
  };
}
