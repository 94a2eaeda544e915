import { createHuggingFace } from "../../src/sources/huggingface.ts";
import { createUrl } from "../../src/sources/url.ts";
import { type SourceSubject, sourceConformance } from "../conformance/source.ts";
import { client, clock } from "../http/client.ts";
import { bytesAt, readAll } from "../support/bytes.ts";
import { ggufRepo, startHub } from "../support/hub.ts";
import { startOrigin } from "../support/origin.ts";

sourceConformance("huggingface", async (): Promise<SourceSubject> => {
  const hub = await startHub({ repos: [ggufRepo("acme/tiny-gguf"), ggufRepo("acme/other-gguf")] });
  const token = hub.addUser("ada");
  const http = client();
  const repoId = "acme/tiny-gguf";
  const filename = "tiny-Q4_K_M.gguf";
  const one = { repoId, filename };
  return {
    source: createHuggingFace({ http, clock, endpoint: hub.endpoint }),
    http,
    one,
    same: { url: `${hub.endpoint}/${repoId}/blob/main/${filename}?download=true`, revision: "main" },
    content: readAll(hub.repo(repoId).file(filename).content),
    other: { repoId, filename, revision: "v1" },
    secret: { ...one, token, headers: { "X-Key": "canary-key-1" } },
    secrets: [token, "canary-key-1"],
    missing: { request: { repoId: "acme/nothing-here" }, code: "not_found" },
    invalid: [
      { request: { provider: "hf" }, code: "invalid_request" },
      { request: { repoId: "a/b/c" }, code: "invalid_request" },
      { request: { repoId: "a--b/c" }, code: "invalid_request" },
      { request: { repoId: "../x" }, code: "invalid_request" },
      { request: { repoId: "a/b.git" }, code: "invalid_request" },
      { request: { repoId: "a/-b" }, code: "invalid_request" },
      { request: { repoId, revision: "../main" }, code: "invalid_request" },
      { request: { repoId, revision: "a b" }, code: "invalid_request" },
      { request: { repoId, revision: "" }, code: "invalid_request" },
      { request: { repoId, filename: "../evil" }, code: "invalid_path" },
      { request: { repoId, filename: "" }, code: "invalid_path" },
      { request: { repoId, filename, include: ["*"] }, code: "invalid_request" },
      { request: { repoId, include: [""] }, code: "invalid_request" },
      { request: { repoId, sha256: "0".repeat(64) }, code: "invalid_request" },
      { request: { repoId, filename, sha256: "xyz" }, code: "invalid_request" },
      { request: { ...one, token: "hf_a\r\nX: y" }, code: "invalid_request" },
      { request: { ...one, headers: { "X-A": "b\r\nc" } }, code: "invalid_request" },
      { request: { ...one, headers: { Range: "bytes=0-1" } }, code: "invalid_request" },
      { request: { url: `${hub.endpoint}/a/b/resolve/main/..%2fevil` }, code: "invalid_path" },
      { request: { url: `${hub.endpoint.replace("//", "//u:p@")}/a/b` }, code: "invalid_url" },
      { request: { url: `${hub.endpoint}/a/b`, repoId }, code: "invalid_request" },
    ],
    requests: () => hub.origin.stats.requests + hub.cdn.stats.requests,
    stop: () => hub.stop(),
  };
});

sourceConformance("url", async (): Promise<SourceSubject> => {
  const size = 70_000;
  const origin = await startOrigin({
    resources: [
      { path: "/models/m.gguf", seed: 5, size },
      { path: "/models/n.gguf", seed: 6, size },
    ],
  });
  const http = client();
  const url = origin.url("/models/m.gguf");
  return {
    source: createUrl({ http, clock }),
    http,
    one: { url },
    same: { url: `${url}#part`, provider: "url" },
    content: bytesAt(5, 0, size),
    other: { url: origin.url("/models/n.gguf") },
    secret: {
      url: `${url}?X-Amz-Signature=canary-sig-2`,
      token: "canary-token-3",
      headers: { Cookie: "canary-4" },
    },
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
    requests: () => origin.stats.requests,
    stop: () => origin.stop(),
  };
});
