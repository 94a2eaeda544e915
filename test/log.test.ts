import { describe, expect, test } from "bun:test";
import { createLog, type LogOptions } from "../src/log.ts";

function logTo(options: Partial<LogOptions> = {}) {
  const lines: string[] = [];
  const log = createLog({ level: "debug", format: "text", write: (line) => lines.push(line), ...options });
  return { log, lines };
}

const SECRETS: [string, string][] = [
  ["a bearer token", "Authorization: Bearer abcDEF123.456-_~"],
  ["a hub token", "using hf_abcDEFghiJKLmno"],
  ["an API key header", "X-API-Key: abcDEF123456"],
  ["a ticket", "GET /v1/ws?ticket=abcDEF123456"],
  ["a signed URL", "GET https://cdn.example/f.gguf?X-Amz-Signature=abcDEF123456&x=1 gave 403"],
  ["userinfo in a URL", "GET https://user:abcDEF123456@host/f"],
  ["a JWT", "eyJhbGciOiJI.eyJzdWIiOiabcDEF123.SflKxwRJ"],
  ["a known secret", "the key is top-abcDEF-key"],
];

describe.each(["text", "json"] as const)("F193 %s", (format) => {
  test.each(SECRETS)("hides %s, in the message and in a field", (_, text) => {
    const { log, lines } = logTo({ format, secrets: ["top-abcDEF-key", null] });
    log.info(text);
    log.warn("message", { detail: text, nested: { list: [text] } });
    expect(lines).toHaveLength(2);
    expect(lines.join("")).toContain("[");
    for (const part of ["abcDEF", "SflKxwRJ"]) expect(lines.join("")).not.toContain(part);
  });

  test("hides fields by their name, keeps the others", () => {
    const { log, lines } = logTo({ format });
    log.info("m", { apiKey: "plainvalue1", headers: { cookie: "plainvalue2" }, file: "a.gguf" });
    expect(lines[0]).not.toContain("plainvalue");
    expect(lines[0]).toContain("a.gguf");
  });

  test("F203 a name with line ends and escapes stays within its line", () => {
    const { log, lines } = logTo({ format });
    log.info("file a\n2026 ERR forged \u001b[2J", { file: "b\nforged\u001b[31m\u009b" });
    expect(lines[0]?.match(/\n/g)).toHaveLength(1);
    expect(lines[0]?.trimEnd()).not.toMatch(/[\u0000-\u001f]/);
  });
});

test("a JSON line has time, level, message and fields", () => {
  const { log, lines } = logTo({ format: "json" });
  log.error("could not read {file}", { error: new TypeError("bad", { cause: new Error("deep") }), count: 3 });
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({
    level: "ERROR",
    message: "could not read {file}",
    fields: { error: "TypeError: bad (caused by Error: deep)", count: 3 },
  });
});

test("a text line has time, level, message and fields", () => {
  const { log, lines } = logTo();
  log.info("started", { port: 8080 });
  expect(lines[0]).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z INF started port=8080\n$/);
});

test("levels below the chosen one are silent", () => {
  const { log, lines } = logTo({ level: "warning" });
  log.debug("d");
  log.info("i");
  log.warn("w");
  log.error("e");
  expect(lines.map((line) => line.split(" ")[1])).toEqual(["WRN", "ERR"]);
});

test("F117 standard error closed or stuck: the process lives on", async () => {
  const script = `import { createLog } from ${JSON.stringify(`${import.meta.dir}/../src/log.ts`)};
    process.stderr.on("error", () => {});
    const log = createLog({ level: "info", format: "text" });
    for (let i = 0; i < 5000; i++) log.info("x".repeat(500));
    await Bun.sleep(50);
    console.log("alive");`;
  const run = Bun.spawn(
    ["sh", "-c", '"$0" -e "$1" 2>&1 >&3 3>&- | head -c 1 >/dev/null', process.execPath, script],
    {
      stdio: ["ignore", "pipe", "ignore", "pipe"],
    },
  );
  const fd = run.stdio[3] as unknown as number;
  expect(await new Response(Bun.file(fd).stream()).text()).toBe("alive\n");
});
