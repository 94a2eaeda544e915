import { expect, test } from "bun:test";
import { publicUrl, withoutSecrets } from "../../src/core/redact.ts";

test.each([
  ["https://cdn.example/a/b.gguf?Signature=s3cret&Expires=1#f", "https://cdn.example/a/b.gguf"],
  ["https://user:s3cret@example.com:8443/x", "https://example.com:8443/x"],
  ["http://[::1]:9/x?y", "http://[::1]:9/x"],
  ["s3://bucket/key?sig=s3cret", "s3://bucket/key"],
  ["data:text/plain,s3cret", "data:…"],
  ["hf.co/s3cret", "(not a URL)"],
  ["", "(not a URL)"],
])("F194 %p is shown as %p", (url, shown) => {
  expect(publicUrl(url)).toBe(shown);
});

test.each([
  ["https://user:s3cret@example.com/x?s3cret#s3cret", "https://example.com/x"],
  ["http://s3cret@h bad/x", "http://h bad/x"],
  ["HTTP://h@x/y@z", "HTTP://x/y@z"],
  ["http://h/?\ns3cret", "http://h/"],
  ["hf:gpt2@main/*?.gguf", "hf:gpt2@main/*?.gguf"],
  ["3x", "3x"],
])("F193 %p may be repeated as %p", (text, shown) => {
  expect(withoutSecrets(text)).toBe(shown);
});
