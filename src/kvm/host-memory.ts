/**
 * The memory of the process that runs the virtual machine: what userspace maps and gives to the guest as memory slots. Host
 * frames have no contents but for the guest's paging structures.
 */
import { PAGE } from "../x86/mmu.js";
import { KvmError } from "./errno.js";
import { PageSet } from "./page-set.js";

/**
 * How the host maps the memory: with 4-Kbyte pages, with transparent huge pages of 2 Mbyte inside a mapping of 4-Kbyte
 * pages, or with hugetlbfs pages of 2 Mbyte or 1 Gbyte.
 */
export const BACKINGS = ["4K", "thp", "2M", "1G"] as const;
export type Backing = (typeof BACKINGS)[number];

/** A mapping of the process. Kernel counterpart: `struct vm_area_struct`. */
export interface Vma {
  /** Host virtual address and size in bytes. */
  readonly start: number;
  readonly bytes: number;
  readonly backing: Backing;
  /** Host page frame number of the first page. */
  readonly basePfn: number;
}

const PAGES_2M = 2 ** 9;
const PAGES_1G = 2 ** 18;
const PAGES = { "4K": 1, thp: PAGES_2M, "2M": PAGES_2M, "1G": PAGES_1G } as const;

/** First frame: 4 Gbyte, above the hypervisor's own tables. First page of the process's mappings: 16 Tbyte. */
const FIRST_PFN = 0x10_0000;
const FIRST_PAGE = 2 ** 32;

export class HostMemory {
  private readonly vmas: Vma[] = [];
  /** Pages that are not resident, by their distance from `FIRST_PAGE`. */
  private readonly discarded = new PageSet();
  /** The one found last, which is mostly the next one, too. */
  private last: Vma | undefined;
  private nextPfn = FIRST_PFN;
  private nextPage = FIRST_PAGE;

  /** @param endPfn host memory ends before this frame */
  constructor(private readonly endPfn: number) {}

  /**
   * Maps memory and returns its host virtual address, which is congruent to `gpa` modulo 1 Gbyte, as userspace that wants
   * large pages for the guest sees to it. Sizes and addresses in bytes.
   *
   * @throws KvmError ENOMEM beyond the processor's physical address width
   */
  mmap(bytes: number, backing: Backing, gpa: number): number {
    const pages = Math.ceil(bytes / PAGE);
    const gfn = Math.floor(gpa / PAGE);
    const pfn = congruent(this.nextPfn, gfn, backing === "1G" ? PAGES_1G : PAGES_2M);
    if (pfn + pages > this.endPfn) {
      throw new KvmError("ENOMEM", "the memory does not fit below the processor's physical address width");
    }
    const page = congruent(this.nextPage, gfn, PAGES_1G);
    this.nextPfn = pfn + pages;
    this.nextPage = page + pages;
    this.vmas.push({ start: page * PAGE, bytes: pages * PAGE, backing, basePfn: pfn });
    return page * PAGE;
  }

  /** The mapping that holds an address, if any. */
  find(hva: number): Vma | undefined {
    const { last } = this;
    return last !== undefined && holds(last, hva) ? last : this.search(hva);
  }

  private search(hva: number): Vma | undefined {
    this.last = this.vmas.find((vma) => holds(vma, hva));
    return this.last;
  }

  /**
   * madvise(MADV_DONTNEED) for the pages from one address to before another (bytes): they are not resident until the next
   * access.
   */
  discard(start: number, end: number): void {
    for (let page = pageOf(start); page < pageOf(end); page++) this.discarded.add(page);
  }

  isResident(hva: number): boolean {
    return !this.discarded.has(pageOf(hva));
  }

  /** An access by the process or for it makes the page resident, and with it all of a huge page. */
  faultIn(hva: number): void {
    if (this.isResident(hva)) return;
    const page = pageOf(hva);
    const pages = PAGES[this.find(hva)?.backing ?? "4K"];
    const first = page - (page % pages);
    for (let one = first; one < first + pages; one++) this.discarded.delete(one);
  }
}

function holds({ start, bytes }: Vma, hva: number): boolean {
  return hva >= start && hva < start + bytes;
}

function pageOf(hva: number): number {
  return hva / PAGE - FIRST_PAGE;
}

/** The first number from `from` on that is congruent to another. */
function congruent(from: number, other: number, modulus: number): number {
  return Math.floor(from + ((((other - from) % modulus) + modulus) % modulus));
}
