import { afterAll, describe, expect, test } from "bun:test";
import { startOrigin } from "../support/origin.ts";
import { client, drain, resolverOf } from "./client.ts";

const RESOURCES = [{ path: "/file", seed: 1, size: 1000 }];
const plain = await startOrigin({ resources: RESOURCES });
const secure = await startOrigin({ tls: "valid", host: "localhost", resources: RESOURCES });
afterAll(() => Promise.all([plain.stop(), secure.stop()]));

describe.each([
  ["http", plain],
  ["https", secure],
])("F207 credentials over %s", (_, origin) => {
  const http = client(origin.caFile === undefined ? {} : { caFile: origin.caFile });
  const url = origin.url("/file");
  const { origin: own } = new URL(url);
  const as = (name: string) => ({
    credentials: { origin: own, headers: { Authorization: `Bearer ${name}`, "X-Key": name } },
  });

  test("go with one request, not with the connection that the next one reuses", async () => {
    const connections = origin.stats.connections;
    const from = origin.log.length;
    for (const more of [as("ada"), {}, as("bob"), {}]) await drain(await http.request({ url, ...more }));
    const sent = origin.log.slice(from).map(({ headers }) => [headers.authorization, headers["x-key"]]);
    const nobody = [undefined, undefined];
    expect(sent).toEqual([["Bearer ada", "ada"], nobody, ["Bearer bob", "bob"], nobody]);
    expect(origin.stats.connections).toBeLessThanOrEqual(connections + 2);
  });

  test("are not taken over by another caller when both ask at once", async () => {
    const from = origin.log.length;
    const names = Array.from({ length: 20 }, (_, n) => `user-${n}`);
    await Promise.all(
      names.map(async (name) => drain(await http.request({ url: `${url}?${name}`, ...as(name) }))),
    );
    const sent = origin.log.slice(from).map(({ query, headers }) => [query, headers["x-key"]]);
    expect(sent.sort()).toEqual(names.map((name) => [name, name]).sort());
  });
});

test("F207 two names of one address have connections of their own", async () => {
  await using origin = await startOrigin({ resources: RESOURCES });
  const http = client({ resolver: resolverOf({ "a.test": ["127.0.0.1"], "b.test": ["127.0.0.1"] }) });
  for (const name of ["a.test", "b.test", "a.test", "b.test"])
    await drain(await http.request({ url: `http://${name}:${origin.port}/file` }));
  expect(origin.stats.connections).toBe(2);
  const hosts = origin.log.map(({ connection, headers }) => `${connection} ${headers.host}`);
  expect(new Set(hosts).size).toBe(2);
});
