/**
 * The queue as the page knows it. Live events say which download waits, but not where; so places are kept here: whoever
 * leaves makes the others move up, whoever comes is put where the server said.
 */
export class Queue {
  #ids: string[] = [];
  /** Counted from 1. */
  #places = new Map<string, number>();

  get ids(): readonly string[] {
    return this.#ids;
  }

  place(id: string): number | undefined {
    return this.#places.get(id);
  }

  /** Answers whether any was there. */
  remove(ids: readonly string[]): boolean {
    const leaving = new Set(ids.filter((id) => this.#places.has(id)));
    if (leaving.size > 0) this.#become(this.#ids.filter((id) => !leaving.has(id)));
    return leaving.size > 0;
  }

  /**
   * Each to its place; a known one without a place stays where it is, a new one goes to the end. Answers whether
   * anything has changed.
   */
  put(entries: readonly { id: string; place: number | undefined }[]): boolean {
    const isNews = ({ id, place }: { id: string; place: number | undefined }): boolean =>
      !this.#places.has(id) || (place !== undefined && place !== this.#places.get(id));
    const news = entries.filter(isNews);
    if (news.length === 0) return false;
    const placed = news
      .filter((entry) => entry.place !== undefined)
      .sort((a, b) => (a.place ?? 0) - (b.place ?? 0));
    const coming = new Set(news.map(({ id }) => id));
    const rest = this.#ids.filter((id) => !coming.has(id));
    const ids: string[] = [];
    let next = 0;
    for (const { id, place = 0 } of placed) {
      while (next < rest.length && ids.length + 1 < place) ids.push(rest[next++]!);
      ids.push(id);
    }
    const last = news.filter(({ place }) => place === undefined).map(({ id }) => id);
    this.#become([...ids, ...rest.slice(next), ...last]);
    return true;
  }

  #become(ids: string[]): void {
    this.#ids = ids;
    this.#places = new Map(ids.map((id, index) => [id, index + 1]));
  }
}
