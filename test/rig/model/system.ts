/** The product as the reference sees it: in this process with its real rooms, or as the executable. */
import { cpSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DownloadError } from "../../../src/core/errors.ts";
import { type Answer as ApiAnswer, type Daemon, startDaemon } from "../../support/daemon.ts";
import { openProduct, type Product } from "../../support/product.ts";
import type { Answer, Command, Item, Shown, World } from "./reference.ts";

export interface View {
  /** In the order of creation. */
  items: Shown[];
  /** Those that wait, the next one first, by their index. */
  order: number[];
  settings: Pick<World, "slots" | "held">;
}

export interface System extends AsyncDisposable {
  act(command: Command): Promise<Answer>;
  view(): Promise<View>;
  /** Resolves when something has happened, or a little later. */
  changed(): Promise<void>;
  restart(): Promise<void>;
  /** Ends it as SIGKILL does, and starts it again. */
  kill(): Promise<void>;
  /** Removes every record, as a new one has it. */
  clear(): Promise<void>;
}

/** Names and files of one sequence. */
export interface Scene {
  base: string;
  prefix: string;
}

const urlOf = ({ base, prefix }: Scene, source: number): string => `${base}/${prefix}s${source}.bin`;

interface Row {
  name: string;
  url: string;
  state: string;
  priority: number;
  place: number | null;
}

/** Sub-states of an attempt are one here: where it is in them depends on the moment. */
const RUNNING = new Set(["downloading", "verifying", "creating_engine"]);

function viewOf({ prefix }: Scene, rows: readonly Row[], settings: View["settings"]): View {
  const items = rows.map(({ name, url, state, priority }) => ({
    name: name.startsWith(prefix) ? name.slice(prefix.length) : name,
    source: Number(/s(\d+)\.bin$/.exec(url)?.[1]),
    state: (RUNNING.has(state) ? "downloading" : state) as Item["state"],
    priority,
  }));
  const waiting = rows.flatMap(({ place }, index) => (place === null ? [] : [{ place, index }]));
  const order = waiting.sort((a, b) => a.place - b.place).map(({ index }) => index);
  return { items, order, settings };
}

const LOOK_AGAIN_MS = 25;
const WORDS: Record<string, Answer> = {
  download_not_found: "missing",
  model_id_conflict: "taken",
  invalid_state: "refused",
};

/** The core with its real database, disk and network. */
export class CoreSystem implements System {
  #product: Product;

  private constructor(
    readonly dir: string,
    readonly scene: Scene,
    product: Product,
  ) {
    this.#product = product;
  }

  static async open(dir: string, scene: Scene): Promise<CoreSystem> {
    return new CoreSystem(dir, scene, await openProduct({ dir }));
  }

  async act(command: Command): Promise<Answer> {
    try {
      return await this.#obey(command);
    } catch (error) {
      const code = error instanceof DownloadError ? error.code : "";
      return WORDS[code] ?? `unexpected: ${error}`;
    }
  }

  async #obey(command: Command): Promise<Answer> {
    const { downloads } = this.#product;
    const { prefix } = this.scene;
    switch (command.do) {
      case "add": {
        const named = command.name === undefined ? {} : { modelId: prefix + command.name };
        const { download } = await downloads.start({ url: urlOf(this.scene, command.source), ...named });
        return `ok ${download.modelId.slice(prefix.length)}`;
      }
      case "slots":
        await downloads.changeSettings({ maxConcurrent: command.value });
        return "ok";
      case "hold":
        await downloads.changeSettings({ paused: command.held });
        return "ok";
    }
    const name = prefix + command.name;
    if (command.do === "priority") await downloads.change(name, { priority: command.value });
    else if (command.do === "move") await downloads.change(name, { move: withPrefix(prefix, command.to) });
    else if (command.do === "forget") await downloads.forget(name, { files: false });
    else await downloads[command.do](name);
    return "ok";
  }

  async view(): Promise<View> {
    const { downloads } = this.#product;
    const { items } = await downloads.list({}, { limit: 1000 });
    const rows = items.map(({ modelId, source, state, priority, place }) => {
      return { name: modelId, url: source.url, state, priority, place };
    });
    const { maxConcurrent, paused } = downloads.settings();
    return viewOf(this.scene, rows, { slots: maxConcurrent, held: paused });
  }

  changed(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const unsubscribe = this.#product.downloads.feed.subscribe(() => resolve());
    const timer = setTimeout(resolve, LOOK_AGAIN_MS);
    return promise.finally(() => {
      clearTimeout(timer);
      unsubscribe();
    });
  }

  async restart(): Promise<void> {
    await this.#product.close();
    this.#product = await openProduct({ dir: this.dir });
  }

  /** What a killed process leaves is what is in its files at this moment; the database before its log, as a checkpoint writes. */
  async kill(): Promise<void> {
    const [data, left] = [join(this.dir, "data"), join(this.dir, "left")];
    const isLog = (path: string): boolean => /-wal$/.test(path);
    cpSync(data, left, { recursive: true, filter: (path) => !isLog(path) && !/lock\.db|-shm$/.test(path) });
    cpSync(data, left, { recursive: true, filter: (path) => path === data || isLog(path) });
    await this.#product.close();
    rmSync(data, { recursive: true });
    renameSync(left, data);
    this.#product = await openProduct({ dir: this.dir });
  }

  async clear(): Promise<void> {
    const { downloads } = this.#product;
    await downloads.changeSettings({ paused: true });
    await downloads.cancelAll();
    await downloads.forgetAll({ files: true });
    await downloads.changeSettings({ maxConcurrent: 2, paused: false });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#product.close();
  }
}

