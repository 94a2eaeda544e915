import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { ggufRepo, type Hub, type RepoSpec, startHub, tokenFor } from "./hub.ts";

const FILE = "tiny-Q4_K_M.gguf";
const open = ggufRepo("acme/tiny-gguf");
const gated: RepoSpec = { ...ggufRepo("acme/tiny-gguf"), id: "acme/gated", gated: "manual" };
const users = [
  { name: "valid", token: tokenFor("valid") },
  {
    name: "member",
    token: tokenFor("member"),
    access: { "acme/gated": "granted", "acme/hidden": "granted" },
  },
  { name: "waiting", token: tokenFor("waiting"), access: { "acme/gated": "pending" } },
  { name: "refused", token: tokenFor("refused"), access: { "acme/gated": "rejected" } },
  { name: "scopeless", token: tokenFor("scopeless"), mayRead: false },
] as const;
let hub: Hub;

beforeEach(async () => {
  const hidden: RepoSpec = { ...open, id: "acme/hidden", private: true };
  hub = await startHub({ repos: [open, gated, hidden, { ...open, id: "acme/dead", disabled: true }], users });
});
afterEach(() => hub.stop());

const anonymous: string | undefined = undefined;

function ask(path: string, authorization?: string, method = "GET"): Promise<Response> {
  const headers: Record<string, string> = { "Accept-Encoding": "identity" };
  if (authorization !== undefined) headers.Authorization = authorization;
  return fetch(hub.endpoint + path, { method, headers, redirect: "manual" });
}

const as = (name: string): string => `Bearer ${tokenFor(name)}`;
const file = (repo: string, path = FILE, revision = "main"): string => `/${repo}/resolve/${revision}/${path}`;
const info = (repo: string): string => `/api/models/${repo}`;

const BARE = "Invalid username or password.";
const BAD_TOKEN = "Invalid credentials in Authorization header";
const restricted = "Access to model acme/gated is restricted";
const LOG_IN = `${restricted}. You must have access to it and be authenticated to access it. Please log in.`;
const NOT_LISTED = `${restricted} and you are not in the authorized list. Visit https://huggingface.co/acme/gated to ask for access.`;
const AWAITING = "Your request to access model acme/gated is awaiting a review from the repo authors.";

describe("the error matrix of protocols/huggingface.md §6", () => {
  test.each([
    ["missing, anonymous", file("acme/none"), anonymous, 401, null, BARE],
    ["missing, unknown token", info("acme/none"), "Bearer hf_nobody", 401, null, BARE],
    ["missing, valid token", info("acme/none"), as("valid"), 404, "RepoNotFound", "Repository not found"],
    ["private, anonymous", info("acme/hidden"), anonymous, 401, null, BARE],
    ["private, no permission", file("acme/hidden"), as("valid"), 404, "RepoNotFound", "Repository not found"],
    [
      "revision missing",
      file("acme/tiny-gguf", FILE, "nope"),
      anonymous,
      404,
      "RevisionNotFound",
      "Invalid rev id: nope",
    ],
    [
      "revision missing, API",
      `${info("acme/tiny-gguf")}/tree/nope`,
      anonymous,
      404,
      "RevisionNotFound",
      "Invalid rev id: nope",
    ],
    ["file missing", file("acme/tiny-gguf", "nope"), anonymous, 404, "EntryNotFound", "Entry not found"],
    ["gated, anonymous", file("acme/gated"), anonymous, 401, "GatedRepo", LOG_IN],
    ["gated, not asked", file("acme/gated"), as("valid"), 403, "GatedRepo", NOT_LISTED],
    ["gated, pending", file("acme/gated"), as("waiting"), 403, "GatedRepo", AWAITING],
    ["gated, file missing: gate first", file("acme/gated", "nope"), anonymous, 401, "GatedRepo", LOG_IN],
    [
      "gated, revision missing: gate first",
      file("acme/gated", FILE, "nope"),
      as("valid"),
      403,
      "GatedRepo",
      NOT_LISTED,
    ],
    [
      "gated, licence missing",
      file("acme/gated", "LICENSE"),
      anonymous,
      404,
      "EntryNotFound",
      "Entry not found",
    ],
    ["malformed token", file("acme/tiny-gguf"), "Bearer not-a-token", 401, null, BAD_TOKEN],
    ["unknown token", info("acme/tiny-gguf"), "Bearer hf_nobody", 401, null, BAD_TOKEN],
    ["disabled", info("acme/dead"), anonymous, 403, null, "Access to this resource is disabled."],
  ])("%s", async (_, path, authorization, status, code, message) => {
    const response = await ask(path, authorization);
    expect([
      response.status,
      response.headers.get("x-error-code"),
      response.headers.get("x-error-message"),
    ]).toEqual([status, code, message]);
    const body = await response.text();
    expect(body).toBe(path.startsWith("/api/") ? JSON.stringify({ error: message }) : message);
    expect(response.headers.has("www-authenticate")).toBe(status === 401);
    const head = await ask(path, authorization, "HEAD");
    expect([head.status, head.headers.get("x-error-code"), await head.text()]).toEqual([status, code, ""]);
  });

  test("gated, rejected, and a token without scope are 403", async () => {
    const rejected = await ask(file("acme/gated"), as("refused"));
    expect([rejected.status, rejected.headers.get("x-error-code")]).toEqual([403, "GatedRepo"]);
    const scopeless = await ask(file("acme/tiny-gguf"), as("scopeless"));
    expect([scopeless.status, scopeless.headers.get("x-error-code")]).toEqual([403, null]);
  });

  test("a missing file still tells the commit", async () => {
    const response = await ask(file("acme/tiny-gguf", "nope"));
    expect(response.headers.get("x-repo-commit")).toBe(hub.repo("acme/tiny-gguf").branches.get("main")!);
  });
});

