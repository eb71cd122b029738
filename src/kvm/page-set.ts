/**
 * A set of page numbers from 0 on, made for members that come and go one by one: a bit for each page, in pieces that are
 * made when they are needed. (A `Set` is laid out anew whenever it has shrunk.)
 */

/** Binary logarithm of the pages of a piece: 128 Mbyte of memory. */
const PIECE_BITS = 15;
const LAST_IN_PIECE = 2 ** PIECE_BITS - 1;
/** Binary logarithm of the bits of a word. */
const WORD_BITS = 5;
const NO_WORDS: Int32Array = new Int32Array(0);

export class PageSet {
  /** How many pages there are. */
  size = 0;
  private readonly pieces = new Map<number, Int32Array>();
  /** The piece that was asked for last: its number, and its words. */
  private last = -1;
  private words = NO_WORDS;

  has(page: number): boolean {
    if (this.size === 0) return false;
    this.find(page);
    return ((this.words[(page & LAST_IN_PIECE) >> WORD_BITS] >>> page) & 1) !== 0;
  }

  add(page: number): void {
    if (this.has(page)) return;
    this.find(page);
    if (this.words.length === 0) {
      this.words = new Int32Array(2 ** (PIECE_BITS - WORD_BITS));
      this.pieces.set(this.last, this.words);
    }
    this.words[(page & LAST_IN_PIECE) >> WORD_BITS] |= 1 << page;
    this.size++;
  }

  delete(page: number): void {
    if (!this.has(page)) return;
    this.words[(page & LAST_IN_PIECE) >> WORD_BITS] &= ~(1 << page);
    this.size--;
  }

  /** Has `words` be those of a page's piece; none where nothing was ever in it. */
  private find(page: number): void {
    const piece = Math.floor(page / 2 ** PIECE_BITS);
    if (piece === this.last) return;
    this.last = piece;
    this.words = this.pieces.get(piece) ?? NO_WORDS;
  }
}
