import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

/** What one run cost. */
export interface Sample {
  seconds: number;
  /** User and system time of the process and its children, where it was waited for. */
  cpuSeconds?: number;
  /** Largest resident set in bytes; of a shell that runs several commands only the shell's. */
  maxRss?: number;
  /** Whatever else a row counts. */
  more?: Record<string, number>;
}

export interface Command {
  command: readonly string[];
  cwd: string;
  env?: Record<string, string>;
  /** Longest it may take; default five minutes. */
  timeoutMs?: number;
}

const SAMPLE_MS = 25;

/** Nothing of the caller's own environment (proxies, tokens, configuration) gets in. */
export function cleanEnv(home: string, more: Record<string, string> = {}): Record<string, string> {
  return { PATH: process.env.PATH ?? "", HOME: home, LANG: "C.UTF-8", ...more };
}

/** Runs a command to its end. Throws with what it said when it fails or takes too long. */
export async function timed({ command, cwd, env, timeoutMs = 300_000 }: Command): Promise<Sample> {
  const begun = performance.now();
  const child = Bun.spawn([...command], {
    cwd,
    env: cleanEnv(cwd, env),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const said = Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
  // Not from wait4: there Linux also counts what the process was before its exec, a copy of us.
  let maxRss: number | undefined;
  const sampler = setInterval(() => {
    maxRss = peakOf(child.pid) ?? maxRss;
  }, SAMPLE_MS);
  const code = await child.exited;
  const seconds = (performance.now() - begun) / 1000;
  clearTimeout(timer);
  clearInterval(sampler);
  if (code !== 0) {
    const text = (await said).join("\n").trim().split("\n").slice(-3).join(" | ");
    throw new Error(
      seconds * 1000 >= timeoutMs ? `not done after ${timeoutMs / 1000} s` : `exit ${code}: ${text}`,
    );
  }
  const cpuSeconds = Number(child.resourceUsage()!.cpuTime.total) / 1e6;
  return { seconds, cpuSeconds, ...(maxRss !== undefined && { maxRss }) };
}

/** Largest resident set so far in bytes; undefined once the process has ended. */
function peakOf(pid: number): number | undefined {
  try {
    const peak = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return peak === undefined ? undefined : Number(peak) * 1024;
  } catch {
    return undefined;
  }
}

/** Resident set of a running process in bytes. */
export function residentSet(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? Number.NaN) * 1024;
}

/** One of those that are compared. */
export interface Contender {
  name: string;
  /** Does the work into `out`, an empty folder; `round` counts from 0. */
  run(out: string, round: number): Promise<Sample>;
  /** Runs in the first round only. */
  once?: boolean;
  /** Proves that `out` holds what it should; looked at after the first round. */
  check?(out: string): Promise<void>;
}

/** What a contender did in all rounds, or why it could not. */
export interface Result {
  name: string;
  samples: Sample[];
  failure?: string;
}

/**
 * All contenders in turn, round after round, so that what else the machine does meets all of them. Who fails is left
 * out from then on, with the reason.
 */
export async function compete(
  contenders: readonly Contender[],
  runs: number,
  dir: string,
  say: (line: string) => void,
): Promise<Result[]> {
  const results: Result[] = contenders.map(({ name }) => ({ name, samples: [] }));
  for (let round = 0; round < runs; round++) {
    for (const [i, contender] of contenders.entries()) {
      const result = results[i]!;
      if (result.failure !== undefined || (contender.once && round > 0)) continue;
      try {
        result.samples.push(await once(contender, dir, round));
        say(`  round ${round + 1}: ${contender.name} ${result.samples.at(-1)!.seconds.toFixed(3)} s`);
      } catch (error) {
        result.failure = error instanceof Error ? error.message : String(error);
        say(`  round ${round + 1}: ${contender.name} FAILED: ${result.failure}`);
      }
    }
  }
  return results;
}

async function once(contender: Contender, dir: string, round: number): Promise<Sample> {
  const out = join(dir, "out");
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  try {
    const sample = await contender.run(out, round);
    if (round === 0) await contender.check?.(out);
    return sample;
  } finally {
    // At once, so that nobody's unwritten pages slow down the next one.
    rmSync(out, { recursive: true, force: true });
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The value that `share` (0 to 1) of the values do not exceed. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** Median over the rounds; not a number when it has not run. */
export function medianOf(
  results: readonly Result[],
  name: string,
  pick: (s: Sample) => number | undefined,
): number {
  const samples = results.find((r) => r.name === name && r.failure === undefined)?.samples ?? [];
  return median(samples.map(pick).filter((v): v is number => v !== undefined));
}

export const secondsOf = (results: readonly Result[], name: string): number =>
  medianOf(results, name, (s) => s.seconds);
