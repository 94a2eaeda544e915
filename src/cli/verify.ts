import { createReadStream, existsSync, realpathSync } from "node:fs";
import { basename, resolve } from "node:path";
import { ConfigError } from "../config.ts";
import { parseDigest, parseNamedDigest } from "../core/download.ts";
import { DownloadError } from "../core/errors.ts";
import type { AddCommand, Context } from "./context.ts";
import { combined, EXIT } from "./exit.ts";
import { sessionOf } from "./files.ts";
import { safe } from "./format.ts";
import { addOptions, CLIENT_OPTIONS, STORE_OPTIONS } from "./options.ts";
import { codeAndText } from "./report.ts";
import type { Session, Verdict } from "./session.ts";
import type { WireFile } from "./wire.ts";

export const addVerify: AddCommand = (program, context) => {
  const command = program
    .command("verify")
    .description("hash files and compare them with what was promised for them, or with --sha256")
    .argument("<path...>", "files on disk")
    .option("--sha256 <HEX>", "the digest the file must have; no record of it is needed then");
  addOptions(command, [...STORE_OPTIONS, ...CLIENT_OPTIONS]).action(
    context.action((paths: string[], options: Record<string, unknown>) => verify(context, paths, options)),
  );
};

async function verify(context: Context, paths: string[], options: Record<string, unknown>): Promise<number> {
  if (options.sha256 !== undefined) {
    const digest = parseDigest("sha256", String(options.sha256));
    if (digest === undefined)
      throw new ConfigError(`--sha256 ${JSON.stringify(options.sha256)}: expected 64 hexadecimal digits`);
    if (paths.length > 1) throw new ConfigError("--sha256: give it with one file only");
    return each(context, paths, (path) => against(path, digest.hex));
  }
  const session = await sessionOf(context, options);
  try {
    const known = await session.files();
    return await each(context, paths, (path) => againstRecord(session, known, path));
  } finally {
    await session.close();
  }
}

async function each(
  { terminal }: Context,
  paths: string[],
  check: (path: string) => Promise<Verdict>,
): Promise<number> {
  const codes: number[] = [];
  for (const path of paths) {
    try {
      const { matches, digest } = await check(path);
      const word =
        matches === null ? "no digest was promised, it is now kept" : matches ? "OK" : "DOES NOT MATCH";
      terminal.out(`${safe(path)}: ${word} (${digest})`);
      codes.push(matches === false ? EXIT.checksum : EXIT.done);
    } catch (error) {
      const { code, text } = codeAndText(error);
      terminal.err(`modelhaul: ${safe(path)}: ${text}`);
      codes.push(code);
    }
  }
  return combined(codes);
}

async function against(path: string, hex: string): Promise<Verdict> {
  mustExist(path);
  const hasher = new Bun.CryptoHasher("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hasher.update(chunk);
  const found = hasher.digest("hex");
  return { matches: found === hex, digest: `sha256:${found}` };
}

async function againstRecord(session: Session, known: readonly WireFile[], path: string): Promise<Verdict> {
  mustExist(path);
  const places = new Set([resolve(path), realpathSync(path)]);
  const isHere = ({ local_path: at }: WireFile) => at !== undefined && places.has(at);
  // The folder of the models may be a link, and its files have two names each.
  const record =
    known.find(isHere) ?? known.find(({ local_path: at }) => at !== undefined && places.has(real(at)));
  // Blobs of Ollama are called by their digest, whoever brought them.
  const named = parseNamedDigest(basename(path));
  if (record === undefined && named !== undefined) return against(path, named.hex);
  if (record === undefined)
    throw new DownloadError("file_not_found", "no record of this file; give its digest with --sha256 HEX");
  return session.verify(record.id);
}

function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function mustExist(path: string): void {
  if (!existsSync(path)) throw new DownloadError("file_not_found", "no such file");
}
