/** Where the rows of a long list are. Pure; CSS pixels. */
export interface Layout {
  height: number;
  /** Upper edge of a row. */
  top(index: number): number;
  /** Row at this height, within the list. */
  at(y: number): number;
}

/** All rows are `rowHeight` high but a few, which are `extra` higher. */
export function layout(
  count: number,
  rowHeight: number,
  higher: readonly { index: number; extra: number }[],
): Layout {
  const sorted = [...higher].sort((a, b) => a.index - b.index);
  const top = (index: number): number =>
    sorted.reduce((sum, each) => (each.index < index ? sum + each.extra : sum), index * rowHeight);
  return {
    height: top(count),
    top,
    at(y) {
      let index = Math.floor(y / rowHeight);
      for (const each of sorted) {
        const end = top(each.index + 1);
        if (y < top(each.index)) break;
        index = y < end ? each.index : each.index + 1 + Math.floor((y - end) / rowHeight);
      }
      return Math.max(0, Math.min(count - 1, index));
    },
  };
}

/** Indexes of what is drawn: what is in sight and some more at both ends, and what is `kept` in any case. */
export function drawn(
  { at }: Layout,
  count: number,
  sight: { top: number; bottom: number },
  kept: number,
  more = 6,
): number[] {
  if (count === 0) return [];
  const from = Math.max(0, at(sight.top) - more);
  const to = Math.min(count - 1, at(sight.bottom) + more);
  const indexes = Array.from({ length: to - from + 1 }, (_, each) => from + each);
  if (kept >= 0 && kept < from) indexes.unshift(kept);
  if (kept > to && kept < count) indexes.push(kept);
  return indexes;
}

/** Row to go to for a key; undefined for other keys. */
export function stepOf(key: string, index: number, count: number, page: number): number | undefined {
  const steps: Record<string, number> = {
    ArrowDown: index + 1,
    ArrowUp: index - 1,
    PageDown: index + page,
    PageUp: index - page,
    Home: 0,
    End: count - 1,
  };
  const target = steps[key];
  return target === undefined ? undefined : Math.max(0, Math.min(count - 1, target));
}
