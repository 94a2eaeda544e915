import { fileNameOf, pairOfFileName } from "../../../src/api/wingman/file-name.ts";
import { DownloadError } from "../../../src/core/errors.ts";
import { foldPath, parseFileName, parseRepoPath, sanitizeFileName } from "../../../src/core/paths.ts";
import { knownTarget, type TargetPath, targetIn } from "../../../src/core/target-path.ts";
import { parseRepoId as parseHubRepoId } from "../../../src/sources/huggingface/reference.ts";
import { parseRepoId as parseSiteRepoId } from "../../../src/sources/modelscope/reference.ts";
import { parseModelName } from "../../../src/sources/ollama-registry/name.ts";
import { parseRevision } from "../../../src/sources/repository/reference.ts";
import { nameFromDisposition, nameFromUrl } from "../../../src/sources/url/name.ts";
import { numbered, partialName } from "../../../src/storage/names.ts";

/** Text from outside -> the relative paths that would be written for it; undefined when it is refused. */
type Validator = (text: string) => readonly string[] | undefined;

const ID = "00000000-0000-4000-8000-000000000000";

/** The text itself when `parse` takes it; anything but a typed refusal is a fault, and thrown on. */
const parsed =
  (parse: (text: string) => string): Validator =>
  (text) => {
    try {
      return [parse(text)];
    } catch (error) {
      if (error instanceof DownloadError) return undefined;
      throw error;
    }
  };

const proposed = (name: string | null): readonly string[] | undefined => (name === null ? undefined : [name]);

/** Everything of ours that turns text from outside into a name on disk. */
export const VALIDATORS: Readonly<Record<string, Validator>> = {
  "path in a repository": parsed(parseRepoPath),
  "file name": parsed(parseFileName),
  "proposed name": (text) => proposed(sanitizeFileName(text)),
  "name from a URL": (text) => {
    const url = URL.parse(`http://host/${text}`) ?? URL.parse(`http://host/${encoded(text)}`);
    return url === null ? undefined : proposed(nameFromUrl(url));
  },
  "name from an encoded URL": (text) => proposed(nameFromUrl(new URL(`http://host/${encoded(text)}`))),
  "name from filename=": (text) =>
    proposed(nameFromDisposition(`attachment; filename="${text.replace(/["\\]/g, "\\$&")}"`)),
  "name from filename*=": (text) =>
    proposed(nameFromDisposition(`attachment; filename*=UTF-8''${encoded(text)}`)),
  revision: parsed((text) => parseRevision(text)),
  "Hugging Face repository": parsed((text) => parseHubRepoId(text, "repo_id")),
  "ModelScope repository": parsed((text) => parseSiteRepoId(text, "repo_id")),
  // A host keeps its colon where that may stand in a name, as Ollama's own directory has it.
  "Ollama model": parsed((text) => {
    const { host, namespace, model, tag } = parseModelName(text, "model");
    return [host.replace(":", "_"), namespace, model, tag].join("/");
  }),
  "taken name": (text) =>
    placed(text)?.flatMap((path) => [numbered(path, 2), numbered(path, 1000)].map(relativeOf)),
  "partial file": (text) => placed(text)?.map((path) => relativeOf(partialName(numbered(path, 1000), ID))),
  "progress file": (text) => [fileNameOf({ repo: asked(text), file: asked(text) })],
};

const accepted = parsed(parseRepoPath);

const ROOT = knownTarget("/models");
const placed = (text: string) => accepted(text)?.map((path) => targetIn(ROOT, path));
const relativeOf = (path: TargetPath): string => path.slice(ROOT.length + 1);

/** As the API lets it through. */
const asked = (text: string): string => text.slice(0, 4096).toWellFormed();

/** Percent-encoded whatever it is. */
const encoded = (text: string): string => encodeURIComponent(text.toWellFormed()).replaceAll("'", "%27");

/** What is wrong with how two pairs share progress files; their names must tell them apart and lead back to them. */
export function pairFault(one: string, other: string): string | undefined {
  const [repo, file] = [asked(one), asked(other)];
  const name = fileNameOf({ repo, file });
  const back = pairOfFileName(name);
  if (back?.repo !== repo || back.file !== file) return `${name} leads back to ${JSON.stringify(back)}`;
  if (foldPath(name) !== name) return `${name} is the same as ${foldPath(name)} on some systems`;
  return undefined;
}
