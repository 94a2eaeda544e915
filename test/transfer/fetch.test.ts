import { expect, test } from "bun:test";
import { startOrigin } from "../support/origin.ts";
import { fetchOne, fileSha256, MiB, rig } from "./rig.ts";

test("a large file over several connections, verified while it arrives", async () => {
  await using origin = await startOrigin({
    resources: [{ path: "/m.bin", seed: 1, size: 20 * MiB + 17 }],
    ratePerConnection: 16 * MiB,
  });
  await using it = rig();
  const digest = origin.sha256("/m.bin");
  const { result, witness, path } = await fetchOne(it, { url: origin.url("/m.bin"), digest });
  console.log(witness.mostConnections, origin.log.length, origin.sent());
  expect(result).toEqual({
    size: 20 * MiB + 17,
    digest: { algorithm: "sha256", hex: digest },
    verified: true,
  });
  expect(fileSha256(path)).toBe(digest);
  expect(witness.bytes).toBe(20 * MiB + 17);
});
