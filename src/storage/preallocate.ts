import { dlopen, FFIType } from "bun:ffi";

/** Room is made in steps of this size: a step takes well under a millisecond, and little is asked for in vain. */
const STEP = 64 << 20;
/** Files below this size are written in a few calls; making room would cost more than it brings. */
const WORTHWHILE = 16 << 20;
/** FALLOC_FL_KEEP_SIZE (linux/falloc.h): the length of the file goes on saying how far it was written. */
const KEEP_SIZE = 1;
const LIBRARIES = ["libc.so.6", `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`];

type Fallocate = (fd: number, mode: number, offset: number, length: number) => number;
let fallocate: Fallocate | null | undefined;

/** fallocate(2), or null where the system has none: the C library's replacement would write the file full of zeros. */
function systemCall(): Fallocate | null {
  if (process.platform !== "linux") return null;
  const { i32, i64 } = FFIType;
  for (const library of LIBRARIES) {
    try {
      const { symbols } = dlopen(library, { fallocate: { args: [i32, i32, i64, i64], returns: i32 } });
      return (...args) => symbols.fallocate(...args);
    } catch {
      // The other C library, or none that can be loaded.
    }
  }
  return null;
}

/**
 * Makes room on disk ahead of the writes. With its blocks given out beforehand a file is written a quarter faster, and
 * a sync beside the writes does not hold them up (measured on ext4: 50 ms at a time).
 */
export class Room {
  #ready = 0;
  #size = 0;

  /** The file will have so many bytes in the end. */
  expect(size: number): void {
    this.#size = size >= WORTHWHILE ? size : 0;
  }

  /** What lay beyond `length` was given back. */
  cut(length: number): void {
    this.#ready = Math.min(this.#ready, length);
  }

  /** Bytes up to `end` are about to be written. A refusal is not an error: the write itself will say what is wrong. */
  reach(fd: number, end: number): void {
    while (end > this.#ready && this.#ready < this.#size) {
      fallocate ??= systemCall();
      const length = Math.min(STEP, this.#size - this.#ready);
      if (fallocate === null || fallocate(fd, KEEP_SIZE, this.#ready, length) !== 0) this.#size = 0;
      this.#ready += length;
    }
  }
}
