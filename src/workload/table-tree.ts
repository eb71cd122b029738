/**
 * A tree of paging structures that grows as entries are needed. Guest paging and EPT are both such trees; whose it is
 * decides where its tables lie and how an entry gets there.
 */

export interface TableTreeOptions {
  /** Levels of tables; the root's is the highest, and an entry at level 1 maps a page of 4 Kbyte. */
  readonly levels: number;
  /** Bits of a page number that choose an entry of a table: 9, or 10 in 32-bit paging. */
  readonly indexBits: number;
  /** Gives the page of a new table. */
  readonly allocate: () => number;
  /** Flags, bits 11:0, of an entry at a level that references a table. */
  readonly tableFlags: (level: number) => number;
  /** Writes the entry `index` of a table. */
  readonly write: (table: number, index: number, target: number, flags: number) => void;
}

export class TableTree {
  /** Page of the root table. */
  readonly root: number;
  /** Tables by the place of the entry that references them: the number of its table and, below, its index. */
  private readonly children = new Map<number, number>();

  constructor(private readonly options: TableTreeOptions) {
    this.root = options.allocate();
  }

  /** Maps a page (4-Kbyte page number) by an entry at `level`, which gets these flags as they are. */
  map(page: number, level: number, target: number, flags: number): void {
    const { levels, indexBits, allocate, tableFlags, write } = this.options;
    let table = this.root;
    for (let above = levels; above > level; above--) {
      const index = this.index(page, above);
      const place = table * 2 ** indexBits + index;
      let child = this.children.get(place);
      if (child === undefined) {
        child = allocate();
        this.children.set(place, child);
        write(table, index, child, tableFlags(above));
      }
      table = child;
    }
    write(table, this.index(page, level), target, flags);
  }

  private index(page: number, level: number): number {
    const { indexBits } = this.options;
    return Math.floor(page / 2 ** (indexBits * (level - 1))) % 2 ** indexBits;
  }
}
