import { dlopen, FFIType } from "bun:ffi";

/** RLIMIT_CORE (asm-generic/resource.h). */
const CORE = 4;
const LIBRARIES = ["libc.so.6", `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`];

/**
 * No crash of this process, or of one that it starts, leaves its memory in a file: tokens and keys are in there (F196).
 * Only the soft limit is taken down, so `prlimit` can allow it again. Elsewhere than on Linux systems write none unasked.
 */
export function forbidDumps(): void {
  if (process.platform !== "linux") return;
  const { i32, ptr } = FFIType;
  for (const library of LIBRARIES) {
    try {
      const { symbols } = dlopen(library, {
        getrlimit: { args: [i32, ptr], returns: i32 },
        setrlimit: { args: [i32, ptr], returns: i32 },
      });
      // struct rlimit: the soft limit, then the hard one.
      const limits = new BigUint64Array(2);
      if (symbols.getrlimit(CORE, limits) !== 0) return;
      limits[0] = 0n;
      symbols.setrlimit(CORE, limits);
      return;
    } catch {
      // The other C library, or none that can be loaded.
    }
  }
}
