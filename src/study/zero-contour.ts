/**
 * Where the values on a grid cross zero: along one row of it, as places, and over the plane, as marching squares has it (the
 * plane form of Lorensen and Cline, "Marching Cubes", 1987), with the mean of the corners to decide a saddle.
 *
 * A crossing lies between two neighbouring points of opposite sign. Nothing is found where a point is missing.
 */

/** Points of an axis, ascending. What lies between them is found by their logarithms, or by the points themselves. */
export interface GridAxis {
  readonly at: readonly number[];
  readonly log: boolean;
}

/** What is known at a point, and between two that are neighbours. */
export interface Field<Node> {
  readonly valueAt: (node: Node) => number;
  /** How far it is from one to zero on the way to the other, whose sign is another: 0 to 1. */
  readonly zeroBetween: (one: Node, other: Node) => number;
}

/** Numbers that a straight line goes between; half way between two zeros. */
export const NUMBERS: Field<number> = {
  valueAt: (value) => value,
  zeroBetween: (one, other) => (one === other ? 0.5 : one / (one - other)),
};

/** Of a crossing between points that are powers apart: one engine's power differs from another's in the last of 17. */
const DIGITS = 12;

/** A row for each point of y, in it what is at each point of x; null where nothing is known. */
export type Grid<Node> = readonly (readonly (Node | null)[])[];

/** In the axes' own coordinates. */
export type Place = readonly [x: number, y: number];
export type Segment = readonly [from: Place, to: Place];

/** A crossing along a row, and whether the values are less than zero before it. */
export interface Zero {
  readonly at: number;
  readonly rising: boolean;
}

/** The crossings along one row, in ascending order. */
export function zerosAlong<Node>(axis: GridAxis, row: Grid<Node>[number], field: Field<Node>): Zero[] {
  const [corners] = cornersOf([row], field);
  return corners.slice(1).flatMap((after, index) => {
    const before = corners[index];
    if (!differ(before, after)) return [];
    return { at: between(axis, index, zero(before, after, field)), rising: before.side === -1 };
  });
}

/** The crossings over the plane. Segments of neighbouring squares meet in the same place to the last bit. */
export function zeroContour<Node>(
  x: GridAxis,
  y: GridAxis,
  nodes: Grid<Node>,
  field: Field<Node>,
): Segment[] {
  const corners = cornersOf(nodes, field);
  const along = (row: number, column: number, one: Corner<Node>, other: Corner<Node>): Place[] =>
    differ(one, other) ? [[between(x, column, zero(one, other, field)), y.at[row]]] : [];
  const across = (row: number, column: number, one: Corner<Node>, other: Corner<Node>): Place[] =>
    differ(one, other) ? [[x.at[column], between(y, row, zero(one, other, field))]] : [];
  return corners.slice(1).flatMap((upper, row) =>
    upper.slice(1).flatMap((c, column): Segment[] => {
      const [a, b, d] = [corners[row][column], corners[row][column + 1], upper[column]];
      const square = [a, b, c, d];
      if (square.some(({ side }) => side === null)) return [];
      const crossed = [
        ...along(row, column, a, b),
        ...across(row, column + 1, b, c),
        ...along(row + 1, column, d, c),
        ...across(row, column, a, d),
      ];
      if (crossed.length < 4) return crossed.length === 2 ? [[crossed[0], crossed[1]]] : [];
      const [below, right, above, left] = crossed;
      const middle = square.reduce((sum, { value }) => sum + value, 0);
      // A saddle: the middle goes with one pair of opposite corners, the others are cut off.
      return middle < 0 === (a.side === -1)
        ? [
            [below, right],
            [above, left],
          ]
        : [
            [below, left],
            [right, above],
          ];
    }),
  );
}

/** The segments as lines that are as long as they get, so that dashes go on from one to the next. */
export function joined(segments: readonly Segment[]): Place[][] {
  const ending = new Map<string, Segment[]>();
  for (const segment of segments) {
    for (const end of segment) ending.set(String(end), [...(ending.get(String(end)) ?? []), segment]);
  }
  const left = new Set(segments);
  const extend = (line: Place[]) => {
    for (;;) {
      const end = String(line[line.length - 1]);
      const next = ending.get(end)?.find((segment) => left.has(segment));
      if (next === undefined) return;
      left.delete(next);
      line.push(String(next[0]) === end ? next[1] : next[0]);
    }
  };
  return segments.flatMap((segment) => {
    if (!left.delete(segment)) return [];
    const line = [...segment];
    extend(line);
    line.reverse();
    extend(line);
    return [line];
  });
}

type Side = -1 | 0 | 1 | null;

/** A point and the side of zero that it is on; null where nothing is known. */
interface Corner<Node> {
  readonly node: Node | null;
  readonly value: number;
  readonly side: Side;
}

function differ({ side: one }: Corner<unknown>, { side: other }: Corner<unknown>): boolean {
  return one !== null && other !== null && one !== other;
}

function zero<Node>(one: Corner<Node>, other: Corner<Node>, { zeroBetween }: Field<Node>): number {
  return zeroBetween(one.node as Node, other.node as Node);
}

function cornersOf<Node>(nodes: Grid<Node>, { valueAt }: Field<Node>): Corner<Node>[][] {
  const values = nodes.map((row) => row.map((node) => (node === null ? null : valueAt(node))));
  const sides = sidesOf(values);
  return nodes.map((row, j) => row.map((node, i) => ({ node, value: values[j][i] ?? 0, side: sides[j][i] })));
}

/**
 * On which side of zero each point is. Zeros that touch one side only belong to it, so that nothing is crossed where the values
 * come down to zero and no further.
 */
function sidesOf(values: Grid<number>): Side[][] {
  let sides = values.map((row) => row.map((value) => (value === null ? null : (Math.sign(value) as Side))));
  for (let changed = true; changed; ) {
    changed = false;
    const before = sides;
    sides = before.map((row, j) =>
      row.map((side, i) => {
        if (side !== 0) return side;
        const around = [row[i - 1], row[i + 1], before[j - 1]?.[i], before[j + 1]?.[i]].filter(Boolean);
        if (around.length === 0 || around.some((other) => other !== around[0])) return 0;
        changed = true;
        return around[0];
      }),
    );
  }
  return sides.map((row) => row.map((side) => (side === 0 ? 1 : side)));
}

/** A share of the way from a point to the next. */
function between({ at, log }: GridAxis, from: number, share: number): number {
  const [one, other] = [at[from], at[from + 1]];
  // Not by way of logarithms where the crossing is a point of the grid: it would miss it by a bit.
  if (share === 0 || share === 1) return at[from + share];
  if (!log) return one + share * (other - one);
  return Number((one * (other / one) ** share).toPrecision(DIGITS));
}
