import { join } from "node:path";
import { makeFile, mustBe } from "../content.ts";
import { type Contender, compete, secondsOf, timed } from "../measure.ts";
import { pull } from "../ours.ts";
import { aria2, wget2 } from "../peers.ts";
import type { Row } from "../row.ts";
import { startNginx } from "../servers.ts";

const CONNECTIONS = 16;

/** Row 4: a quarter of the size, each connection capped at 32 MiB/s, sixteen connections. */
export const capped: Row = {
  titles: { 4: "each connection capped at 32 MiB/s, 16 connections" },
  needs: ["nginx"],
  async run(bench) {
    const { tools, executable } = bench;
    const root = join(bench.dir, "origin");
    const file = makeFile(root, "quarter-2.bin", 2, Math.floor(bench.size / 4));
    await using nginx = await startNginx(tools.nginx!, join(bench.dir, "nginx"), root);
    const source = { url: `${nginx.capped}/${file.name}`, name: file.name, connections: CONNECTIONS };
    const { sha256 } = file;
    const check = (out: string) => mustBe(join(out, file.name), sha256);
    const contenders: Contender[] = [
      { name: "modelhaul", check, run: (out) => timed(pull(executable, [source.url], { ...source, out })) },
      {
        name: "modelhaul, verified",
        check,
        run: (out) => timed(pull(executable, [source.url], { ...source, out, sha256 })),
      },
    ];
    const add = (name: string, run: Contender["run"]) => contenders.push({ name, run, check });
    if (tools.aria2c) {
      add("aria2c -x16", (out) => timed(aria2(tools.aria2c!, { ...source, out })));
      add("aria2c -x16 --checksum", (out) => timed(aria2(tools.aria2c!, { ...source, out, sha256 })));
    }
    if (tools.wget2) add("wget2, 16 threads", (out) => timed(wget2(tools.wget2!, { ...source, out })));
    const results = await compete(contenders, bench.runs, bench.dir, bench.say);
    const ratio = (theirs: string, ours: string) => secondsOf(results, theirs) / secondsOf(results, ours);
    const goals = [
      { text: "as fast as aria2c -x16", value: ratio("aria2c -x16", "modelhaul"), unit: "x", atLeast: 1.05 },
      {
        text: "as fast as aria2c -x16 --checksum, verified",
        value: ratio("aria2c -x16 --checksum", "modelhaul, verified"),
        unit: "x",
        atLeast: 2.9,
      },
    ];
    return new Map([[4, { results, goals, bytes: file.size }]]);
  },
};
