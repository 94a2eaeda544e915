import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** What a requirement is about; the letters of REQUIREMENTS section B. */
export const KINDS = {
  R: "route",
  F: "field",
  S: "status",
  B: "behaviour",
  E: "error",
  C: "client code",
  U: "monitor",
  X: "advice",
} as const;
export type Kind = keyof typeof KINDS;

/** Every number of section B by its letter, so that this is known where that page is not. */
const TABLE: Record<Kind, string> = {
  R: "1 6 18 27 28 34 36 48 50 51 52 53 54 55 56 57 58 145 146 168",
  F: `2 3 4 10 11 12 13 14 15 16 29 30 31 35 38 61 62 63 64 65 66 67 68 69 70 71 72 74 75 76 77 78 82 83 88 89 90
    149 155 166 169`,
  S: "17 32 80 81 150 167",
  B: `5 7 8 9 20 21 26a 37 39 40 41 42 43 44 47 47a 49 59 60 73 79 84 85 86 87 98 99 100 101 138 138a 139 140 141
    142 143 144 147 148 151 152 153 154 157 158 159 160 165 170 171 174 175 176 177 178 184 186c`,
  E: "19 33 45 46 91 92 93 94 95 96 97 156 172 179 180 181 182 183",
  C: "22 23 24 25 26 102 103 104 105 106 107 108 109 110 161 162 163 173 185",
  U: "111 112 113 114 115 116 117 118 119 120 121 122 123 124 125 126 164",
  X: "127 128 129 130 131 132 133 134 135 136 137 186 186a 186b",
};

export interface Requirement {
  /** As in a test's title, without its `R`: "26a". */
  number: string;
  kind: Kind;
}

/** Numbers in the order of the page. */
export const REQUIREMENTS: Requirement[] = (Object.keys(TABLE) as Kind[])
  .flatMap((kind) => TABLE[kind].split(/\s+/).map((number) => ({ number, kind })))
  .sort(byNumber);

function byNumber(a: Requirement, b: Requirement): number {
  return Number.parseInt(a.number, 10) - Number.parseInt(b.number, 10) || (a.number < b.number ? -1 : 1);
}

const PAGE = join(import.meta.dir, "../../shared/REQUIREMENTS.md");

/** The numbers of section B as the page has them; undefined, with a word on the console, where it is not. */
export function requirementsOfThePage(): Requirement[] | undefined {
  if (!existsSync(PAGE)) {
    console.warn("SKIPPED: ../shared/REQUIREMENTS.md is not there, the numbers are not compared with it");
    return undefined;
  }
  const [, section = ""] = /^## B\.([\s\S]*?)^## C\./m.exec(readFileSync(PAGE, "utf8")) ?? [];
  return [...section.matchAll(/^- \*\*(\d+[a-z]?)\*\* ([A-Z]) /gm)].map(([, number = "", kind]) => ({
    number,
    kind: kind as Kind,
  }));
}
