import { ELSEWHERE, SHAPES, type Shape } from "../../api/refusal-shapes.ts";
import type { Reply } from "./connection.ts";
import type { FuzzRequest } from "./request.ts";
import { CANARY } from "./values.ts";

/** What an answer is, as far as the rig cares: `fault` says what is wrong with it. */
export interface Verdict {
  kind: "good" | "refused" | "parser" | "overload" | "fault";
  fault?: string;
}

/** Prefixes of the families that have a shape of their own, the longer first (A5, A19). */
const FAMILIES = ["/api/models", "/local", "/api"].map((prefix) => {
  const tag = { "/api/models": "abstractcore", "/local": "local", "/api": "wingman" }[prefix] ?? "";
  return { prefix, shape: SHAPES[tag] ?? ELSEWHERE };
});
/** What Bun's HTTP parser says by itself, with an empty body and the end of the connection (DESIGN §6). */
const PARSER = new Set([400, 413, 431]);
/** The parser's word for a first line that does not end with HTTP/1.0 or HTTP/1.1: the only 5xx there may be. */
const OTHER_VERSION = 505;

export function shapeOf(path: string): Shape {
  const family = FAMILIES.find(({ prefix }) => path === prefix || path.startsWith(`${prefix}/`));
  return family?.shape ?? ELSEWHERE;
}

/** Whether an answer is one that may be given to whatever was sent. */
export function judge(request: FuzzRequest, reply: Reply): Verdict {
  const { status, headers, body } = reply;
  if (body.includes(CANARY)) return fault("a secret is in the answer");
  if (status < 200 && status !== 101) return fault("no answer of HTTP");
  if (status < 400) return { kind: "good" };
  const isEmpty = body.length === 0;
  if (isEmpty && (PARSER.has(status) || (status === OTHER_VERSION && request.kind === "raw")))
    return { kind: "parser" };
  if (status === 503 && headers.has("retry-after")) return { kind: "overload" };
  if (status >= 500) return fault(body.toString("utf8", 0, 300));
  if (request.isHead) return { kind: "refused" };
  const problems = problemsOf(request, reply);
  return problems.length === 0
    ? { kind: "refused" }
    : fault(`${problems.join("; ")}: ${body.toString("utf8", 0, 300)}`);
}

function problemsOf(request: FuzzRequest, { status, headers, body }: Reply): string[] {
  const text = body.toString("utf8");
  const answer = {
    status,
    headers: new Headers({ "content-type": headers.get("content-type") ?? "" }),
    body: parsed(text),
  };
  try {
    const problems = shapeOf(familyPath(request.path)).problems(answer);
    // With such a Host Bun does not tell which path was asked for.
    return problems.length > 0 && text.includes('"bad_host"') ? ELSEWHERE.problems(answer) : problems;
  } catch (error) {
    return [`no shape: ${error}`];
  }
}

/** The path the server sees: of the absolute form without its origin, dot segments resolved as Bun does. */
function familyPath(path: string): string {
  const plain = path.replace(/^https?:\/\/[^/]*/i, "");
  if (!/\/\.|%2e|\\/i.test(plain)) return plain;
  return URL.parse(plain, "http://localhost")?.pathname ?? plain;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

const fault = (what: string): Verdict => ({ kind: "fault", fault: what });
