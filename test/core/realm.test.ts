import { expect, test } from "bun:test";
import { startOrigin } from "../support/origin.ts";
import { openProduct } from "../support/product.ts";
import { MB } from "./support.ts";

test("F38 F39 a realm on another host is never contacted, and the token stays where it belongs", async () => {
  await using realm = await startOrigin({ resources: [{ path: "/token", seed: 2, size: 2 }] });
  await using origin = await startOrigin({ resources: [{ path: "/m.gguf", seed: 1, size: MB }] });
  const challenge = `Bearer realm="${realm.url("/token")}",service="models"`;
  origin.on({}, { kind: "respond", status: 401, headers: { "WWW-Authenticate": challenge } });
  await using product = await openProduct();
  const token = "secret-token-of-the-user";
  const { download } = await product.downloads.start({ url: origin.url("/m.gguf"), token });
  const failed = await product.reaches(download.id, "failed", "completed");
  expect(failed.error?.code).toBe("auth_required");
  expect(failed.error?.message).toContain(new URL(origin.url("/")).host);
  expect(JSON.stringify(failed)).not.toContain(token);
  expect(origin.log.every((it) => it.headers.authorization === `Bearer ${token}`)).toBe(true);
  expect(origin.log.length).toBe(1);
  expect(realm.log).toEqual([]);
});