function withPrefix<T extends { before: string } | { after: string } | { position: number }>(
  prefix: string,
  to: T,
): T {
  return Object.fromEntries(
    Object.entries(to).map(([key, value]) => [key, typeof value === "string" ? prefix + value : value]),
  ) as T;
}

const STATUS_WORDS: Record<number, Answer> = { 404: "missing", 409: "taken", 400: "refused" };

/** The built executable behind its native API. */
export class DaemonSystem implements System {
  private constructor(
    readonly scene: Scene,
    readonly daemon: Daemon,
  ) {}

  static async open(dir: string, scene: Scene): Promise<DaemonSystem> {
    return new DaemonSystem(scene, await startDaemon({ dir }));
  }

  async act(command: Command): Promise<Answer> {
    const { status, body } = await this.#ask(command);
    if (status < 300)
      return command.do === "add" ? `ok ${body.model_id.slice(this.scene.prefix.length)}` : "ok";
    return STATUS_WORDS[status] ?? `unexpected: ${status} ${JSON.stringify(body)}`;
  }

  #ask(command: Command): Promise<ApiAnswer> {
    const { daemon, scene } = this;
    switch (command.do) {
      case "add": {
        const named = command.name === undefined ? {} : { model_id: scene.prefix + command.name };
        return daemon.api("POST", "/v1/downloads", { url: urlOf(scene, command.source), ...named });
      }
      case "slots":
        return daemon.api("PATCH", "/v1/settings", { max_concurrent: command.value });
      case "hold":
        return daemon.api("PATCH", "/v1/settings", { paused: command.held });
    }
    const name = encodeURIComponent(scene.prefix + command.name);
    if (command.do === "priority")
      return daemon.api("PATCH", `/v1/downloads/${name}`, { priority: command.value });
    if (command.do === "move")
      return daemon.api("PATCH", `/v1/downloads/${name}`, withPrefix(scene.prefix, command.to));
    if (command.do === "forget") return daemon.api("DELETE", `/v1/history/${name}`);
    return daemon.api("POST", `/v1/downloads/${name}/${command.do}`);
  }

  async view(): Promise<View> {
    const { active_downloads: all } = await this.daemon.must("GET", "/v1/downloads?state=all&limit=1000");
    const rows = all.map((it: Record<string, never>) => {
      return {
        name: it.model_id,
        url: it.url,
        state: it.state,
        priority: it.priority,
        place: it.position ?? null,
      };
    });
    const { max_concurrent, paused } = await this.daemon.must("GET", "/v1/settings");
    return viewOf(this.scene, rows, { slots: max_concurrent, held: paused });
  }

  changed(): Promise<void> {
    return Bun.sleep(LOOK_AGAIN_MS);
  }

  restart(): Promise<void> {
    return this.daemon.restart();
  }

  async kill(): Promise<void> {
    await this.daemon.kill();
    await this.daemon.start();
  }

  async clear(): Promise<void> {
    await this.daemon.must("PATCH", "/v1/settings", { paused: true });
    await this.daemon.must("POST", "/v1/downloads/cancel");
    await this.daemon.must("DELETE", "/v1/history?files=true");
    await this.daemon.must("PATCH", "/v1/settings", { max_concurrent: 2, paused: false });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.daemon[Symbol.asyncDispose]();
  }
}
