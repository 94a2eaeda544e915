import { between, oneOf } from "../../support/random.ts";

export type Random = () => number;

/** What a JSON schema of the OpenAPI document says, as far as values are made of it. */
export interface Schema {
  $ref?: string;
  type?: string;
  enum?: readonly unknown[];
  minimum?: number;
  maximum?: number;
  maxLength?: number;
  pattern?: string;
  items?: Schema;
  properties?: Readonly<Record<string, Schema>>;
  required?: readonly string[];
  additionalProperties?: Schema | boolean;
  anyOf?: readonly Schema[];
  oneOf?: readonly Schema[];
}

/** Stands only where a secret belongs: no answer may ever have it. */
export const CANARY = "hf_CANARYcanaryCANARYcanary";

/** A server that never answers: its port is closed. */
const CLOSED = "http://127.0.0.1:9";

const ids = Array.from({ length: 40 }, (_, i) => `m${i}`);

/** Good values by the name of the field or parameter; few enough that what they make stays bounded. */
const GOOD: Readonly<Record<string, readonly string[]>> = {
  id: [...ids, "acme/tiny-gguf", "1", "2", "404404"],
  download_id: ["00000000-0000-4000-8000-000000000000", ...ids],
  engine_id: ids.slice(0, 12),
  model_id: ids,
  before: ids,
  after: ids,
  url: [...Array.from({ length: 30 }, (_, i) => `${CLOSED}/f${i}.gguf`), `http://u:${CANARY}@127.0.0.1:9/x`],
  model_path: ["tiny.gguf", "./tiny.gguf", `${CLOSED}/f1.gguf`, "hf:acme/tiny-gguf/tiny-Q4_K_M.gguf"],
  repo_id: ["acme/tiny-gguf", "acme/other", "gpt2"],
  ModelRepo: ["acme/tiny-gguf", "acme/other"],
  modelRepo: ["acme/tiny-gguf"],
  FilePath: ["tiny-Q4_K_M.gguf", "config.json"],
  filePath: ["tiny-Q4_K_M.gguf"],
  filename: ["tiny-Q4_K_M.gguf", "a/b.gguf", "m.gguf"],
  repo: ["acme/tiny-gguf", "acme/none", "llama3.2", "library/llama3.2:latest", "me/model"],
  model: ["acme/tiny-gguf", "llama3.2", "llama3.2:1b", `${CLOSED}/f2.gguf`],
  provider: ["huggingface", "mlx", "modelscope", "ollama", "ollama-registry", "url", "https"],
  revision: ["main", "master", "refs/pr/1", "v1.0", "0123456789abcdef0123456789abcdef01234567"],
  base_url: [CLOSED, "http://127.0.0.1:11434"],
  sha256: ["a".repeat(64), `sha256:${"0".repeat(64)}`],
  token: [CANARY],
  key: [CANARY],
  references: ["hf:acme/tiny-gguf", "ollama:llama3.2", `${CLOSED}/f.gguf`, "mlx:acme/x@main"],
  include: ["*.gguf", "*Q4*", "a/[b-c]?.bin"],
  exclude: ["*.md", "x/"],
  state: ["all", "active", "finished", "queued", "failed,cancelled", "paused"],
  layout: ["flat", "hf-cache"],
  inference_engine: ["llama-cpu"],
  asset: ["swagger-ui.css", "swagger-ui-bundle.js"],
  ticket: ["nothing"],
  cursor: ["broken", "eyJhIjoxfQ"],
  limit: ["1", "100", "1000"],
};

/** Texts that somebody would try anywhere. */
export const HOSTILE: readonly string[] = [
  ...[
    "",
    " ",
    ".",
    "..",
    "../..",
    "../../etc/passwd",
    "..\\..\\x",
    "/etc/passwd",
    "C:\\x",
    "a//b",
    "a/",
    "CON",
    "x.part",
  ],
  ...[
    "\u0000",
    "a\u0000b",
    "a\r\nX-Injected: 1",
    "\u001b[2J",
    "\u202efugg",
    "\ufeffx",
    "\ud800",
    "ünïcödé",
    "日本",
    "😀",
  ],
  ...[
    "%",
    "%00",
    "%2e%2e%2f",
    "%zz",
    "%c0%af",
    "$(id)",
    "{{7*7}}",
    "<script>alert(1)</script>",
    "' OR 1=1--",
  ],
  ...[
    '"; DROP TABLE downloads; --',
    "__proto__",
    "constructor",
    "toString",
    "hasOwnProperty",
    "null",
    "undefined",
    "NaN",
  ],
  ...[
    "-1",
    "0",
    "1e999",
    "9007199254740993",
    "cancel",
    "pause",
    "events",
    "retry",
    "*",
    "[",
    "[a-",
    "(((((((((a+)+)+)+$",
  ],
  ...[
    "file:///etc/passwd",
    "http://",
    "http://[::1",
    "http://127.0.0.1:99999/x",
    "http://127.0.0.1:0/x",
    "ftp://127.0.0.1/x",
  ],
  ...["http://169.254.169.254/latest", "http://0x7f.1:9/x", "http://127.0.0.1:9/a\\@b"],
  ...[
    "data:,x",
    "javascript:alert(1)",
    "HTTP://127.0.0.1:9/UP.gguf",
    "http://127.0.0.1:9",
    "http://127.0.0.1:9/?x#y",
  ],
  ..."sha256:abc hf: hf:a hf:a/b@/c ollama: mlx:/ a@b refs/../x -x ~/x".split(" "),
];

