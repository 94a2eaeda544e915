import { expect, test } from "bun:test";
import { fileDownloadInfo, listFiles, modelInfo } from "@huggingface/hub";
import { readAll } from "./bytes.ts";
import { Repo } from "./hub/repo.ts";
import { ggufRepo, safetensorsRepo, smallFilesRepo, startHub } from "./hub.ts";

/** A GGUF header read as its specification says: magic, version, counts, typed pairs, tensors. */
function readGguf(bytes: Uint8Array) {
  const data = Buffer.from(bytes);
  let at = 0;
  const take = (length: number): Buffer => {
    at += length;
    return data.subarray(at - length, at);
  };
  const u32 = () => take(4).readUInt32LE();
  const u64 = () => Number(take(8).readBigUInt64LE());
  const text = () => take(u64()).toString();
  const value = (type: number) => (type === 8 ? text() : type === 2 ? take(2).readUInt16LE() : u32());
  const [magic, version, tensors, count] = [take(4).toString(), u32(), u64(), u64()];
  const pairs: Record<string, unknown> = {};
  for (let i = 0; i < count; i++) {
    const key = text();
    pairs[key] = value(u32());
  }
  const tensor = { name: text(), dimensions: u32(), elements: u64(), type: u32(), offset: u64() };
  return { magic, version, tensors, pairs, tensor, end: at };
}

test("GGUF files begin with a valid header whose tensor fills the file, split sets say which part they are", () => {
  const repo = new Repo(
    ggufRepo("acme/tiny-gguf", { split: { quantization: "Q8_0", count: 3, sizeOfEach: 4_096 } }),
  );
  const part = readGguf(readAll(repo.file("tiny-Q8_0-00002-of-00003.gguf").content));
  expect([part.magic, part.version, part.tensors, part.tensor.dimensions]).toEqual(["GGUF", 3, 1, 1]);
  expect(part.pairs).toMatchObject({
    "general.architecture": "llama",
    "general.file_type": 7,
    "llama.context_length": 2048,
    "split.no": 1,
    "split.count": 3,
  });
  const start = Math.ceil(part.end / 32) * 32;
  expect(4_096 - start - part.tensor.elements * 4).toBeWithin(0, 4);
  expect(readGguf(readAll(repo.file("tiny-Q4_K_M.gguf").content)).pairs["general.file_type"]).toBe(15);
});

test("safetensors files have a header whose tensor ends at the end of the file, and an index", () => {
  const repo = new Repo(safetensorsRepo("acme/tiny", { shards: 2, sizeOfEach: 10_000 }));
  const bytes = Buffer.from(readAll(repo.file("model-00002-of-00002.safetensors").content));
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString("utf8", 8, 8 + length));
  expect(header["model.layers.1.weight"].data_offsets[1]).toBe(10_000 - 8 - length);
  const index = JSON.parse(
    Buffer.from(readAll(repo.file("model.safetensors.index.json").content)).toString(),
  );
  expect(index.weight_map["model.layers.1.weight"]).toBe("model-00002-of-00002.safetensors");
});

test("the official JavaScript client reads info, listing and file info", async () => {
  await using hub = await startHub({
    repos: [ggufRepo("acme/tiny-gguf"), smallFilesRepo("acme/many", 1_500)],
  });
  const common = { hubUrl: hub.endpoint, repo: "acme/tiny-gguf" };
  const big = hub.repo("acme/tiny-gguf").file("tiny-Q4_K_M.gguf");
  expect(
    (await modelInfo({ hubUrl: hub.endpoint, name: "acme/tiny-gguf", additionalFields: ["sha"] })).sha,
  ).toBe(hub.repo("acme/tiny-gguf").branches.get("main")!);
  const listed = await Array.fromAsync(listFiles({ ...common, recursive: true }));
  expect(listed.find((it) => it.path === big.path)?.lfs?.oid).toBe(big.sha256);
  expect(await Array.fromAsync(listFiles({ ...common, repo: "acme/many", recursive: true }))).toHaveLength(
    1_516,
  );
  const withXet = await fileDownloadInfo({ ...common, path: big.path });
  expect([withXet?.size, withXet?.xet?.hash]).toEqual([big.size, big.xetHash]);
  hub.settings.xet = false;
  const plain = await fileDownloadInfo({ ...common, path: big.path });
  expect([plain?.size, plain?.xet]).toEqual([big.size, undefined]);
});
