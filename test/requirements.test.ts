import { expect, test } from "bun:test";
import { KINDS, type Kind, REQUIREMENTS, requirementsOfThePage } from "./requirements.ts";
import { type Title, titlesBelow, titlesOf } from "./titles.ts";

/** Kinds of which every number must be proven by a test that names it. */
const PROVEN: ReadonlySet<Kind> = new Set(["R", "F", "S", "B", "E", "C"]);
/** Where the others are proven as far as no test names them. */
const ELSEWHERE: Partial<Record<Kind, string>> = {
  U: "tests of the monitor (web/)",
  X: "advice: README, llms.txt",
};
/** Each number is written out: a range, which names what nobody looked at, names nothing. */
const numbersIn = (title: string): string[] =>
  [...title.matchAll(/(?<![A-Za-z0-9-])R(\d+[a-c]?)(?![A-Za-z0-9]|-R)/g)].map(([, number = ""]) => number);

/** All titles but those of this file, whose numbers are samples. */
const titles = titlesBelow(import.meta.dir).filter(({ file }) => file !== "requirements.test.ts");

/** Titles by the number they name. */
function namedIn(all: readonly Title[]): Map<string, string[]> {
  const named = new Map<string, string[]>();
  for (const { file, text } of all)
    for (const number of new Set(numbersIn(text)))
      named.set(number, [...(named.get(number) ?? []), `${file}: ${text.replace(/\s+/g, " ").slice(0, 90)}`]);
  return named;
}

test("titles are found behind modifiers, in templates and in tables, and not in comments or what never runs", () => {
  const source = `
    test("R1 plain", () => {});
    it.only(\`R2 \${f("x)")} template\`, () => {});
    describe.skipIf(isNot("ready)"))(
      'R3 over lines', () => {});
    test.each([["R4 (", 5], [\`R5\`, 6]])("%s", () => {});
    test.each(["R6"])("named apart", () => {});
    // test("R7 remark", () => {});
    test.skip("R8 never", () => {});
    test.todo("R9 one day");
    test("R12-R14 a range", () => {});
    pattern.test("R10 no declaration"); contest("R11");
  `;
  expect(titlesOf(source).flatMap(numbersIn)).toEqual(["1", "2", "3", "4", "5"]);
});

test("the table has the numbers of REQUIREMENTS section B, with their kinds", () => {
  const page = requirementsOfThePage();
  if (page) expect(REQUIREMENTS).toEqual(page);
  expect(new Set(REQUIREMENTS.map(({ number }) => number)).size).toBe(REQUIREMENTS.length);
});

test("every route, field, status, behaviour, error and client code is named by a test", () => {
  const named = namedIn(titles);
  const lines = REQUIREMENTS.flatMap(({ number, kind }) => {
    const proofs = named.get(number) ?? [ELSEWHERE[kind] ?? "no test names it"];
    return proofs.map(
      (title, index) => `${index === 0 ? `R${number} ${KINDS[kind]}` : ""}`.padEnd(18) + title,
    );
  });
  console.log(lines.join("\n"));
  const missing = REQUIREMENTS.filter(({ number, kind }) => PROVEN.has(kind) && !named.has(number));
  expect(missing.map(({ number, kind }) => `R${number} ${KINDS[kind]}`)).toEqual([]);
});

test("no test names a number that there is not", () => {
  const known = new Set(REQUIREMENTS.map(({ number }) => number));
  const strange = [...namedIn(titles)].filter(([number]) => !known.has(number));
  expect(strange).toEqual([]);
});
