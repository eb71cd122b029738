/**
 * Phases: uniform draws from one working set at a time. The working sets lie side by side in the footprint; where they do
 * not fill it, the last is shorter. A uniform pattern is the phase that does not end.
 */
import type { Random } from "../random.js";

export class Phases {
  private readonly sets: number;
  private set: number;
  /** First place of the current working set, and how many it has. */
  private first = 0;
  private size = 0;
  /** Draws that the phase has left. */
  private left = 0;

  /**
   * @param workingSet places of a working set, from 1
   * @param phase draws from one working set, from 1, before another is drawn
   */
  constructor(
    private readonly places: number,
    private readonly workingSet: number,
    private readonly phase: number,
    private readonly random: Random,
  ) {
    this.sets = Math.ceil(places / workingSet);
    this.set = random.below(this.sets);
    this.enter();
  }

  next(): number {
    if (this.left === 0) this.move();
    this.left--;
    return this.first + this.random.below(this.size);
  }

  /** To any of the other working sets, all alike. */
  private move(): void {
    this.set = (this.set + 1 + this.random.below(this.sets - 1)) % this.sets;
    this.enter();
  }

  private enter(): void {
    this.first = this.set * this.workingSet;
    this.size = Math.min(this.workingSet, this.places - this.first);
    this.left = this.phase;
  }
}
