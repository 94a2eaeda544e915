import { dlopen, FFIType } from "bun:ffi";

const { i32, i64, u32, u64, ptr } = FFIType;

function open() {
  return dlopen("libc.so.6", {
    ioctl: { args: [i32, u64, ptr], returns: i32 },
    shutdown: { args: [i32, i32], returns: i32 },
    socket: { args: [i32, i32, i32], returns: i32 },
    bind: { args: [i32, ptr, u32], returns: i32 },
    listen: { args: [i32, i32], returns: i32 },
    getsockname: { args: [i32, ptr, ptr], returns: i32 },
    close: { args: [i32], returns: i32 },
    connect: { args: [i32, ptr, u32], returns: i32 },
    setsockopt: { args: [i32, i32, i32, ptr, u32], returns: i32 },
    send: { args: [i32, ptr, u64, i32], returns: i64 },
    recv: { args: [i32, ptr, u64, i32], returns: i64 },
    poll: { args: [ptr, u64, i32], returns: i32 },
  }).symbols;
}

type Libc = ReturnType<typeof open>;

let opened: Libc | undefined | null = null;

/** The few socket calls that Bun does not offer. Undefined where there is no glibc. */
export function libc(): Libc | undefined {
  if (opened === null) {
    try {
      opened = process.platform === "linux" ? open() : undefined;
    } catch {
      opened = undefined;
    }
  }
  return opened;
}
