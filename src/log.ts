/** The process's log: text or JSON lines on standard error, secrets taken out at this one place (F193). */
import {
  configureSync,
  getJsonLinesFormatter,
  getLogger,
  getTextFormatter,
  type LogRecord,
  sanitizeControlSequences,
  type TextFormatter,
} from "@logtape/logtape";
import { JWT_PATTERN, type RedactionPattern, redactByField, redactByPattern } from "@logtape/redaction";
import type { LogFormat, LogLevel } from "./config.ts";
import type { Log } from "./core/ports.ts";

export interface LogOptions {
  level: LogLevel;
  format: LogFormat;
  /** Known secrets (API key, hub token), removed wherever they turn up. */
  secrets?: readonly (string | null)[];
  /** Takes one line with its line end; must not throw. */
  write?(line: string): void;
}

const HIDDEN = "[hidden]";
const SECRET_FIELD = /token|secret|password|authorization|cookie|api[-_]?key|signature|credential/i;

/** Secrets by their shape. No pattern reaches over a quote or a backslash, so JSON stays JSON. */
const PATTERNS: readonly RedactionPattern[] = [
  JWT_PATTERN,
  { pattern: /\b(Bearer|Basic)\s+[\w.~+/=-]{6,}/gi, replacement: `$1 ${HIDDEN}` },
  { pattern: /\bhf_[A-Za-z0-9]{6,}/g, replacement: HIDDEN },
  {
    pattern: /\b(x-api-key|api[-_]?key|ticket)(["']?\s*[:=]\s*["']?)[^\s"'\\&,}]+/gi,
    replacement: `$1$2${HIDDEN}`,
  },
  // Whatever stands behind the ? of a URL may be a signature (F194), whatever stands before its @ a password.
  { pattern: /\b(https?:\/\/[^\s"'\\?#]*)\?[^\s"'\\]*/gi, replacement: `$1?${HIDDEN}` },
  { pattern: /\b(https?:\/\/)[^\s"'\\/@]+@/gi, replacement: `$1${HIDDEN}@` },
];

/** Configures the one log of the process; a second call replaces the first. */
export function createLog(options: LogOptions): Log {
  const known = (options.secrets ?? []).filter((secret) => secret !== null && secret.length >= 6) as string[];
  const literal = known.map((secret) => ({
    pattern: new RegExp(RegExp.escape(secret), "g"),
    replacement: HIDDEN,
  }));
  const format = redactByPattern(options.format === "json" ? jsonLine() : textLine(), [
    ...literal,
    ...PATTERNS,
  ]);
  const write = options.write ?? writeError;
  const sink = redactByField((record: LogRecord) => write(format(record)), {
    fieldPatterns: [SECRET_FIELD],
    action: () => HIDDEN,
  });
  configureSync({
    reset: true,
    sinks: { out: sink },
    loggers: [
      { category: "modelhaul", lowestLevel: options.level, sinks: ["out"] },
      { category: ["logtape", "meta"], lowestLevel: "error", sinks: ["out"] },
    ],
  });
  const logger = getLogger("modelhaul");
  return {
    debug: (message, fields) => logger.debug(literally(message), plain(fields)),
    info: (message, fields) => logger.info(literally(message), plain(fields)),
    warn: (message, fields) => logger.warn(literally(message), plain(fields)),
    error: (message, fields) => logger.error(literally(message), plain(fields)),
  };
}

/** Braces in a message are text, not LogTape's placeholders. */
const literally = (message: string): string => message.replace(/[{}]/g, "$&$&");

function plain(fields: Record<string, unknown> = {}): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, plainValue(value)]));
}

function plainValue(value: unknown): unknown {
  if (!(value instanceof Error)) return value;
  const cause =
    value.cause instanceof Error ? ` (caused by ${value.cause.name}: ${value.cause.message})` : "";
  return `${value.name}: ${value.message}${cause}`;
}

const jsonLine = (): TextFormatter => getJsonLinesFormatter({ properties: "nest:fields" });

/** `2026-01-31T12:00:00.000Z INF message name="value"`; no name from outside can forge a line (F203). */
function textLine(): TextFormatter {
  return getTextFormatter({
    timestamp: "rfc3339",
    sanitize: { newlines: "escape", sgr: "escape" },
    format: ({ timestamp, level, message, record }) => {
      const fields = Object.entries(record.properties).map(([name, value]) => ` ${name}=${shown(value)}`);
      return `${timestamp} ${level} ${message}${fields.join("")}`;
    },
  });
}

function shown(value: unknown): string {
  const json = JSON.stringify(value, (_, inner) => (typeof inner === "bigint" ? `${inner}` : inner));
  return sanitizeControlSequences(json ?? "undefined", { newlines: "escape", sgr: "escape" });
}

/** Lines handed over while the reader of standard error is stuck; more are dropped rather than kept in memory. */
const MOST_WAITING = 500;
let waiting = 0;

/** Never throws: a closed pipe or a full log disk costs lines, not the service (F117). */
function writeError(line: string): void {
  if (waiting >= MOST_WAITING) return;
  try {
    if (process.stderr.write(line)) return;
    if (waiting === 0)
      process.stderr.once("drain", () => {
        waiting = 0;
      });
    waiting += 1;
  } catch {
    // Nowhere left to tell it.
  }
}
