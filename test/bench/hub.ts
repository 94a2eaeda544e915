import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gitSha1Of } from "../support/bytes.ts";
import { freePort, listening, runNginx } from "./servers.ts";

const COMMIT = "fedcba9876543210fedcba9876543210fedcba98";
/** Entries of one page of a listing, as on the real hub. */
const PAGE = 1000;

interface HubFile {
  path: string;
  size: number;
  oid: string;
}

export interface SmallHub extends AsyncDisposable {
  endpoint: string;
  repo: string;
  files: readonly HubFile[];
  /** Address of each file, for clients that know nothing of hubs. */
  urls: readonly string[];
  /** Requests answered since the last call, as `METHOD path`. */
  requests(): string[];
}

/**
 * A hub with one repository of many small files, all of it static files behind nginx: the routes that clients of the
 * real one use (protocols/huggingface.md §3), at the speed of a real server.
 */
export async function startSmallHub(nginx: string, dir: string, count: number): Promise<SmallHub> {
  const repo = "bench/small";
  const root = join(dir, "root");
  const files = makeFiles(join(root, "files"), count);
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const pages = writeApi(join(root, "api"), repo, files);
  const log = join(dir, "access.log");
  writeFileSync(log, "");
  const server = await runNginx(nginx, dir, configuration({ port, endpoint, repo, root, files, pages, log }));
  await listening(port);
  const urls = files.map((file) => `${endpoint}/${repo}/resolve/${COMMIT}/${file.path}`);
  let read = 0;
  const requests = (): string[] => {
    const lines = readFileSync(log, "utf8").split("\n").slice(0, -1);
    const fresh = lines.slice(read);
    read = lines.length;
    return fresh;
  };
  return { ...server, endpoint, repo, files, urls, requests };
}

function makeFiles(root: string, count: number): HubFile[] {
  return Array.from({ length: count }, (_, i) => {
    const number = String(i).padStart(5, "0");
    const path = `part-${number.slice(0, 3)}/item-${number}.json`;
    const content = JSON.stringify({ item: i, text: "lorem ipsum ".repeat(20 + ((i * 7919) % 300)) });
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
    return { path, size: content.length, oid: gitSha1Of(content) };
  });
}

/** Writes what the API answers; returns the number of pages of the listing. */
function writeApi(root: string, repo: string, files: readonly HubFile[]): number {
  mkdirSync(root, { recursive: true });
  const siblings = files.map((file) => ({ rfilename: file.path }));
  const info = {
    _id: "0123456789abcdef01234567",
    id: repo,
    modelId: repo,
    sha: COMMIT,
    private: false,
    gated: false,
    disabled: false,
    downloads: 1,
    likes: 1,
    tags: [],
    lastModified: "2026-01-01T00:00:00.000Z",
    createdAt: "2026-01-01T00:00:00.000Z",
    siblings,
  };
  writeFileSync(join(root, "info.json"), JSON.stringify(info));
  const pages = Math.ceil(files.length / PAGE);
  for (let page = 0; page < pages; page++) {
    const entries = files.slice(page * PAGE, (page + 1) * PAGE).map((file) => ({ type: "file", ...file }));
    writeFileSync(join(root, `tree-${page}.json`), JSON.stringify(entries));
  }
  return pages;
}

interface Settings {
  port: number;
  endpoint: string;
  repo: string;
  root: string;
  files: readonly HubFile[];
  pages: number;
  log: string;
}

function configuration({ port, endpoint, repo, root, files, pages, log }: Settings): string[] {
  const numbers = Array.from({ length: pages }, (_, i) => i);
  const tree = `${endpoint}/api/models/${repo}/tree/${COMMIT}?recursive=true`;
  const links = numbers.slice(0, -1).map((i) => `"${i}" '<${tree}&cursor=${i + 1}>; rel="next"';`);
  return [
    `map $arg_cursor $page { default 0; ${numbers.map((i) => `"${i}" ${i};`).join(" ")} }`,
    `map $page $next { default ''; ${links.join(" ")} }`,
    `map $uri $blob { default ''; ${files.map((f) => `~/${f.path.replaceAll(".", "\\.")}$ '"${f.oid}"';`).join("\n")} }`,
    "log_format short '$request_method $uri';",
    `server {
      listen 127.0.0.1:${port} backlog=1024; root ${root}; etag off; access_log ${log} short;
      location /api/models/${repo}/tree/ { default_type application/json; add_header Link $next; rewrite ^ /api/tree-$page.json break; }
      location /api/models/${repo} { default_type application/json; rewrite ^ /api/info.json break; }
      location ~ ^/${repo}/resolve/[^/]+/(?<file>.*)$ { add_header ETag $blob; add_header X-Repo-Commit ${COMMIT}; rewrite ^ /files/$file break; }
    }`,
  ];
}
