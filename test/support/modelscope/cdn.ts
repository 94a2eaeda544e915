import { createHash } from "node:crypto";
import type { Entry } from "../hub/entry.ts";
import { Signer } from "../origin/sign.ts";
import { ACCESS_DENIED, type Origin, type Reply, startOrigin, type WireRequest } from "../origin.ts";

const XML: [string, string][] = [["Content-Type", "application/xml"]];
const LEAK =
  '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>InvalidArgument</Code>' +
  "<Message>A link with auth_key must come without credentials</Message></Error>\n";

/** Where large files are redirected to: another origin, whose links (`auth_key`) expire and which knows no tokens. */
export class SiteCdn {
  private readonly files = new Map<string, Entry>();
  private readonly signer = new Signer();

  private constructor(
    public linkTtlMs: number,
    /** Filled in by `start`. */
    public origin: Origin,
  ) {}

  static async start(linkTtlMs: number, host: string): Promise<SiteCdn> {
    const handler = (request: WireRequest): Reply => cdn.answer(request);
    const cdn: SiteCdn = new SiteCdn(linkTtlMs, await startOrigin({ host, handler }));
    return cdn;
  }

  pathOf({ sha256 }: Entry): string {
    return `/prod/lfs-objects/${sha256.slice(0, 2)}/${sha256.slice(2, 4)}/${sha256.slice(4)}`;
  }

  /** `auth_key` is the end of its life in seconds, three more fields, and a seal over all of it. */
  link(entry: Entry): string {
    const path = this.pathOf(entry);
    this.files.set(path, entry);
    const until = `${(Date.now() + this.linkTtlMs) / 1000}-0-0`;
    const key = `${until}-${this.signer.seal(`${path}\n${until}`)}`;
    return `${this.origin.base}${path}?filename=${encodeURIComponent(entry.name)}&auth_key=${key}`;
  }

  /** Makes every link issued so far answer 403. */
  expireLinks(): void {
    this.signer.expireAll();
  }

  private answer(request: WireRequest): Reply {
    const { authorization, cookie } = request.headers;
    if (authorization !== undefined || cookie !== undefined) return { status: 400, headers: XML, body: LEAK };
    const entry = this.files.get(request.path);
    const key = new URLSearchParams(request.query).get("auth_key") ?? "";
    if (!entry || !this.opens(request.path, key)) return { status: 403, headers: XML, body: ACCESS_DENIED };
    const etag = createHash("md5").update(entry.sha256).digest("hex").toUpperCase();
    return { resource: { path: request.path, content: entry.content, etag: `"${etag}"` } };
  }

  private opens(path: string, key: string): boolean {
    const [, until = "", seal = ""] = /^([\d.]+-0-0)-(.+)$/.exec(key) ?? [];
    return seal === this.signer.seal(`${path}\n${until}`) && Date.now() < Number.parseFloat(until) * 1000;
  }
}
