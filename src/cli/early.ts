/**
 * Signals are heard from here on. `main` imports this before everything else: while the rest of the program loads, and
 * while it reads what it was configured with, a signal would end the process by itself (F116).
 */
import { onInterrupt } from "./terminal.ts";

/** Of `serve`, which ends in an orderly way however early it is told to; the other commands have nothing to lose yet. */
export const earlyInterrupts = process.argv[2] === "serve" ? onInterrupt() : undefined;
