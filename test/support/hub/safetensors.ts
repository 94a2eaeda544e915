const HEADER = 248;

/**
 * The beginning of a safetensors file of `size` bytes: the length of the header, and the header of one tensor. `format`
 * is what wrote it: `pt`, `mlx`, …
 */
export function safetensorsHeader(tensor: string, size: number, format = "pt"): Uint8Array {
  const data = size - 8 - HEADER;
  if (data < 1) throw new Error(`a safetensors file needs more than ${8 + HEADER} bytes`);
  const header = JSON.stringify({
    __metadata__: { format },
    [tensor]: { dtype: "U8", shape: [data], data_offsets: [0, data] },
  });
  if (header.length > HEADER) throw new Error(`too long a tensor name: ${tensor}`);
  return Buffer.concat([
    Buffer.from(BigUint64Array.of(BigInt(HEADER)).buffer),
    Buffer.from(header.padEnd(HEADER)),
  ]);
}
