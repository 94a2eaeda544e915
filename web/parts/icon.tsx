/** Icons, drawn on a 16 by 16 grid in the colour of the text. Decoration: what they mean is said beside them. */
const PATHS = {
  pause: "M5.5 3v10M10.5 3v10",
  play: "M5 3.2v9.6L12.5 8z",
  close: "M4 4l8 8M12 4l-8 8",
  retry: "M13 8a5 5 0 1 1-1.6-3.7M13 2v3h-3",
  check: "M3 8.5 6.5 12 13 4.5",
  plus: "M8 3v10M3 8h10",
  trash: "M3 4.5h10M6.5 4.5V3h3v1.5M4.5 4.5l.6 8.5h5.8l.6-8.5M7 7v3.5M9 7v3.5",
  more: "M3.5 8h.01M8 8h.01M12.5 8h.01",
  search: "M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM10.5 10.5 13.5 13.5",
  down: "M8 3v7M5 7.5 8 10.5l3-3M4 13h8",
  chevron: "M4.5 6.5 8 10l3.5-3.5",
  up: "M8 13V3M4.5 6.5 8 3l3.5 3.5",
  lower: "M8 3v10M4.5 9.5 8 13l3.5-3.5",
  sort: "M5 3v10M2.5 10.5 5 13l2.5-2.5M11 13V3M8.5 5.5 11 3l2.5 2.5",
  drag: "M6 4h.01M10 4h.01M6 8h.01M10 8h.01M6 12h.01M10 12h.01",
  copy: "M6 6h7v7H6zM10 6V3H3v7h3",
  folder: "M2.5 4h4l1.5 1.5h5.5V12.5h-11z",
  file: "M4 2.5h5.5L12.5 5.5v8H4zM9.5 2.5v3h3",
  disk: "M2.5 9.5h11v3.5h-11zM2.5 9.5l2-6.5h7l2 6.5M11 11.3h.01",
  engine:
    "M4.5 4.5h7v7h-7zM6.5 2v2.5M9.5 2v2.5M6.5 11.5V14M9.5 11.5V14M2 6.5h2.5M2 9.5h2.5M11.5 6.5H14M11.5 9.5H14",
  settings: "M2.5 4.5h6M11.5 4.5h2M2.5 11.5h2M7.5 11.5h6M10 3v3M6 10v3",
  bell: "M4 11V7a4 4 0 0 1 8 0v4l1 1.2H3zM6.8 14h2.4",
  sun: "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM8 1.5v1.2M8 13.3v1.2M1.5 8h1.2M13.3 8h1.2M3.4 3.4l.9.9M11.7 11.7l.9.9M12.6 3.4l-.9.9M4.3 11.7l-.9.9",
  moon: "M13 9.6A5.5 5.5 0 0 1 6.4 3 5.5 5.5 0 1 0 13 9.6z",
  auto: "M8 2.5a5.5 5.5 0 1 0 0 11zM8 2.5a5.5 5.5 0 0 1 0 11",
  link: "M6.5 9.5l3-3M7 4.5l1.3-1.3a2.8 2.8 0 0 1 4 4L11 8.5M9 11.5l-1.3 1.3a2.8 2.8 0 0 1-4-4L5 7.5",
  warning: "M8 2.5 14 13H2zM8 6.5v3M8 11.3h.01",
  info: "M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM8 7.3v3.4M8 5.2h.01",
  lock: "M4 7.5h8v6H4zM5.5 7.5v-2a2.5 2.5 0 0 1 5 0v2",
  logout: "M6.5 2.5h-4v11h4M10 5l3 3-3 3M13 8H6",
  speed: "M2.5 12a6 6 0 1 1 11 0M8 9.5l2.8-3.2",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
