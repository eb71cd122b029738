/** Where the texts of a drawn figure are, and which of them a reader cannot read. */
import type { Locator } from "playwright-core";

/** A text and its box, in CSS pixels from the figure's upper left corner. */
export interface Text {
  readonly text: string;
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** What is used of the browser's elements, whose names these sources do not know. */
interface Drawn {
  readonly textContent: string;
  querySelector(selector: string): Drawn;
  querySelectorAll(selector: string): Iterable<Drawn>;
  getBoundingClientRect(): Omit<Text, "text">;
}

/** The texts of the figure that plotly drew into this element. */
export function textsOf(figure: Locator): Promise<Text[]> {
  return figure.evaluate((drawn: Drawn) => {
    const corner = drawn.querySelector(".main-svg").getBoundingClientRect();
    return [...drawn.querySelectorAll(".main-svg text")].flatMap((element) => {
      const { left, top, right, bottom } = element.getBoundingClientRect();
      if (right === left) return [];
      const [x, y] = [corner.left, corner.top];
      return {
        text: element.textContent,
        left: left - x,
        top: top - y,
        right: right - x,
        bottom: bottom - y,
      };
    });
  });
}

/** Boxes of text are a little larger than its ink. */
const SLACK = 2;

/** A line for every text that lies beyond the figure's edge or on another text. The size is in CSS pixels. */
export function textProblems(
  texts: readonly Text[],
  { width, height }: { readonly width: number; readonly height: number },
): string[] {
  const outside = ({ left, top, right, bottom }: Text) =>
    left < 0 || top < 0 || right > width || bottom > height;
  return texts.flatMap((one, index) => [
    ...(outside(one) ? [`${one.text} beyond the edge`] : []),
    ...texts.slice(index + 1).flatMap((other) => (overlap(one, other) ? `${one.text} | ${other.text}` : [])),
  ]);
}

function overlap(one: Text, other: Text): boolean {
  return (
    one.left + SLACK < other.right &&
    other.left + SLACK < one.right &&
    one.top + SLACK < other.bottom &&
    other.top + SLACK < one.bottom
  );
}
