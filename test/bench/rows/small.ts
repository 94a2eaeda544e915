import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gitSha1Of } from "../../support/bytes.ts";
import { type SmallHub, startSmallHub } from "../hub.ts";
import { type Contender, compete, medianOf, type Sample, secondsOf, timed } from "../measure.ts";
import { pull } from "../ours.ts";
import { aria2Options, hf } from "../peers.ts";
import type { Bench, Row } from "../row.ts";

const FILES = 2000;

/** Row 8: a repository of two thousand small files. */
export const small: Row = {
  titles: { 8: `a repository of ${FILES} small files` },
  needs: ["nginx"],
  async run(bench) {
    await using hub = await startSmallHub(bench.tools.nginx!, join(bench.dir, "hub"), FILES);
    const results = await compete(contendersOf(bench, hub), bench.runs, bench.dir, bench.say);
    const ours = secondsOf(results, "modelhaul");
    const of = (what: string) => medianOf(results, "modelhaul", (s) => s.more?.[what]);
    const goals = [
      {
        text: "as fast as aria2c -i -j16",
        value: secondsOf(results, "aria2c -i -j16") / ours,
        unit: "x",
        atLeast: 3,
      },
      { text: "listing requests", value: of("listings"), unit: "", atMost: Math.ceil(FILES / 1000) },
      { text: "HEAD requests", value: of("HEAD"), unit: "", atMost: 0 },
    ];
    const notes = results
      .filter((r) => r.samples.length > 0)
      .map((r) => `${r.name}: ${Math.round(FILES / secondsOf(results, r.name))} files/s`);
    return new Map([[8, { results, goals, notes }]]);
  },
};

function contendersOf({ tools, executable }: Bench, hub: SmallHub): Contender[] {
  const contenders: Contender[] = [];
  const add = (name: string, folder: string, run: (out: string) => Promise<Sample>): void => {
    contenders.push({
      name,
      check: async (out) => checkFiles(join(out, folder), hub),
      run: async (out) => counted(hub, await settled(hub, run(out))),
    });
  };
  const env = { HF_ENDPOINT: hub.endpoint };
  add("modelhaul", hub.repo, (out) => timed({ ...pull(executable, [`hf:${hub.repo}`], { out }), env }));
  if (tools.aria2c) add("aria2c -i -j16", "", (out) => aria2List(tools.aria2c!, hub, out));
  if (tools.hf) add("hf download", "", (out) => timed(hf(tools.hf!, hub.endpoint, hub.repo, out)));
  return contenders;
}

/** What was asked before the run belongs to nobody. */
function settled(hub: SmallHub, run: Promise<Sample>): Promise<Sample> {
  hub.requests();
  return run;
}

function counted(hub: SmallHub, sample: Sample): Sample {
  const requests = hub.requests();
  const count = (pattern: RegExp): number => requests.filter((line) => pattern.test(line)).length;
  return {
    ...sample,
    more: { requests: requests.length, listings: count(/\/tree-?/), HEAD: count(/^HEAD /) },
  };
}

function aria2List(aria2c: string, hub: SmallHub, out: string): Promise<Sample> {
  const list = join(out, "list.txt");
  const entries = hub.urls.map((url, i) => `${url}\n  out=${hub.files[i]!.path}\n`);
  writeFileSync(list, entries.join(""));
  const options = [...aria2Options(1), "--max-concurrent-downloads=16", "--dir", out, "--input-file", list];
  return timed({ command: [aria2c, ...options], cwd: out });
}

function checkFiles(folder: string, hub: SmallHub): void {
  for (const { path, oid } of hub.files) {
    const found = gitSha1Of(readFileSync(join(folder, path)));
    if (found !== oid) throw new Error(`wrong content: ${path}`);
  }
}
