/** What the guides need to read of our own README: headings, paragraphs and tables. */

/** One row of a table, its cells by the header of their column. */
export type Row = Readonly<Record<string, string>>;

const FENCE = /^(?:```|~~~)/;

/** The first paragraph behind the title, in one line. */
export function summaryOf(markdown: string): string {
  const [, paragraph = ""] = markdown.split(/\n{2,}/);
  return paragraph.replaceAll("\n", " ").trim();
}

/** What stands below the heading of this text, its own subsections included; empty when there is none. */
export function sectionOf(markdown: string, heading: string): string {
  const lines = markdown.split("\n");
  const levels = headingLevels(lines);
  const start = lines.findIndex((line, i) => levels[i] !== 0 && line.replace(/^#+ /, "") === heading);
  if (start < 0) return "";
  const end = levels.findIndex((level, i) => i > start && level !== 0 && level <= (levels[start] ?? 0));
  return lines
    .slice(start + 1, end < 0 ? undefined : end)
    .join("\n")
    .trim();
}

/** Rows of the first table of a section. */
export function tableOf(section: string): Row[] {
  const lines = section.split("\n");
  const start = lines.findIndex((line) => line.startsWith("|"));
  if (start < 0) return [];
  const end = lines.findIndex((line, i) => i > start && !line.startsWith("|"));
  const [header = [], , ...rows] = lines.slice(start, end < 0 ? undefined : end).map(cellsOf);
  return rows.map((cells) => Object.fromEntries(header.map((name, i) => [name, cells[i] ?? ""])));
}

/** Links to files of the repository, which are not served, become their text. */
export const withoutFileLinks = (markdown: string): string =>
  markdown.replace(/\[([^\]]+)\]\((?!https?:|[/#])[^)]*\)/g, "$1");

/** Level of the heading a line is, 0 for everything else. */
function headingLevels(lines: readonly string[]): number[] {
  let inCode = false;
  return lines.map((line) => {
    if (FENCE.test(line)) inCode = !inCode;
    return inCode ? 0 : (/^(#{1,6}) /.exec(line)?.[1]?.length ?? 0);
  });
}

const cellsOf = (line: string): string[] =>
  line
    .trim()
    .replace(/^\||\|$/g, "")
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll("\\|", "|"));
