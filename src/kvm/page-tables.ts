/**
 * The tables that KVM makes for the processor: EPT, nested page tables, or the shadow of the guest's own. Here are their
 * pages and entries, and what updates of memory slots do to all of them; `mmu.ts` fills them fault by fault. Kernel
 * counterpart: arch/x86/kvm/mmu.c of Linux 4.2.
 */
import { PAGE } from "../x86/mmu.js";
import { highOf, lowOf } from "../x86/page-number.js";
import { ENTRIES, entryIndex, entryPfn } from "../x86/physical-memory.js";
import type { VmOptions } from "./kvm.js";
import { type GfnRange, KVM_MEM_LOG_DIRTY_PAGES, KvmMemslots, type Memslot } from "./memslots.js";
import { KVM } from "./primitives.js";
import { type Spte, SpteFormat, type SpteLayout, spteLayout3_9, spteValue } from "./spte.js";
import type { Vcpu } from "./vcpu.js";

/** First host frame of KVM's own page tables: 16 Mbyte. */
const FIRST_TABLE_PFN = 0x1000;

/** Low bits of the EPT pointer: structures in write-back memory, the page-walk length less 1, accessed and dirty flags. */
const EPTP_WRITE_BACK = 6;
const EPTP_LENGTH_SHIFT = 3;
const EPTP_ACCESSED_DIRTY = 1 << 6;

/** By level of a table, the guest pages that one of its entries spans. */
export const PAGES_OF_ENTRY = [0, 1, 2 ** 9, 2 ** 18, 2 ** 27, 2 ** 36];

/** Kernel address of physical address 0. */
const DIRECT_MAP = 0xffff_8800_0000_0000n;

export abstract class KvmPageTables extends KvmMemslots {
  /** Levels of the tables. */
  readonly levels: number;
  /** Whether the processor keeps accessed and dirty flags in KVM's tables. */
  readonly hasAccessedDirty: boolean;
  /** Host page frame number of the root table under TDP. */
  root: number;
  readonly spteFormat: SpteFormat;
  private readonly freeTables: number[] = [];
  private nextTablePfn = FIRST_TABLE_PFN;
  /** By level, the table that was found last and where it begins in memory: two walks differ in the last table, if at all. */
  private readonly walkedTables: Float64Array = new Float64Array(PAGES_OF_ENTRY.length).fill(-1);
  private readonly walkedFrames: Int32Array = new Int32Array(PAGES_OF_ENTRY.length);
  /** How often all tables were dropped. */
  mmuValidGen = 0;
  /** Where the last walk of KVM's tables ended: table, index in it, level, and what the entry holds, as signed integers. */
  spteTable = 0;
  spteIndex = 0;
  spteLevel = 0;
  spteLow = 0;
  spteHigh = 0;

  constructor(options: VmOptions) {
    super(options);
    this.levels = this.tableLevels;
    this.hasAccessedDirty = options.paging !== "ept" || options.geometry.eptAccessedDirty;
    this.spteFormat = this.createSpteFormat();
    this.root = this.allocateTable();
    if (this.tdpEnabled) this.loadRoot();
  }

  /** Host page frame number of the table that the current vCPU's processor starts with. */
  get rootTable(): number {
    return this.root;
  }

  /** Levels of the tables that this kernel makes for the processor. */
  get tableLevels(): number {
    return 4;
  }

  createSpteFormat(): SpteFormat {
    return new SpteFormat(this.spteLayout(), this.options.geometry, this.hasAccessedDirty);
  }

  spteLayout(): SpteLayout {
    return spteLayout3_9(this.options.paging, this.options.geometry);
  }

  override kvmArchFlushShadowMemslot(_slot: Memslot): void {
    this.kvmMmuInvalidateZapAllPages();
  }

  /** There is no generation that could wrap around. */
  override kvmMmuInvalidateMmioSptes(): void {}

  /** Drops all tables; each vCPU enters with a new root. */
  kvmMmuInvalidateZapAllPages(): void {
    this.counts[KVM.zapAllPages]++;
    this.traceZapAll();
    this.mmuValidGen++;
    this.kvmFlushRemoteTlbs();
    this.freeTree(this.root, this.levels);
    this.root = this.allocateTable();
    if (this.tdpEnabled) this.loadRoot();
  }

