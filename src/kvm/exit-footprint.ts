/**
 * What the handling of an exit leaves in the processor's caches: the cache lines and pages of host memory that KVM's code and
 * data lie on, and those of a round trip to userspace. They are driven through the caches that the guest uses, so that what
 * the guest finds there afterwards is a result. Nothing is counted: what the handling itself takes is in the cost of the exit.
 *
 * The lines are the same ones at each exit. They follow each other from page to page, so that all sets of L1 get as many, within
 * one: nobody knows a layout. Those of code go through the data caches too, as the guest's fetches do. All pages are
 * of 4 Kbyte: KVM is a module, which like the kernel's stacks lies in mappings of such pages, and so does userspace. What the
 * kernel maps by larger pages takes few entries, and is left out. A page that no TLB holds is walked to through the host's
 * own tables, with the paging-structure caches; KVM's guests walk by as many levels.
 */
import { HOST_TAG } from "../x86/address-spaces.js";
import { LINE, LineRun, type MemoryHierarchy } from "../x86/memory-hierarchy.js";
import { PAGE, type Mmu as Processor } from "../x86/mmu.js";
import { highOf, lowOf } from "../x86/page-number.js";
import { ENTRIES, ENTRY_BYTES, entryIndex } from "../x86/physical-memory.js";
import { PageRun, SIZE_4K } from "../x86/tlb.js";
import type { TranslationCaches } from "../x86/translation-caches.js";

/** Distinct cache lines, and the pages of 4 Kbyte that they lie on. */
export interface ExitFootprint {
  /** Of KVM's handling of one exit. */
  readonly lines: number;
  readonly pages: number;
  /** Of a round trip to userspace, beside them. */
  readonly userspaceLines: number;
  readonly userspacePages: number;
}

/** Pages of KVM's, or of userspace's, are at most those that one table maps. */
export const MAX_FOOTPRINT_PAGES = ENTRIES;
export const LINES_OF_PAGE = PAGE / LINE;

/** Whether each of so many pages can have one of so many lines, and as many as it needs. */
export function linesFit(lines: number, pages: number): boolean {
  return pages <= lines && lines <= LINES_OF_PAGE * pages && pages <= MAX_FOOTPRINT_PAGES;
}

/** Host page frame numbers, below 16 Mbyte: KVM's tables for guests and the guest's memory lie above. */
const ROOT_PFN = 0x80;
const KERNEL_PFN = 0x200;
const USERSPACE_PFN = 0x400;

/** Linear page numbers: where Linux puts modules, and where it puts what a program maps. */
const KERNEL_PAGE = 0xf_fffc_0000;
const USERSPACE_PAGE = 0x7_fff7_f000;

const LEVELS = 4;

/** A footprint as a processor has it. */
interface OnProcessor {
  readonly pages: PageRun;
  readonly lines: LineRun;
}

/** Lines on pages that follow each other in linear and in physical memory. */
class Pages {
  /** By page, its linear page number as two integers, and how many lines there are up to its last. */
  private readonly lows: Int32Array;
  private readonly highs: Int32Array;
  private readonly ends: Int32Array;
  /** By line, its page's frame number, and which of the page's it is. */
  private readonly pfns: readonly number[];
  private readonly linesOfPages: readonly number[];
  /** The processor whose caches are driven, and what it has of them. */
  private cpu: Processor | null = null;
  private on: OnProcessor | null = null;
  private readonly processors = new Map<Processor, OnProcessor>();
  private readonly inHost = () => this.touchAll();

  /** @param firstPage, firstPfn linear page number and host page frame number of the first */
  constructor(
    lines: number,
    pages: number,
    private readonly firstPage: number,
    private readonly firstPfn: number,
  ) {
    const all = Array.from({ length: pages }, (_, index) => index);
    const ends = all.map((index) => Math.floor(((index + 1) * lines) / pages));
    this.lows = Int32Array.from(all, (index) => lowOf(firstPage + index));
    this.highs = Int32Array.from(all, (index) => highOf(firstPage + index));
    this.ends = Int32Array.from(ends);
    this.pfns = all.flatMap((index) =>
      Array<number>(ends[index] - (ends[index - 1] ?? 0)).fill(firstPfn + index),
    );
    this.linesOfPages = this.pfns.map((_, line) => line % LINES_OF_PAGE);
  }

