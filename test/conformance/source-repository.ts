import { expect, test } from "bun:test";
import { type ErrorCode, VERDICTS } from "../../src/core/errors.ts";
import type { StartRequest } from "../../src/core/ports.ts";
import { parseRemoteUrl } from "../../src/core/remote-url.ts";
import { Asked, context, digestOf, failure, type SourceSubject } from "./source.ts";
import { networkOf } from "./source-network.ts";

/** What a source of repositories is asked for. */
export interface RepositorySubject {
  /** A whole repository with sub-folders and names that break careless clients, and its content. */
  awkward: { request: StartRequest; repo: string; files: ReadonlyMap<string, Uint8Array> };
  /** Whole repositories whose hub lists names that lead out of the folder, and the good names among them. */
  hostile: { request: StartRequest; repo: string; good: readonly string[] };
  /** Content that may not be read, or is not there, each with what its message has to say. */
  denied: readonly { what: string; request: StartRequest; code: ErrorCode; says: RegExp }[];
  /** The same that a token opens. */
  granted: readonly StartRequest[];
  /** Another spelling of the repository of `one`, and its own. */
  spelling: { request: StartRequest; repo: string };
  /** Gives the file of `one` another content at the same revision. */
  move(): void;
  /** Makes the links given out so far useless. */
  expireLinks(): void;
}

/** What every source of repositories owes beside what all sources owe. Needs the network part too. */
export function repositoryConformance(subject: () => SourceSubject): void {
  const repository = (): RepositorySubject => {
    const { repository: found } = subject();
    if (!found) throw new Error("a source of repositories needs a subject for them");
    return found;
  };

  test("F127 sub-folders, blanks, #, ?, % and letters beyond ASCII: each name leads to its bytes, size and digest", async () => {
    const { request, files: wanted } = repository().awkward;
    const asked = new Asked(subject(), request);
    const { files } = await asked.resolve();
    expect(files.map(({ path }) => path).sort()).toEqual<unknown>([...wanted.keys()].sort());
    for (const file of files) {
      const { bytes } = await asked.fetch(file);
      expect([file.path, Buffer.compare(bytes, wanted.get(file.path)!)]).toEqual([file.path, 0]);
      expect([file.path, file.size]).toEqual([file.path, bytes.length]);
      expect([file.path, file.digest?.hex]).toEqual<unknown[]>([
        file.path,
        digestOf(file.digest?.algorithm ?? "none promised", bytes),
      ]);
    }
  });

  test("the listing for pickers says the same as what would be downloaded", async () => {
    const it = subject();
    const { request, repo } = repository().awkward;
    const { files } = await new Asked(it, request).resolve();
    const listing = await it.source.list!(repo, undefined, context());
    expect(listing.repo).toBe(repo);
    const shown = (list: readonly { path: string; size: number | null; digest: unknown }[]) =>
      list.map(({ path, size, digest }) => JSON.stringify([path, size, digest])).sort();
    expect(shown(listing.files)).toEqual(shown(files));
  });

  test("F127 names that lead out of the folder are refused whole, nothing is fetched, and none is listed", async () => {
    const it = subject();
    const { request, repo, good } = repository().hostile;
    const { strangers } = networkOf(it);
    const before = strangers.map(({ stats }) => stats.requests);
    const error = await failure(() => new Asked(it, request).resolve());
    expect([error.code, error.verdict]).toEqual(["invalid_path", "final"]);
    expect(strangers.map(({ stats }) => stats.requests)).toEqual(before);
    const listing = await it.source.list!(repo, undefined, context());
    expect(listing.files.map(({ path }) => path).sort()).toEqual<unknown>([...good].sort());
  });

  test("F38 gated, private, missing, no such revision, no such file: each its own code and advice", async () => {
    for (const { what, request, code, says } of repository().denied) {
      const error = await failure(() => new Asked(subject(), request).resolve());
      expect([what, error.code, VERDICTS[error.code]]).toEqual([what, code, "final"]);
      expect(error.message).toMatch(says);
      if (request.token !== undefined) expect(error.message).not.toContain(request.token);
    }
    for (const request of repository().granted) {
      const { files } = await new Asked(subject(), request).resolve();
      expect(files.length).toBeGreaterThan(0);
    }
  });

  test("the repository is called as its hub spells it, whatever was typed", async () => {
    const { request, repo } = repository().spelling;
    expect((await new Asked(subject(), request).resolve()).repo).toBe(repo);
  });

  test("F40 a link that has expired is replaced by asking again", async () => {
    const it = subject();
    const asked = new Asked(it, it.one);
    const { files } = await asked.resolve();
    const { url } = await asked.fetch(files[0]!);
    repository().expireLinks();
    const late = await it.http.request({ url: parseRemoteUrl(url) });
    await late.cancel();
    expect(late.status).toBe(403);
    const again = await asked.fetch(files[0]!);
    expect([again.status, Buffer.compare(again.bytes, it.content)]).toEqual([200, 0]);
  });

  test("an answer that is none of the hub's is an error of the hub, not of ours", async () => {
    const it = subject();
    const bodies = ["<!doctype html><title>Login</title>", "[1,", "null", "[]", '{"Code":200}', '"x"', "7"];
    for (const body of bodies) {
      const headers = { "Content-Type": "application/json" };
      const rule = networkOf(it).origin.on({}, { kind: "respond", status: 200, headers, body });
      const error = await failure(() => new Asked(it, it.one).resolve());
      expect([body, error.code]).not.toEqual([body, "internal"]);
      rule.remove();
    }
  });

  test("F76 files stay those of the commit although the branch moves", async () => {
    const it = subject();
    const asked = new Asked(it, it.one);
    const { files, commit } = await asked.resolve();
    repository().move();
    const { bytes } = await asked.fetch(files[0]!);
    expect(Buffer.compare(bytes, it.content)).toBe(0);
    expect(commit).toMatch(/^[0-9a-f]{40}$/);
    const later = await new Asked(it, it.one).resolve();
    expect(later.commit).not.toBe(commit);
    expect(later.files[0]?.digest?.hex).not.toBe(files[0]?.digest?.hex);
  });
}
