import { DownloadError } from "../../core/errors.ts";
import type { HttpResponse } from "../../core/ports.ts";

/** The longest lines are errors that quote an answer of a registry; beyond this it is no Ollama. */
const LONGEST = 1024 * 1024;

/** An object of the stream (protocols/ollama.md §2.1), as far as anybody has promised. */
export type PullLine = Readonly<Record<string, unknown>>;

/**
 * The JSON objects of an NDJSON answer, wherever its chunks begin and end. Rejects with `protocol` for what is no such
 * object, or as the connection does. `who` names the server in messages.
 */
export async function* readLines(
  response: Pick<HttpResponse, "read">,
  who: string,
): AsyncGenerator<PullLine> {
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const chunk = await response.read();
    const parts = (
      rest + (chunk === null ? decoder.decode() : decoder.decode(chunk, { stream: true }))
    ).split("\n");
    // The last line may come without its end.
    rest = chunk === null ? "" : (parts.pop() ?? "");
    for (const part of parts) if (part.trim() !== "") yield parseLine(part, who);
    if (chunk === null) return;
    if (rest.length > LONGEST)
      throw new DownloadError("protocol", `${who} sent a line of more than ${LONGEST} characters.`);
  }
}

function parseLine(text: string, who: string): PullLine {
  try {
    const value: unknown = text.length > LONGEST ? null : JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as PullLine;
  } catch {
    // Said below.
  }
  throw new DownloadError(
    "protocol",
    `${who} did not answer as an Ollama server does: check that its address is right.`,
  );
}
