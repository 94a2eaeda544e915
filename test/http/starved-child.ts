/** Takes every descriptor there is, asks, and tells what came of it; lets go and asks again. Run under `ulimit -n`. */
import { closeSync, openSync, readdirSync, readlinkSync } from "node:fs";
import { until } from "../support/until.ts";
import { client, drain, failure } from "./client.ts";

const [url = "", caFile] = process.argv.slice(2);
const http = client(caFile ? { caFile } : {});
// The client's own thread is made beside ours, which has an event loop already.
await until(() => eventLoops() > 1, "the thread of the HTTP client");
const taken: number[] = [];
try {
  for (;;) taken.push(openSync("/dev/null", "r"));
} catch {
  // That was the last one.
}
const { code, message } = await failure(http.request({ url }));
for (const descriptor of taken) closeSync(descriptor);
const { length } = await drain(await http.request({ url }));
console.log(JSON.stringify({ code, message, length }));
process.exit(0);

function eventLoops(): number {
  const opened = readdirSync("/proc/self/fd").map((it) => {
    try {
      return readlinkSync(`/proc/self/fd/${it}`);
    } catch {
      return "closed";
    }
  });
  return opened.filter((it) => it === "anon_inode:[eventpoll]").length;
}
