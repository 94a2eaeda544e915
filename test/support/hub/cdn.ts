import { Signer } from "../origin/sign.ts";
import {
  ACCESS_DENIED,
  type Origin,
  type OriginOptions,
  type Reply,
  startOrigin,
  type WireRequest,
} from "../origin.ts";
import type { Entry } from "./entry.ts";
import type { Repo } from "./repo.ts";

const XML: [string, string][] = [["Content-Type", "application/xml"]];
const TWO_AUTHORIZATIONS =
  '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>InvalidArgument</Code>' +
  "<Message>A signed link must not come with an Authorization header</Message></Error>\n";

/** Where the links of large files lead: another origin, which knows no tokens and whose links expire (§4.1). */
export class Cdn {
  private readonly files = new Map<string, Entry>();
  private readonly signer = new Signer();

  private constructor(
    /** How long a new link is good for. */
    public linkTtlMs: number,
    /** Filled in by `start`. */
    public origin: Origin,
  ) {}

  static async start(linkTtlMs: number, options: Omit<OriginOptions, "handler">): Promise<Cdn> {
    const handler = (request: WireRequest): Reply | undefined => cdn.answer(request);
    const cdn: Cdn = new Cdn(linkTtlMs, await startOrigin({ ...options, handler }));
    return cdn;
  }

  pathOf(repo: Repo, entry: Entry): string {
    return `/xet-bridge-us/${repo.objectId}/${entry.xetHash}`;
  }

  /** A link that is good from now on for `linkTtlMs`. */
  link(repo: Repo, entry: Entry, disposition: "inline" | "attachment"): string {
    const path = this.pathOf(repo, entry);
    this.files.set(path, entry);
    const until = Date.now() + this.linkTtlMs;
    const policy = Buffer.from(JSON.stringify({ path, until })).toString("base64url");
    const query = new URLSearchParams({
      "response-content-disposition": contentDisposition(entry.name, disposition),
      "X-Xet-Cas-Uid": "public",
      Expires: String(Math.ceil(until / 1000)),
      Policy: policy,
      Signature: this.signer.seal(policy),
      "Key-Pair-Id": "KTESTS",
    });
    return `${this.origin.base}${path}?${query}`;
  }

  /** Makes every link issued so far answer 403. */
  expireLinks(): void {
    this.signer.expireAll();
  }

  private answer(request: WireRequest): Reply | undefined {
    if (request.headers.authorization !== undefined) {
      return { status: 400, headers: XML, body: TWO_AUTHORIZATIONS };
    }
    const entry = this.files.get(request.path);
    const query = new URLSearchParams(request.query);
    if (!entry || !this.opens(request.path, query)) return { status: 403, headers: XML, body: ACCESS_DENIED };
    return {
      resource: {
        path: request.path,
        content: entry.content,
        etag: `"${entry.xetHash}"`,
        headers: {
          "Content-Disposition": query.get("response-content-disposition") ?? "inline",
          "Cache-Control": "public, max-age=31536000",
          "X-Cache": "Miss from cloudfront",
        },
      },
    };
  }

  private opens(path: string, query: URLSearchParams): boolean {
    const policy = query.get("Policy") ?? "";
    if (policy === "" || query.get("Signature") !== this.signer.seal(policy)) return false;
    const allowed = JSON.parse(Buffer.from(policy, "base64url").toString()) as {
      path: string;
      until: number;
    };
    return allowed.path === path && Date.now() < allowed.until;
  }
}

/** RFC 6266 with both forms of the name, as the Hub writes it. */
export function contentDisposition(name: string, disposition: "inline" | "attachment"): string {
  const ascii = name.replace(/[^\x20-\x7e]|["\\]/g, "?");
  return `${disposition}; filename*=UTF-8''${encodeURIComponent(name)}; filename="${ascii}";`;
}
