/** From what people type, paste or drop to references the server can read. */

/** `ollama run llama3.2`, `hf download org/name file`: what instructions on model pages say. */
const OLLAMA_COMMAND = /^\$?\s*ollama\s+(?:run|pull|show)\s+(\S+)/i;
const HUB_COMMAND = /^\$?\s*(?:hf|huggingface-cli)\s+download\s+([\w.-]+\/[\w.-]+)(?:\s+([^-\s]\S*))?/i;
/** `https://ollama.com/library/llama3.2:1b`, `https://ollama.com/user/model`. */
const OLLAMA_PAGE =
  /^https?:\/\/(?:www\.)?ollama\.com\/(?:library\/)?([\w.-]+(?:\/[\w.-]+)?(?::[\w.-]+)?)\/?(?:[?#].*)?$/i;
/** Addresses of hub pages without their scheme, as some programs copy them. */
const BARE_PAGE = /^(?:www\.)?(?:hf\.co|huggingface\.co|modelscope\.cn|modelscope\.ai|ollama\.com)\/\S+$/i;
const OLLAMA_NAME = /^[a-z0-9][\w.-]*(?::[\w.-]+)?$/i;

/** The lines that say something, each once. */
export function linesOf(text: string): string[] {
  const lines = text.split(/[\r\n]+/).map((line) => line.trim());
  return [...new Set(lines.filter((line) => line !== "" && !line.startsWith("#")))];
}

/** One line as a reference: commands and addresses of Ollama's pages become names, a bare word is an Ollama model. */
export function referenceOf(line: string): string {
  if (BARE_PAGE.test(line)) return referenceOf(`https://${line}`);
  const [, pulled] = OLLAMA_COMMAND.exec(line) ?? [];
  if (pulled !== undefined) return `ollama:${pulled}`;
  const [, repo, file] = HUB_COMMAND.exec(line) ?? [];
  if (repo !== undefined) return `hf:${repo}${file === undefined ? "" : `/${file}`}`;
  const [, page] = OLLAMA_PAGE.exec(line) ?? [];
  if (page !== undefined && !/^(?:search|blog|download|docs|pricing|signin|models?)$/i.test(page))
    return `ollama:${page}`;
  if (OLLAMA_NAME.test(line) && !isScheme(line)) return `ollama:${line}`;
  return line;
}

/** `hf:` and its kin are schemes; `llama3.2:1b` is a name with a tag. */
const SCHEMES = new Set(["hf", "mlx", "ms", "modelscope", "ollama", "ollama-registry", "http", "https"]);
const isScheme = (line: string): boolean =>
  SCHEMES.has(line.split(":", 1)[0]!.toLowerCase()) && line.includes(":");

/** Links of something dropped or pasted: `text/uri-list` (RFC 2483) where there is one, else the text. */
export function droppedText(data: DataTransfer): string {
  const links = linesOf(data.getData("text/uri-list"));
  return links.length > 0 ? links.join("\n") : data.getData("text/plain");
}
