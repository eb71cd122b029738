/**
 * The structure of a picture: its elements in their order with class, colours and text, without what depends on a machine's
 * fonts: coordinates, sizes, ids. Groups without a mark in them are left out; neighbours of one structure are one, with their
 * number.
 */

/** What of an element is part of the structure. */
const PROPERTIES = ["fill", "stroke", "stroke-dasharray"];

interface Element {
  readonly tag: string;
  readonly attributes: string;
  text: string;
  readonly children: Element[];
}

/** @param svg as `Renderer.svg()` returns it */
export function outlineOf(svg: string): string {
  const root: Element = { tag: "", attributes: "", text: "", children: [] };
  const open = [root];
  for (const [, closing, tag, attributes, selfClosing, text] of svg.matchAll(
    /<(\/?)(\w+)((?:\s+[\w:-]+="[^"]*")*)\s*(\/?)>([^<]*)/g,
  )) {
    if (closing === "/") open.pop();
    else {
      const element: Element = { tag, attributes, text: text.trim(), children: [] };
      open.at(-1)?.children.push(element);
      if (selfClosing === "") open.push(element);
    }
  }
  return `${root.children.flatMap((child) => linesOf(child)).join("\n")}\n`;
}

function linesOf(element: Element): string[] {
  const { tag, attributes, text, children } = element;
  if (["defs", "clipPath", "rect"].includes(tag)) return [];
  const blocks: { readonly lines: readonly string[]; count: number }[] = [];
  for (const lines of children.map(linesOf).filter(({ length }) => length > 0)) {
    const last = blocks.at(-1);
    if (last?.lines.join("\n") === lines.join("\n")) last.count++;
    else blocks.push({ lines, count: 1 });
  }
  if (tag === "g" && blocks.length === 0) return [];
  const inner = blocks.flatMap(({ lines: [first, ...rest], count }) => [
    `  ${first}${count > 1 ? ` x ${count}` : ""}`,
    ...rest.map((line) => `  ${line}`),
  ]);
  return [`${tag}${describe(attributes)}${text && ` "${text}"`}`, ...inner];
}

function describe(attributes: string): string {
  const all = new Map(
    [...attributes.matchAll(/([\w:-]+)="([^"]*)"/g)].map(([, name, value]) => [name, value]),
  );
  const styles = new Map(
    (all.get("style") ?? "").split(";").map((style) => {
      const [name, value = ""] = style.split(":").map((part) => part.trim());
      return [name, value];
    }),
  );
  const name = all.get("class") ?? "";
  const kept = PROPERTIES.flatMap((property) => {
    const value = styles.get(property) ?? all.get(property);
    return value === undefined || value.includes("url") ? [] : `${property} ${value}`;
  });
  return `${name && ` .${name.split(" ").join(".")}`}${kept.map((part) => `, ${part}`).join("")}`;
}
