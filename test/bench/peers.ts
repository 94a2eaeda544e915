import { join } from "node:path";
import { type Command, timed } from "./measure.ts";

/** What is compared with, and where it comes from; `undefined` when it is not installed. */
export interface Tools {
  curl?: string | undefined;
  aria2c?: string | undefined;
  wget2?: string | undefined;
  hf?: string | undefined;
  nginx?: string | undefined;
  sha256sum?: string | undefined;
}

const PACKAGES: Record<keyof Tools, string> = {
  curl: "Debian package curl",
  aria2c: "Debian package aria2",
  wget2: "Debian package wget2",
  hf: "Python package huggingface_hub (hf on PATH)",
  nginx: "Debian package nginx-light",
  sha256sum: "Debian package coreutils",
};

export function findTools(): Tools {
  const path = `${process.env.PATH}:/usr/sbin:/sbin`;
  const names = Object.keys(PACKAGES) as (keyof Tools)[];
  return Object.fromEntries(names.map((name) => [name, Bun.which(name, { PATH: path }) ?? undefined]));
}

/** One loud line for each that is missing. */
export function missing(tools: Tools): string[] {
  const names = Object.keys(PACKAGES) as (keyof Tools)[];
  return names
    .filter((name) => tools[name] === undefined)
    .map((name) => `SKIPPED: ${name} is not installed (${PACKAGES[name]}); nothing is compared with it.`);
}

/** Version of a tool as it says itself. */
export function versionOf(path: string): string {
  const flag = path.endsWith("nginx") ? "-v" : path.endsWith("hf") ? "version" : "--version";
  const { stdout, stderr } = Bun.spawnSync([path, flag], {
    env: { PATH: process.env.PATH ?? "", NO_COLOR: "1" },
  });
  const text = `${stdout}${stderr}`;
  return /\d+\.\d+(?:\.\d+)?/.exec(text)?.[0] ?? "unknown";
}

export interface Fetch {
  url: string;
  out: string;
  name: string;
  connections?: number;
  sha256?: string;
}

/** curl has one connection and no digest. */
export const curl = (path: string, { url, out, name }: Fetch): Command => ({
  command: [path, "--disable", "--silent", "--show-error", "--fail", "--output", join(out, name), url],
  cwd: out,
});

/** aria2 at its best: small pieces, no preallocation, no configuration of the user's. */
export function aria2Options(connections: number): string[] {
  return [
    "--no-conf",
    "--quiet",
    `--max-connection-per-server=${connections}`,
    `--split=${connections}`,
    "--min-split-size=1M",
    "--file-allocation=none",
    "--allow-overwrite=true",
  ];
}

export function aria2(path: string, fetch: Fetch, more: readonly string[] = []): Command {
  const { url, out, name, connections = 8, sha256 } = fetch;
  const digest = sha256 === undefined ? [] : [`--checksum=sha-256=${sha256}`];
  const where = ["--dir", out, "--out", name];
  return { command: [path, ...aria2Options(connections), ...digest, ...more, ...where, url], cwd: out };
}

/** wget2 cuts a file only when it is told how. */
export function wget2(path: string, { url, out, name, connections = 8 }: Fetch): Command {
  const options = ["--no-config", "--quiet", `--max-threads=${connections}`, "--chunk-size=16M"];
  return { command: [path, ...options, "--output-document", join(out, name), url], cwd: out };
}

/** hf over plain HTTP from `endpoint`, which needs only `/REPO/resolve/…` with ETag and X-Repo-Commit. */
export function hf(path: string, endpoint: string, repo: string, out: string, file?: string): Command {
  return {
    command: [path, "download", repo, ...(file === undefined ? [] : [file]), "--local-dir", out],
    cwd: out,
    env: {
      HF_ENDPOINT: endpoint,
      HF_HOME: join(out, ".hf-home"),
      HF_HUB_DISABLE_XET: "1",
      HF_HUB_DISABLE_TELEMETRY: "1",
      HF_HUB_DISABLE_PROGRESS_BARS: "1",
    },
  };
}

/** The command, and then `sha256sum` of the file as a user would check it. */
export function thenSha256sum(command: Command, sha256sum: string, file: string): Command {
  return {
    ...command,
    command: ["sh", "-c", '"$@" && "$SUM" "$FILE"', "sh", ...command.command],
    env: { ...command.env, SUM: sha256sum, FILE: file },
  };
}

/** Time to hash a file that is in the page cache, with the same library as ours, and nothing else. */
export const hashAlone = (file: string, cwd: string) =>
  timed({ command: [process.execPath, join(import.meta.dir, "hash.ts"), file], cwd });
