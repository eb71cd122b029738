/** One place after the other, and again from the first. */
export class Sequential {
  private place = 0;

  constructor(private readonly places: number) {}

  next(): number {
    const { place } = this;
    this.place = place + 1 === this.places ? 0 : place + 1;
    return place;
  }
}
