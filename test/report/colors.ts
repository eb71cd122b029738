/** How colours look without colour, and to eyes that lack a kind of cone. */

type Triple = readonly [number, number, number];

/**
 * What becomes of linear red, green and blue for those without L cones and without M cones: Machado, Oliveira and Fernandes, "A
 * Physiologically-based Model for Simulation of Color Vision Deficiency", IEEE TVCG 15 (6), 2009, at severity 1.
 */
const EYES = {
  protanopia: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deuteranopia: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
} as const;

export const KINDS_OF_EYES = Object.keys(EYES) as (keyof typeof EYES)[];

/** CIE L*, 0 to 100, of a colour: what a grey print keeps of it. */
export function lightness(color: string): number {
  return labOf(linear(color))[0];
}

/** CIE 1976 distance of two colours as such eyes see them; 2.3 is just noticeable side by side. */
export function distance(one: string, other: string, eyes: keyof typeof EYES): number {
  const [a, b] = [one, other].map((color) => labOf(seen(linear(color), eyes)));
  return Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
}

/** Of IEC 61966-2-1, 0 to 1. */
function linear(color: string): Triple {
  const [r, g, b] = channelsOf(color)
    .map((value) => value / 255)
    .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
  return [r, g, b];
}

/** Of "#rrggbb", or "rgba(r, g, b, a)" over white; 0 to 255. */
function channelsOf(color: string): number[] {
  if (color.startsWith("#")) return [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16));
  const [r, g, b, alpha] = [...color.matchAll(/[\d.]+/g)].map(Number);
  return [r, g, b].map((value) => 255 + alpha * (value - 255));
}

function seen(color: Triple, eyes: keyof typeof EYES): Triple {
  const [r, g, b] = EYES[eyes]
    .map((row) => row.reduce((sum, factor, index) => sum + factor * color[index], 0))
    .map((value) => Math.min(Math.max(value, 0), 1));
  return [r, g, b];
}

/** CIE L*a*b* under D65. */
function labOf([r, g, b]: Triple): Triple {
  const root = (t: number) => (t > 216 / 24389 ? Math.cbrt(t) : ((24389 / 27) * t + 16) / 116);
  const x = root((0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505);
  const y = root(0.2126 * r + 0.7152 * g + 0.0722 * b);
  const z = root((0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089);
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}
