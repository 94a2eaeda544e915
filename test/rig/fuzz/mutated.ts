import { between, oneOf } from "../../support/random.ts";
import { assemble, type Draft, type FuzzRequest, inLine } from "./request.ts";
import { HOSTILE, type Random } from "./values.ts";

const CLOSED = "http://127.0.0.1:9";
const ENGINE = {
  engine_id: "m3",
  model_path: `${CLOSED}/f3.gguf`,
  load_immediately: true,
  main_gpu_id: 0,
  loading_parameters: {
    n_ctx: 4096,
    n_keep: 2048,
    use_mmap: true,
    use_mlock: false,
    n_parallel: 1,
    n_batch: 512,
  },
};

/** What clients of the five families really send. */
const REAL: readonly (readonly [method: string, target: string, body?: unknown])[] = [
  ["POST", "/engines", ENGINE],
  ["GET", "/engines"],
  ["GET", "/engines/m3/status"],
  ["DELETE", "/engines/m3"],
  [
    "POST",
    "/models",
    { model_id: "m4", model_path: "tiny.gguf", model_type: "llm", inference_engine: "llama-cpu" },
  ],
  ["GET", "/models"],
  ["GET", "/v1/models"],
  ["GET", "/downloads"],
  ["GET", "/v1/downloads"],
  ["GET", "/v1/downloads?state=all&limit=10&q=m"],
  ["GET", "/v1/downloads/m1"],
  ["GET", "/download-progress/m1"],
  [
    "POST",
    "/v1/downloads",
    { url: `${CLOSED}/f1.gguf`, model_id: "m1", priority: 3, retry: { max_attempts: 2 } },
  ],
  [
    "POST",
    "/v1/downloads",
    { repo_id: "acme/tiny-gguf", include: ["*Q4*"], exclude: ["*.md"], revision: "main" },
  ],
  ["POST", "/v1/downloads", { provider: "ollama", model: "llama3.2:1b" }],
  ["POST", "/downloads/m1/cancel"],
  ["POST", "/downloads/m1/pause"],
  ["POST", "/downloads/m1/resume"],
  ["POST", "/v1/downloads/m1/retry"],
  ["DELETE", "/downloads/m1"],
  ["POST", "/downloads", { action: "cancel_all" }],
  ["PATCH", "/v1/downloads/m2", { priority: 7, rate_limit_bps: 1_000_000 }],
  ["PATCH", "/v1/settings", { max_concurrent: 3, connections_per_download: 8, retry: { jitter: 0.5 } }],
  ["POST", "/v1/references", { references: ["hf:acme/tiny-gguf", "ollama:llama3.2:1b"] }],
  ["DELETE", "/v1/history/m1?files=true"],
  ["POST", "/local/download", { repo_id: "acme/tiny-gguf", filename: "tiny-Q4_K_M.gguf" }],
  ["DELETE", "/local/download/00000000-0000-4000-8000-000000000000"],
  ["GET", "/api/download?ModelRepo=acme/tiny-gguf&FilePath=tiny-Q4_K_M.gguf&retry=true"],
  ["POST", "/api/download", { modelRepo: "acme/tiny-gguf", filePath: "tiny-Q4_K_M.gguf" }],
  ["GET", "/api/progress?ModelRepo=acme%2Ftiny-gguf&FilePath=tiny-Q4_K_M.gguf"],
  ["GET", "/api/models/download?provider=huggingface&model=acme%2Ftiny-gguf&layout=flat"],
  ["GET", "/v1/sources/huggingface/files?repo=acme%2Ftiny-gguf&revision=main"],
  ["POST", "/v1/tickets"],
  ["POST", "/v1/session", { key: "x" }],
  ["GET", "/health"],
  ["GET", "/metrics"],
];

/** Bytes that mean something to a parser. */
const TOKENS = [
  ...'{}[]",:\\/%&=?#;.+-0e9',
  "\u0000",
  "\r\n",
  "\\u0000",
  "%00",
  "%2e%2e%2f",
  "null",
  "1e999",
  "\ud800",
];

/** A real request with a few of its bytes changed; its framing stays right. */
export function mutatedRequest(next: Random): FuzzRequest {
  const [method, target, body] = oneOf(next, REAL);
  const draft: Draft = { method, target, headers: ["Host: localhost"], isChunked: next() < 0.05 };
  const headers = [...draft.headers];
  let content: Buffer | undefined = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
  let path = target;
  let type = "Content-Type: application/json";
  for (let n = between(next, 1, 3); n > 0; n--) {
    const kind = next();
    if (content !== undefined && kind < 0.6) content = twistBytes(content, next);
    else if (kind < 0.9) path = `/${inLine(twistBytes(Buffer.from(path.slice(1)), next).toString("latin1"))}`;
    else if (kind < 0.95)
      type = twistBytes(Buffer.from(type), next)
        .toString("latin1")
        .replace(/[\r\n\0]/g, "x");
    else headers.push(`X-Odd-${between(next, 0, 9)}: ${inLine(oneOf(next, HOSTILE))}`);
  }
  if (content !== undefined) headers.push(type);
  return assemble(
    "mutated",
    { ...draft, target: path, headers, ...(content ? { body: content } : {}) },
    next,
  );
}

function twistBytes(bytes: Buffer, next: Random): Buffer {
  if (bytes.length === 0) return Buffer.from(oneOf(next, TOKENS));
  const at = between(next, 0, bytes.length - 1);
  const end = Math.min(bytes.length, at + between(next, 1, 12));
  const [before, piece, after] = [bytes.subarray(0, at), bytes.subarray(at, end), bytes.subarray(end)];
  switch (between(next, 0, 5)) {
    case 0: {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << between(next, 0, 7));
      return flipped;
    }
    case 1:
      return Buffer.concat([before, after]);
    case 2:
      return Buffer.concat([before, piece, piece, after]);
    case 3:
      return Buffer.concat([before, Buffer.from(oneOf(next, TOKENS)), after]);
    case 4:
      return Buffer.concat([before, Buffer.from(oneOf(next, HOSTILE)), after]);
    default:
      return Buffer.concat([
        before,
        Buffer.from(String(oneOf(next, [-1, 0, 2 ** 31, 2 ** 53, 1e21]))),
        after,
      ]);
  }
}