  touch(cpu: Processor): void {
    if (cpu !== this.cpu) {
      this.cpu = cpu;
      this.on = this.onProcessor(cpu);
    }
    cpu.caches.inHost(this.inHost);
  }

  private onProcessor(cpu: Processor): OnProcessor {
    const known = this.processors.get(cpu);
    if (known !== undefined) return known;
    const pages = Array.from(this.ends, (_, index) => this.firstPage + index);
    const on = {
      pages: new PageRun(cpu.caches.tlb, pages, HOST_TAG),
      lines: new LineRun(cpu.hierarchy, this.pfns, this.linesOfPages),
    };
    this.processors.set(cpu, on);
    return on;
  }

  /** Page by page, its translation and its lines. Only a translation that misses has to do with lines, so those that hit go first. */
  private touchAll(): void {
    const { cpu, on, lows, highs, ends } = this;
    if (cpu === null || on === null) return;
    const { caches, hierarchy } = cpu;
    let line = 0;
    for (let index = 0; ; index++) {
      index = on.pages.translate(index) | 0;
      if (index > 0) {
        on.lines.reference(line, ends[index - 1]);
        line = ends[index - 1];
      }
      if (index === ends.length) return;
      if (!caches.tlb.lookup(lows[index], highs[index])) this.fillTlb(caches, hierarchy, index);
      on.pages.note(index);
    }
  }

  private fillTlb(caches: TranslationCaches, hierarchy: MemoryHierarchy, index: number): void {
    const { tlb } = caches;
    const low = this.lows[index];
    const high = this.highs[index];
    this.walk(caches, hierarchy, this.firstPage + index);
    tlb.pfnLow = this.firstPfn + index;
    tlb.pfnHigh = 0;
    tlb.gfnLow = tlb.pfnLow;
    tlb.gfnHigh = 0;
    tlb.attributes = 0;
    tlb.insert(low, high, SIZE_4K, false);
  }

  private walk({ pagingStructures }: TranslationCaches, hierarchy: MemoryHierarchy, page: number): void {
    const low = lowOf(page);
    const high = highOf(page);
    for (let level = pagingStructures.lookup(low, high) || LEVELS; level > 0; level--) {
      hierarchy.reference(
        this.tablePfn(level),
        0,
        Math.floor((entryIndex(page, level) * ENTRY_BYTES) / LINE),
      );
      if (level === 1) return;
      pagingStructures.insert(level - 1, low, high, this.tablePfn(level - 1), 0, 0, 0);
    }
  }

  /** Kernel and userspace share the root; below, each has one table of a level, before its pages. */
  private tablePfn(level: number): number {
    return level === LEVELS ? ROOT_PFN : this.firstPfn - level;
  }
}

export class ExitHandlerFootprint {
  private readonly kernel: Pages;
  private readonly userspace: Pages;

  /** @throws RangeError for lines that do not fit their pages, or too many pages */
  constructor({ lines, pages, userspaceLines, userspacePages }: ExitFootprint) {
    if (!linesFit(lines, pages) || !linesFit(userspaceLines, userspacePages)) {
      throw new RangeError(
        `${lines} lines on ${pages} pages, ${userspaceLines} on ${userspacePages} of userspace: a page has 1 to ${LINES_OF_PAGE}, and there are at most ${MAX_FOOTPRINT_PAGES} of each`,
      );
    }
    this.kernel = new Pages(lines, pages, KERNEL_PAGE, KERNEL_PFN);
    this.userspace = new Pages(userspaceLines, userspacePages, USERSPACE_PAGE, USERSPACE_PFN);
  }

  /** KVM has handled an exit of the vCPU that runs on this processor. */
  touchKernel(cpu: Processor): void {
    this.kernel.touch(cpu);
  }

  /** Userspace has answered an exit. */
  touchUserspace(cpu: Processor): void {
    this.userspace.touch(cpu);
  }
}