const LONG = [511, 512, 513, 1024, 4097, 8193, 16_385, 100_000];
/** JSON texts of the wrong type, beyond every bound, or none at all. */
const WRONG: readonly string[] = [
  ...["null", "true", '""', '"x"', "0", "-0", "-1", "1.5", "1e999", "-1e999", "1e-400", "9007199254740992"],
  ...[
    "9007199254740993",
    "18446744073709551616",
    "123456789012345678901234567890",
    "2147483648",
    "-2147483649",
  ],
  ...[
    "[]",
    "[[]]",
    "[null]",
    "{}",
    '{"a":1}',
    '"\\u0000"',
    '"\\ud800"',
    '{"__proto__":{"x":1}}',
    '{"constructor":1}',
  ],
  ...[
    "NaN",
    "Infinity",
    "-",
    "0x10",
    "01",
    ".5",
    "1.",
    '"\\x"',
    "'x'",
    "undefined",
    "",
    "[1,]",
    '{"a":}',
    "/**/1",
  ],
];

export const deep = (levels: number, open = "[", close = "]"): string =>
  open.repeat(levels) + close.repeat(levels);

const DEEP = [1, 62, 63, 64, 65, 1000, 20_000];

/** A text for a field or parameter of this name: mostly a good one. */
export function textFor(name: string, schema: Schema, next: Random): string {
  const good = GOOD[name];
  const kind = next();
  if (good && kind < 0.7) return oneOf(next, good);
  if (kind < 0.97) return oneOf(next, HOSTILE);
  return "x".repeat(next() < 0.5 ? (schema.maxLength ?? 100) + between(next, 0, 1) : oneOf(next, LONG));
}

function integerFor({ minimum = -5, maximum = 2 ** 53 - 1 }: Schema, next: Random): string {
  const inside = between(next, minimum, Math.min(maximum, minimum + 20));
  return String(oneOf(next, [inside, inside, minimum, maximum, minimum - 1, maximum + 1]));
}

/** A value of this schema as JSON text; one in ten of its parts is broken. */
export function jsonFor(name: string, schema: Schema, next: Random): string {
  // A queue that went on would start real traffic.
  if (name === "paused") return oneOf(next, ["true", "true", ...WRONG]);
  if (next() < 0.08) return oneOf(next, WRONG);
  if (next() < 0.01) return oneOf(next, [deep, (n: number) => deep(n, '{"a":', "}")])(oneOf(next, DEEP));
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return jsonFor(name, oneOf(next, choices), next);
  if (schema.enum) return JSON.stringify(oneOf(next, schema.enum));
  switch (schema.type) {
    case "integer":
      return integerFor(schema, next);
    case "number":
      return oneOf(next, ["0", "0.5", "1", "1.0000001", "-0.1", "1e-300"]);
    case "boolean":
      return oneOf(next, ["true", "false"]);
    case "array":
      return `[${Array.from({ length: between(next, 0, 3) }, () => jsonFor(name, schema.items ?? {}, next)).join(",")}]`;
    case "object":
      return objectFor(schema, next);
    default:
      return JSON.stringify(textFor(name, schema, next));
  }
}

/** Members as documented, some left out, unknown, twice, or with names that reach for prototypes. */
export function objectFor(
  { properties = {}, required = [], additionalProperties }: Schema,
  next: Random,
): string {
  const share = oneOf(next, [0.1, 0.3, 0.6]);
  const members = Object.entries(properties)
    .filter(([name]) => (required.includes(name) ? next() < 0.93 : next() < share))
    .map(([name, schema]) => member(name, jsonFor(name, schema, next)));
  if (typeof additionalProperties === "object")
    members.push(
      member(
        oneOf(next, ["Authorization", "X-A", "bad name", "__proto__", "Host", "Range"]),
        JSON.stringify(CANARY),
      ),
    );
  const names = Object.keys(properties);
  if (next() < 0.06 && names.length > 0) {
    const name = oneOf(next, names);
    members.push(member(name, jsonFor(name, properties[name] ?? {}, next)));
  }
  if (next() < 0.08) members.push(member(oneOf(next, HOSTILE), oneOf(next, ["1", '"x"', "{}", deep(30)])));
  if (next() < 0.05)
    members.push(member("__proto__", oneOf(next, ['{"isAdmin":true}', "null", '{"url":"x"}'])));
  if (next() < 0.03) members.push(member("constructor", '{"prototype":{"polluted":1}}'));
  return `{${members.join(",")}}`;
}

const member = (name: string, value: string): string => `${JSON.stringify(name)}:${value}`;