  /**
   * MMIO SPTEs do not tell when they were made: where memory comes, they all go with the rest of the tables. A slot that
   * comes at 0 is taken for one that was there.
   */
  override kvmArchCommitMemoryRegion(old: Memslot | undefined, slot: Memslot): void {
    if ((old?.baseGfn ?? 0) !== slot.baseGfn) this.kvmMmuInvalidateZapAllPages();
    this.kvmMmuSlotApplyFlags(old, slot);
  }

  /** Begins or ends the log of a slot's writes. */
  kvmMmuSlotApplyFlags(old: Memslot | undefined, slot: Memslot): void {
    const wasLogged = old !== undefined && (old.flags & KVM_MEM_LOG_DIRTY_PAGES) !== 0;
    const isLogged = slot.dirtyBitmap !== null;
    if (wasLogged && !isLogged) this.logEnds(slot);
    if (old !== undefined && isLogged && !wasLogged) this.logBegins(slot);
  }

  logBegins(slot: Memslot): void {
    this.kvmMmuSlotRemoveWriteAccess(slot);
    this.kvmFlushRemoteTlbs();
  }

  /** Takes write access from the leaf that was read last; a large one goes, for its pages are to be told apart. */
  protectLeaf(table: number, index: number, level: number, forGood: boolean): void {
    const { spteFormat, spteLow, spteHigh } = this;
    const { nonPresent } = spteFormat;
    this.writeSpte(
      table,
      index,
      level > 1 ? nonPresent : spteFormat.writeProtected(spteLow, spteHigh, forGood),
    );
  }

  /** Whether a table maps guest-physical pages in their order, and not what a table of the guest says. */
  isDirect(_table: number): boolean {
    return true;
  }

  /** A leaf is about to be installed. There is no event for it. */
  traceSpteRequested(_gfn: number, _pfn: number, _level: number): void {}

  /** Small pages stay small. */
  logEnds(_slot: Memslot): void {}

  /** Makes every write to the slot fault once from now on. Returns whether there was anything to be taken. */
  kvmMmuSlotRemoveWriteAccess(slot: Memslot): boolean {
    let taken = false;
    this.forEachLeaf(slot, (table, index, level) => {
      if (!this.spteFormat.isWritable(this.spteLow)) return;
      this.protectLeaf(table, index, level, false);
      taken = true;
    });
    return taken;
  }

  override kvmMmuWriteProtect(_slot: Memslot, gfn: number): void {
    this.walkShadowPage(gfn);
    const { spteLow, spteHigh, spteTable, spteIndex, spteLevel, spteFormat } = this;
    if (!spteFormat.isPresent(spteLow, spteHigh) || !spteFormat.isWritable(spteLow)) return;
    this.protectLeaf(spteTable, spteIndex, spteLevel, false);
  }

  /**
   * Calls with each leaf that maps one of these pages, which are in one slot: table and index, level, guest page frame number
   * of its first page; its words are in `spteLow`, `spteHigh`.
   */
  forEachLeaf(
    { baseGfn, npages }: GfnRange,
    visit: (table: number, index: number, level: number, gfn: number) => void,
  ): void {
    const end = Math.min(baseGfn + npages, ENTRIES ** this.levels);
    for (let gfn = baseGfn; gfn < end; ) {
      this.walkShadowPage(gfn);
      const { spteTable, spteIndex, spteLevel } = this;
      const span = PAGES_OF_ENTRY[spteLevel];
      const first = gfn - (gfn % span);
      if (this.spteFormat.isPresent(this.spteLow, this.spteHigh))
        visit(spteTable, spteIndex, spteLevel, first);
      gfn = first + span;
    }
  }

  override kvmFlushRemoteTlbs(): void {
    this.counts[KVM.remoteTlbFlush]++;
    for (const vcpu of this.vcpus) this.flushTlb(vcpu);
  }

  /** Drops what the processor of a vCPU has cached of KVM's tables: INVVPID and INVEPT of the single context. */
  flushTlb({ cpu }: Vcpu): void {
    this.counts[KVM.tlbFlush]++;
    cpu.caches.invvpidSingle(0);
    if (this.tdpEnabled) cpu.caches.inveptSingle(this.root);
  }

  /** Makes the root the one that each vCPU's processor walks. */
  private loadRoot(): void {
    const flags = this.hasAccessedDirty ? EPTP_ACCESSED_DIRTY : 0;
    const eptp = this.root * PAGE + EPTP_WRITE_BACK + ((this.levels - 1) << EPTP_LENGTH_SHIFT) + flags;
    for (const { cpu } of this.vcpus) {
      if (this.isSvm) cpu.enableNpt(this.root * PAGE);
      else cpu.enableEpt(eptp);
    }
  }

