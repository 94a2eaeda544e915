import { closeSync, existsSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { Lines } from "./until.ts";

const MIB = 1 << 20;
const PAGE = 4096;

/** Why no volume can be made here; undefined when one can. */
export function noVolumes(): string | undefined {
  const tried = Bun.spawnSync(["unshare", "-m", "sh", "-c", "mount -t tmpfs -o size=1m tmpfs /mnt"], {
    stderr: "ignore",
  });
  return tried.success ? undefined : "it needs the right to mount in a namespace of its own (root)";
}

/**
 * A volume of exact size that can be full, read-only or gone. It lies in a mount namespace of its own, in memory, and
 * goes with this process at the latest.
 */
export class Volume implements AsyncDisposable {
  private constructor(
    private readonly holder: Bun.Subprocess<"pipe", "pipe", "pipe">,
    /** Where it is mounted, seen by what is run with `enter`. */
    readonly path: string,
    private readonly store: string,
  ) {}

  /** `path` and `store` are empty directories: the volume's place, and where it stays mounted while it is gone from there. */
  static async make(path: string, store: string, bytes: number): Promise<Volume> {
    const script = `mount -t tmpfs -o size=${bytes} tmpfs "$1" && mkdir "$1/all" && mount --bind "$1/all" "$2" && echo ready && exec cat`;
    const holder = Bun.spawn(["unshare", "-m", "sh", "-c", script, "sh", store, path], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
    await new Lines(holder.stdout).waitFor(/^ready$/);
    return new Volume(holder, path, store);
  }

  /** A command that runs another one where the volume is. */
  get enter(): string[] {
    return ["nsenter", "-t", String(this.holder.pid), "-m", "--"];
  }

  /** A path as it is there, for this process. */
  seen(path: string): string {
    return join("/proc", String(this.holder.pid), "root", path);
  }

  /** Takes every free byte. */
  fill(): void {
    const fd = openSync(this.seen(join(this.store, "ballast")), "a");
    try {
      for (const step of [MIB, PAGE]) writeUntilFull(fd, step);
    } finally {
      closeSync(fd);
    }
  }

  /** Gives back what `fill` took. */
  free(): void {
    const ballast = this.seen(join(this.store, "ballast"));
    if (existsSync(ballast)) rmSync(ballast);
  }

  /** Only possible while nothing on it is open for writing. False when something was. */
  remount(mode: "ro" | "rw"): boolean {
    return Bun.spawnSync([...this.enter, "mount", "-o", `remount,bind,${mode}`, this.path], {
      stderr: "ignore",
    }).success;
  }

  /** Takes it away from its place, where an empty directory of another volume stays. */
  detach(): void {
    this.run("umount", "-l", this.path);
  }

  attach(): void {
    this.run("mount", "--bind", join(this.store, "all"), this.path);
  }

  private run(...command: string[]): void {
    const ran = Bun.spawnSync([...this.enter, ...command], { stderr: "pipe" });
    if (!ran.success) throw new Error(`${command.join(" ")}: ${ran.stderr}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.holder.stdin.end();
    await this.holder.exited;
  }
}

function writeUntilFull(fd: number, step: number): void {
  const bytes = new Uint8Array(step);
  try {
    while (writeSync(fd, bytes) === step) {}
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error;
  }
}
