import { Problem } from "./problem.ts";

/** Largest body any route takes (F143). Bun's own limit is set far above: it resets the connection without an answer. */
export const BODY_LIMIT = 1024 * 1024;

/** Levels of nesting; the deepest body any route knows has four. */
const DEEPEST = 64;

/** The client went away, or its chunks are none (F163): nobody hears this answer, but it is no failure of ours. */
const brokenOff = () =>
  new Problem("invalid_request", "The request body ended before it was complete", {
    headers: { Connection: "close" },
  });

const tooLarge = () =>
  new Problem("request_too_large", `The request body is larger than ${BODY_LIMIT} bytes`, {
    headers: { Connection: "close" },
  });

const tooSlow = (limitMs: number) =>
  new Problem(
    "request_timeout",
    `The request body was not complete within ${limitMs / 1000} s; send all of it at once`,
    {
      headers: { Connection: "close" },
    },
  );

/**
 * The JSON body of a request, or undefined when it has none. An empty body is good with `Content-Type:
 * application/json` and without any (R60); every other type is refused, so that no HTML form can start anything (F145).
 * The whole of it has to come within `limitMs`, however it trickles in (F144).
 */
export async function readJson(request: Request, limitMs: number): Promise<unknown> {
  const declared = request.headers.get("content-length");
  if (declared !== null && Number(declared) > BODY_LIMIT) throw tooLarge();
  const type = request.headers.get("content-type");
  const isJson = type !== null && /^application\/json\s*(;|$)/i.test(type);
  const bytes = request.body === null ? new Uint8Array() : await readAll(request.body, limitMs);
  if (!isJson && (type !== null || bytes.length > 0))
    throw new Problem("unsupported_media_type", "Send the request body as Content-Type: application/json");
  if (bytes.length === 0) return undefined;
  return parse(bytes);
}

async function readAll(stream: ReadableStream<Uint8Array>, limitMs: number): Promise<Uint8Array> {
  const reader = stream.getReader();
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(tooSlow(limitMs)), limitMs);
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for (;;) {
      const { done, value } = await Promise.race([reader.read(), late.promise]);
      if (done) return Buffer.concat(chunks, size);
      size += value.length;
      if (size > BODY_LIMIT) throw tooLarge();
      chunks.push(value);
    }
  } catch (error) {
    // Nobody waits for the rest.
    void reader.cancel().catch(() => {});
    throw error instanceof Problem ? error : brokenOff();
  } finally {
    clearTimeout(timer);
  }
}

function parse(bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new Problem("invalid_json", "The request body is not valid UTF-8");
  }
  if (text.trim() === "") return undefined;
  return parseJson(text, "The request body");
}

/** JSON text as a value; `name` begins the refusal's sentence. Deep nesting would exhaust the stack later on (F140). */
export function parseJson(text: string, name: string): unknown {
  if (isDeep(text)) throw new Problem("invalid_json", `${name} is nested too deeply`);
  try {
    return JSON.parse(text);
  } catch {
    throw new Problem("invalid_json", `${name} is not valid JSON`);
  }
}

function isDeep(text: string): boolean {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (inString) {
      if (char === "\\") i++;
      else inString = char !== '"';
    } else if (char === '"') inString = true;
    else if (char === "{" || char === "[") {
      if (++depth > DEEPEST) return true;
    } else if (char === "}" || char === "]") depth--;
  }
  return false;
}