  allocateTable(): number {
    const reused = this.freeTables.pop();
    const table = reused ?? this.nextTablePfn++;
    const { nonPresent } = this.spteFormat;
    if (reused !== undefined || nonPresent.high !== 0) {
      this.memory.fill(table, nonPresent.low, nonPresent.high);
    }
    return table;
  }

  freeTable(table: number): void {
    this.freeTables.push(table);
  }

  /** A leaf takes the place of an entry that referenced a table. */
  dropTable(table: number, level: number): void {
    this.freeTree(table, level);
  }

  /** Frees a table and those below it. */
  freeTree(table: number, level: number): void {
    this.freeTable(table);
    if (level === 1) return;
    for (let index = 0; index < ENTRIES; index++) {
      this.readSpte(table, index, level);
      const { spteLow, spteHigh, spteFormat } = this;
      if (spteFormat.isPresent(spteLow, spteHigh) && !spteFormat.isLeaf(level, spteLow)) {
        this.freeTree(entryPfn(spteLow, spteHigh), level - 1);
      }
    }
  }

  writeSpte(table: number, index: number, { low, high }: Spte): void {
    this.memory.write(table, index, low, high);
    this.counts[KVM.spteInstall]++;
  }

  /** Empties an entry that was present, and makes the processors forget it. */
  dropSpte(table: number, index: number): void {
    this.writeSpte(table, index, this.spteFormat.nonPresent);
    this.kvmFlushRemoteTlbs();
  }

  /** Makes the entry that was read last reference a table; what is present there goes first. */
  linkTable(next: number): void {
    const { spteTable, spteIndex, spteFormat } = this;
    if (spteFormat.isPresent(this.spteLow, this.spteHigh)) this.dropSpte(spteTable, spteIndex);
    this.writeSpte(spteTable, spteIndex, spteFormat.table(next));
  }

  readSpte(table: number, index: number, level: number): void {
    this.spteTable = table;
    this.spteIndex = index;
    this.spteLevel = level;
    const { words } = this.memory;
    const word = this.frameOf(table, level) + 2 * index;
    this.spteLow = words[word] | 0;
    this.spteHigh = words[word + 1] | 0;
  }

  /** Where a table begins in memory. One that nothing was written to has no place yet. */
  frameOf(table: number, level: number): number {
    const { walkedTables, walkedFrames } = this;
    if (walkedTables[level] === table) return walkedFrames[level];
    const frame = this.memory.frame(lowOf(table), highOf(table));
    walkedTables[level] = frame === 0 ? -1 : table;
    walkedFrames[level] = frame;
    return frame;
  }

  /** Reads the entry that a walk of KVM's tables for a page ends at. */
  walkShadowPage(page: number): void {
    const { spteFormat } = this;
    const { words } = this.memory;
    let table = this.rootTable;
    let { levels: level } = this;
    for (;;) {
      const index = entryIndex(page, level);
      const word = this.frameOf(table, level) + 2 * index;
      const low = words[word] | 0;
      const high = words[word + 1] | 0;
      if (!spteFormat.isPresent(low, high) || spteFormat.isLeaf(level, low)) {
        this.spteTable = table;
        this.spteIndex = index;
        this.spteLevel = level;
        this.spteLow = low;
        this.spteHigh = high;
        return;
      }
      table = entryPfn(low, high);
      level--;
    }
  }

  /** Where the kernel sees an entry: in its direct map of memory. */
  spteAddress(table: number, index: number): bigint {
    return DIRECT_MAP + BigInt(table * PAGE + 8 * index);
  }

  traceZapAll(): void {
    if (this.trace === null) return;
    this.record({
      event: "kvm_mmu_invalidate_zap_all_pages",
      mmuValidGen: this.mmuValidGen,
      mmuUsedPages: this.usedTables,
    });
  }

  get usedTables(): number {
    return this.nextTablePfn - FIRST_TABLE_PFN - this.freeTables.length;
  }

  /** The entry that a walk of KVM's tables for a page ends at, 64 bits. */
  sptep(page: number): bigint {
    this.walkShadowPage(page);
    return spteValue(this.spteLow, this.spteHigh);
  }

  /** The entry as it stands in a table. */
  spteAt(table: number, index: number): bigint {
    return spteValue(this.memory.low(table, index), this.memory.high(table, index));
  }
}
