/**
 * A pointer chase: each place leads to the next, in one cycle of random order through all of them (Sattolo, Information
 * Processing Letters 22, 1986). The pointers are a table of their own, not in the guest's memory.
 */
import type { Random } from "../random.js";

export class PointerChase {
  /** Place that each place leads to; made when it is first needed. */
  private pointers = new Uint32Array(0);
  private place: number;

  /**
   * @param places up to 2^32
   * @param layout decides the cycle
   * @param random decides where it is entered
   */
  constructor(
    private readonly places: number,
    private readonly layout: Random,
    random: Random,
  ) {
    this.place = random.below(places);
  }

  next(): number {
    if (this.pointers.length === 0) this.pointers = cycle(this.places, this.layout);
    this.place = this.pointers[this.place];
    return this.place;
  }
}

function cycle(places: number, random: Random): Uint32Array<ArrayBuffer> {
  const pointers = new Uint32Array(places);
  for (let place = 0; place < places; place++) pointers[place] = place;
  // To exchange a place only with one before it, never with itself, is what makes it one cycle.
  for (let place = places - 1; place > 0; place--) {
    const other = random.below(place);
    const pointer = pointers[place];
    pointers[place] = pointers[other];
    pointers[other] = pointer;
  }
  return pointers;
}