describe("who may", () => {
  test("gated with access: large files by link, small ones directly, the model card for everybody", async () => {
    expect((await ask(file("acme/gated"), as("member"))).status).toBe(302);
    expect((await ask(file("acme/gated", "config.json"), as("member"))).status).toBe(200);
    expect((await ask(file("acme/gated", "README.md"))).status).toBe(200);
    expect((await ask(file("acme/gated"), as("acme"))).status).toBe(401);
    hub.addUser("acme");
    expect((await ask(file("acme/gated"), as("acme"))).status).toBe(302);
  });

  test("listings of a gated repository are public, with stars for digests until there is access", async () => {
    const digests = async (authorization?: string) => {
      const items = (await (await ask("/api/models/acme/gated/tree/main", authorization)).json()) as {
        path: string;
        oid: string;
        lfs?: { oid: string };
        xetHash?: string;
      }[];
      const { oid, lfs, xetHash } = items.find((it) => it.path === FILE)!;
      return [oid, lfs!.oid, xetHash];
    };
    const { oid, sha256, xetHash } = hub.repo("acme/gated").file(FILE);
    expect(await digests()).toEqual([oid, "*".repeat(64), "*".repeat(64)]);
    expect(await digests(as("waiting"))).toEqual([oid, "*".repeat(64), "*".repeat(64)]);
    expect(await digests(as("member"))).toEqual([oid, sha256, xetHash]);
  });

  test("auth-check and whoami-v2", async () => {
    expect(await (await ask("/api/models/acme/gated/auth-check", as("member"))).text()).toBe("OK");
    expect((await ask("/api/models/acme/gated/auth-check", as("valid"))).headers.get("x-error-code")).toBe(
      "GatedRepo",
    );
    expect(await (await ask("/api/whoami-v2", as("member"))).json()).toMatchObject({
      name: "member",
      type: "user",
    });
    expect((await ask("/api/whoami-v2", "Bearer hf_nobody")).status).toBe(401);
  });

  test("private: everything for who has access", async () => {
    expect((await ask(info("acme/hidden"), as("member"))).status).toBe(200);
    expect((await ask(file("acme/hidden", "config.json"), as("member"))).status).toBe(200);
  });
});

describe("rate limits", () => {
  test("every answer, errors too, tells what is left of its budget", async () => {
    const limit = async (path: string) => {
      const { headers } = await ask(path);
      return [headers.get("ratelimit"), headers.get("ratelimit-policy")];
    };
    expect(await limit(info("acme/none"))).toEqual([
      expect.stringMatching(/^"api";r=999999;t=(29\d|300)$/),
      '"fixed window";"api";q=1000000;w=300',
    ]);
    expect((await limit(file("acme/tiny-gguf")))[0]).toStartWith('"resolvers";r=999999;');
    expect((await limit("/some/page"))[0]).toStartWith('"pages";');
  });

  test("an exhausted budget is 429 with r=0 and the seconds to wait, the others go on", async () => {
    hub.exhaust("resolvers", 60);
    const response = await ask(file("acme/tiny-gguf"));
    expect([response.status, response.headers.get("ratelimit")]).toEqual([
      429,
      expect.stringMatching(/^"resolvers";r=0;t=(5\d|60)$/),
    ]);
    expect((await ask(info("acme/tiny-gguf"))).status).toBe(200);
    hub.exhaust("resolvers", 0);
    expect((await ask(file("acme/tiny-gguf"))).status).toBe(302);
  });

  test("a quota runs out by use", async () => {
    await using small = await startHub({ repos: [open], quotas: { api: 2, resolvers: 1, pages: 1 } });
    const statuses: number[] = [];
    for (let i = 0; i < 3; i++)
      statuses.push((await fetch(`${small.endpoint}/api/models/acme/tiny-gguf`)).status);
    expect(statuses).toEqual([200, 200, 429]);
  });
});
