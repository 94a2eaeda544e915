import { join } from "node:path";
import { makeFile, mustBe } from "../content.ts";
import { type Contender, compete, secondsOf, timed } from "../measure.ts";
import { pull } from "../ours.ts";
import { aria2, curl, type Fetch, hashAlone, hf, thenSha256sum, wget2 } from "../peers.ts";
import type { Bench, Goal, Outcome, Row } from "../row.ts";
import { REPO, startNginx } from "../servers.ts";

/** Rows 1 and 2: one big file over loopback, unverified and verified. */
export const plain: Row = {
  titles: { 1: "one file over loopback, unverified", 2: "one file over loopback, verified" },
  needs: ["nginx"],
  async run(bench, wanted) {
    const file = makeFile(join(bench.dir, "origin"), "big.bin", 1, bench.size);
    await using nginx = await startNginx(
      bench.tools.nginx!,
      join(bench.dir, "nginx"),
      join(bench.dir, "origin"),
    );
    const outcomes = new Map<number, Outcome>();
    const source = { url: `${nginx.plain}/${file.name}`, name: file.name };
    const check = (out: string) => mustBe(join(out, file.name), file.sha256);
    if (wanted.has(1)) outcomes.set(1, await unverified(bench, source, nginx.plain, check));
    if (wanted.has(2)) outcomes.set(2, await verified(bench, { ...source, ...file }, nginx.plain, check));
    return outcomes;
  },
};

type Check = (out: string) => Promise<void>;

async function unverified(
  bench: Bench,
  source: Pick<Fetch, "url" | "name">,
  endpoint: string,
  check: Check,
): Promise<Outcome> {
  const { tools } = bench;
  const contenders: Contender[] = [
    { name: "modelhaul", check, run: (out) => timed(pull(bench.executable, [source.url], { out })) },
  ];
  const add = (name: string, run: Contender["run"]) => contenders.push({ name, run, check });
  if (tools.curl) add("curl", (out) => timed(curl(tools.curl!, { ...source, out })));
  if (tools.aria2c) add("aria2c -x8 -k1M", (out) => timed(aria2(tools.aria2c!, { ...source, out })));
  if (tools.wget2) add("wget2, 8 threads", (out) => timed(wget2(tools.wget2!, { ...source, out })));
  if (tools.hf) add("hf", (out) => timed(hf(tools.hf!, endpoint, REPO, out, source.name)));
  const results = await compete(contenders, bench.runs, bench.dir, bench.say);
  const ours = secondsOf(results, "modelhaul");
  const goals: Goal[] = [
    { text: "as fast as curl", value: secondsOf(results, "curl") / ours, unit: "x", atLeast: 1 },
    { text: "as fast as aria2c", value: secondsOf(results, "aria2c -x8 -k1M") / ours, unit: "x", atLeast: 2 },
  ];
  return { results, goals, bytes: bench.size };
}

async function verified(
  bench: Bench,
  source: { url: string; name: string; path: string; sha256: string },
  endpoint: string,
  check: Check,
): Promise<Outcome> {
  const { tools } = bench;
  const { sha256, name } = source;
  const contenders: Contender[] = [
    { name: "modelhaul", check, run: (out) => timed(pull(bench.executable, [source.url], { out, sha256 })) },
    { name: "hashing alone", run: (out) => hashAlone(source.path, out) },
  ];
  if (tools.aria2c) {
    const run: Contender["run"] = (out) => timed(aria2(tools.aria2c!, { ...source, out }));
    contenders.push({ name: "aria2c --checksum", check, run });
  }
  if (tools.hf && tools.sha256sum) {
    const command = (out: string) => hf(tools.hf!, endpoint, REPO, out, name);
    const run: Contender["run"] = (out) =>
      timed(thenSha256sum(command(out), tools.sha256sum!, join(out, name)));
    contenders.push({ name: "hf + sha256sum", check, run });
  }
  const results = await compete(contenders, bench.runs, bench.dir, bench.say);
  const ours = secondsOf(results, "modelhaul");
  const hash = secondsOf(results, "hashing alone");
  const goals: Goal[] = [
    {
      text: "as fast as aria2c --checksum",
      value: secondsOf(results, "aria2c --checksum") / ours,
      unit: "x",
      atLeast: 3,
    },
    {
      text: "as fast as hf + sha256sum",
      value: secondsOf(results, "hf + sha256sum") / ours,
      unit: "x",
      atLeast: 3,
    },
    { text: "of the speed of hashing alone", value: (100 * hash) / ours, unit: "%", atLeast: 93 },
  ];
  return { results, goals, bytes: bench.size };
}
