/** One colour of an operator's or an application's, made into a stylesheet in which every text stays readable: WCAG 2.2 §1.4.3, at least 4.5 : 1. */

type Rgb = readonly [red: number, green: number, blue: number];

const BLACK: Rgb = [0, 0, 0];
const WHITE: Rgb = [255, 255, 255];
/** What links stand on, and is hardest to read on: the page's ground when it is light, the card when it is dark (grantor.css). */
const LIGHT_GROUND: Rgb = [243, 244, 247];
const DARK_SURFACE: Rgb = [25, 29, 38];
/** A little more than is asked for, so that rounding never falls below. */
const READABLE = 4.55;
/** How far the accent moves while a button is pointed at. */
const HOVER = 0.18;

export interface Accent {
  readonly accent: string;
  /** Text on the accent. */
  readonly onAccent: string;
  /** The accent while it is pointed at. */
  readonly strong: string;
  /** Links in the light scheme. */
  readonly link: string;
  /** Links and the ground of buttons in the dark scheme, where text on it is nearly black. */
  readonly darkLink: string;
  readonly darkStrong: string;
}

/** @param color `#rrggbb` */
export function accentOf(color: string): Accent {
  const accent = parse(color);
  const isDark = contrast(accent, WHITE) >= contrast(accent, BLACK);
  const darkLink = untilReadable(accent, WHITE, DARK_SURFACE);
  return {
    accent: format(accent),
    onAccent: format(isDark ? WHITE : BLACK),
    strong: format(mix(accent, isDark ? BLACK : WHITE, HOVER)),
    link: format(untilReadable(accent, BLACK, LIGHT_GROUND)),
    darkLink: format(darkLink),
    darkStrong: format(mix(darkLink, WHITE, HOVER)),
  };
}

/** What takes the place of the variables of grantor.css. @param color `#rrggbb` */
export function accentStylesheet(color: string): string {
  const { accent, onAccent, strong, link, darkLink, darkStrong } = accentOf(color);
  return [
    `:root{--accent:${accent};--on-accent:${onAccent};--accent-strong:${strong};--link:${link}}`,
    `@media (prefers-color-scheme:dark){:root{--link:${darkLink};--accent-strong:${darkStrong}}}`,
    "",
  ].join("\n");
}

/** The ratio of two colours, from 1 to 21. @see WCAG 2.2 "contrast ratio" */
export function contrastOf(one: string, other: string): number {
  return contrast(parse(one), parse(other));
}

function untilReadable(color: Rgb, towards: Rgb, on: Rgb): Rgb {
  for (let share = 0; share < 1; share += 0.02) {
    const mixed = mix(color, towards, share);
    if (contrast(mixed, on) >= READABLE) return mixed;
  }
  return towards;
}

function contrast(one: Rgb, other: Rgb): number {
  const [light, dark] = [luminance(one), luminance(other)].toSorted((a, b) => b - a) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

function luminance(color: Rgb): number {
  const [red, green, blue] = color.map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

const mix = (color: Rgb, other: Rgb, share: number): Rgb =>
  color.map((value, index) => Math.round(value + ((other[index] as number) - value) * share)) as unknown as Rgb;

const parse = (color: string): Rgb => [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16)) as unknown as Rgb;

const format = (color: Rgb): string => `#${color.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
