/** Prints the SHA-256 of a file: what verification costs when there is nothing else to do. */
import { closeSync, openSync, readSync } from "node:fs";

const file = openSync(process.argv[2]!, "r");
const hasher = new Bun.CryptoHasher("sha256");
const buffer = new Uint8Array(1 << 20);
for (let length = readSync(file, buffer); length > 0; length = readSync(file, buffer))
  hasher.update(buffer.subarray(0, length));
closeSync(file);
console.log(hasher.digest("hex"));
