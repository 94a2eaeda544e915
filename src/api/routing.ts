import type { Family } from "./family.ts";

interface Claim {
  family: string;
  methods: Set<string>;
  pattern: RegExp;
}

/** Every method and path of all families: finds double claims at start and the methods of a path for `Allow`. */
export class RouteTable {
  /** By path, its parameters without names. */
  readonly #claims = new Map<string, Claim>();

  constructor(families: readonly Family[]) {
    for (const family of families)
      for (const { method, path } of family.routes.routes) this.#claim(family.name, method, path);
  }

  /**
   * Whether a route takes this method on this percent-encoded path. Stricter than Elysia, which also answers
   * `//v1/downloads` (F191): what is not found here never gets there.
   */
  takes(method: string, path: string): boolean {
    const wanted = method === "HEAD" ? "GET" : method;
    if (this.#claims.get(path)?.methods.has(wanted)) return true;
    return this.#matching(path).some(({ methods }) => methods.has(wanted));
  }

  /** Methods of the routes that match this path, for `Allow`; empty when no route does. */
  methods(path: string): string[] {
    const found = new Set(this.#matching(path).flatMap(({ methods }) => [...methods]));
    if (found.has("GET")) found.add("HEAD");
    return found.size === 0 ? [] : [...found, "OPTIONS"].sort();
  }

  #matching(path: string): Claim[] {
    return [...this.#claims.values()].filter(({ pattern }) => pattern.test(path));
  }

  /** Elysia lets the last of two equal routes win without a word (DESIGN §6); here it is an error. */
  #claim(family: string, method: string, path: string): void {
    const shape = path.replace(/:[^/]+/g, ":");
    const claim = this.#claims.get(shape) ?? { family, methods: new Set(), pattern: toPattern(path) };
    if (claim.methods.has(method))
      throw new Error(`Two API families claim ${method} ${path}: ${claim.family} and ${family}`);
    claim.methods.add(method);
    this.#claims.set(shape, claim);
  }
}

function toPattern(path: string): RegExp {
  const parts = path
    .split("/")
    .map((part) => (part.startsWith(":") ? "[^/]+" : part === "*" ? ".*" : RegExp.escape(part)));
  return new RegExp(`^${parts.join("/")}$`);
}
