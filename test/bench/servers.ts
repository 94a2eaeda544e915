import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { until } from "../support/until.ts";

/** The repository that `hf` sees on the plain server. */
export const REPO = "bench/model";
const COMMIT = "0123456789abcdef0123456789abcdef01234567";

export interface Nginx extends AsyncDisposable {
  /** As fast as it goes. */
  plain: string;
  /** Each connection at 32 MiB/s. */
  capped: string;
}

/** nginx over the files of `root`: sendfile, one worker, nothing logged. */
export async function startNginx(nginx: string, dir: string, root: string): Promise<Nginx> {
  const [plain, capped] = [await freePort(), await freePort()];
  const server = await runNginx(nginx, dir, [
    `server { listen 127.0.0.1:${plain} backlog=1024; root ${root};
      location /${REPO}/resolve/main/ { alias ${root}/; add_header X-Repo-Commit ${COMMIT}; } }`,
    `server { listen 127.0.0.1:${capped}; root ${root}; limit_rate 32m; }`,
  ]);
  await listening(plain);
  return { ...server, plain: `http://127.0.0.1:${plain}`, capped: `http://127.0.0.1:${capped}` };
}

/** Runs nginx in the foreground with these `server` blocks; its folders are below `dir`. */
export async function runNginx(
  nginx: string,
  dir: string,
  servers: readonly string[],
): Promise<AsyncDisposable> {
  mkdirSync(dir, { recursive: true });
  const temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (name) => `${name}_temp_path ${dir}/${name};`,
  );
  const configuration = `
    ${process.getuid?.() === 0 ? "user root;" : ""}
    worker_processes 1; daemon off; pid ${dir}/pid; error_log ${dir}/error.log;
    events { worker_connections 4096; }
    http {
      access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000; default_type application/octet-stream;
      map_hash_max_size 32768; map_hash_bucket_size 256; ${temp.join(" ")}
      ${servers.join("\n")}
    }`;
  const file = join(dir, "nginx.conf");
  writeFileSync(file, configuration);
  const child = Bun.spawn([nginx, "-c", file, "-p", dir, "-e", `${dir}/error.log`], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "inherit",
  });
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    await child.exited;
  };
  process.once("exit", () => child.kill("SIGTERM"));
  return { [Symbol.asyncDispose]: stop };
}

export async function freePort(): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const server = createServer().listen(0, "127.0.0.1", () => {
    const address = server.address();
    const port = typeof address === "object" && address ? address.port : 0;
    server.close(() => resolve(port));
  });
  return promise;
}

/** Waits until something answers on this port. */
export const listening = (port: number): Promise<unknown> =>
  until(
    async () => (await fetch(`http://127.0.0.1:${port}/`, { method: "HEAD" })).status > 0,
    `port ${port}`,
  );
