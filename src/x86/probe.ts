/**
 * `probeTranslation()` answers what a walk would do and why, entry by entry, and changes nothing: no cache, no flag, no
 * count. It reads the paging structures afresh, so it is also what a cached translation can be held against.
 *
 * It is written for reading, from the same formats as the walk of `Mmu` and without its caches.
 */
import { type AccessKind, accessOf, FETCH, IMPLICIT, READ, USER, WRITE } from "./access.js";
import { EPT_EXECUTE, EPT_PAGE_SIZE, EPT_PERMISSIONS, EPT_READ, EPT_USER_EXECUTE, EPT_WRITE } from "./ept.js";
import {
  type GuestPaging,
  PDPTE_RESERVED_LOW,
  PTE_ACCESSED,
  PTE_DIRTY,
  PTE_PRESENT,
  PTE_USER,
  PTE_WRITABLE,
  pdpteReservedHigh,
  RIGHT_NOT_EXECUTABLE,
  RIGHT_USER,
  RIGHT_WRITABLE,
} from "./guest-paging.js";
import { linearPage, type Mmu, PAGE } from "./mmu.js";
import type { NestedPaging } from "./nested-paging.js";
import { nptPermissions } from "./npt.js";
import { highOf, lowOf } from "./page-number.js";
import { entryPfn } from "./physical-memory.js";

/** Names of the entries by level, 1 to 5. */
export const ENTRY_NAMES = ["", "PTE", "PDE", "PDPTE", "PML4E", "PML5E"] as const;
/** Names of the tables that hold them. */
const TABLE_NAMES = ["", "PT", "PD", "PDPT", "PML4", "PML5"] as const;

/** One entry that the walk reads. */
export interface ProbeStep {
  /** Nested page tables stand in the place of the EPT. */
  readonly structure: "guest" | "EPT";
  /** 1 = PTE to 5 = PML5E. */
  readonly level: number;
  /** What the walk wants to know: the guest table whose address is translated, such as "PML4", or "data". */
  readonly purpose: string;
  /** Guest-physical address in bytes of a guest's entry; of an EPT entry, the address that it translates. */
  readonly guestPhysicalAddress: number;
  /** Where the entry lies, host-physical, bytes. */
  readonly hostPhysicalAddress: number;
  readonly entry: bigint;
}

/** Why a translation ends as it does. */
export interface ProbeReason {
  /** The entry that decides, such as "EPT PDE", or what else does, such as "linear address". */
  readonly at: string;
  /** Its level, 1 to 5; 0 if no entry decides. */
  readonly level: number;
  /** The bits that decide, such as "1:0", or "". */
  readonly bits: string;
  /** In words: the condition or the permission. */
  readonly why: string;
}

export interface Probe {
  readonly outcome:
    | "translated"
    | "page-fault"
    | "ept-violation"
    | "ept-misconfig"
    | "nested-page-fault"
    | "general-protection";
  /** All entries read, in order. */
  readonly steps: readonly ProbeStep[];
  /** null where the address is translated. */
  readonly reason: ProbeReason | null;
  /** Host-physical address in bytes, of a translated address. */
  readonly hostPhysicalAddress: number | null;
  /** Guest-physical address in bytes, as far as the walk came to know one: of the data, or of what an exit reports. */
  readonly guestPhysicalAddress: number | null;
}

/**
 * What `mmu` would do with this access if it had nothing cached.
 *
 * @param address 64-bit linear address
 * @param kind READ, WRITE or FETCH, plus SUPERVISOR, USER or IMPLICIT
 */
export function probeTranslation(mmu: Mmu, address: bigint, kind: AccessKind): Probe {
  return new Walk(mmu, kind).run(address);
}

/** An end of the walk before its time. */
class Stop {
  constructor(
    readonly outcome: Probe["outcome"],
    readonly reason: ProbeReason,
    readonly guestPhysicalAddress: number | null,
  ) {}
}

interface GuestEntry {
  readonly level: number;
  readonly low: number;
  readonly high: number;
  readonly guestPhysicalAddress: number;
  /** Permissions that the EPT gives to the table. */
  readonly permissions: number;
}

class Walk {
  private readonly steps: ProbeStep[] = [];
  private readonly guest: GuestPaging;
  private readonly nested: Readonly<NestedPaging> | null;

  constructor(
    private readonly mmu: Mmu,
    private readonly kind: AccessKind,
  ) {
    this.guest = mmu.guest;
    this.nested = mmu.nested;
  }

  run(address: bigint): Probe {
    try {
      const page = linearPage(address, this.guest);
      if (page < 0) {
        const reason = { at: "linear address", level: 0, bits: "63:47", why: "is not canonical" };
        throw new Stop("general-protection", { ...reason, bits: this.canonicalBits() }, null);
      }
      return this.walk(page, Number(address & 0xfffn));
    } catch (stop) {
      if (!(stop instanceof Stop)) throw stop;
      const { outcome, reason, guestPhysicalAddress } = stop;
      return { outcome, steps: this.steps, reason, hostPhysicalAddress: null, guestPhysicalAddress };
    }
  }

  private walk(page: number, offset: number): Probe {
    const { guest, mmu } = this;
    const entries: GuestEntry[] = [];
    let gfn = page;
    if (guest.levels > 0) {
      gfn = this.root(page);
      for (let level = guest.levels; ; level--) {
        const entry = this.readGuest(gfn, level, page);
        entries.push(entry);
        if (guest.isLeaf(level, entry.low)) {
          const pages = 2 ** guest.shifts[level];
          gfn = guest.leafPfn(level, entry.low, entry.high) + (page % pages);
          break;
        }
        gfn = entryPfn(entry.low, entry.high);
      }
      this.checkRights(entries);
    }
    const flagsFirst = mmu.geometry.switches.guestFlags === "before-final-translation";
    if (flagsFirst) this.checkFlags(entries);
    const user = entries.length === 0 || entries.every(({ low }) => (low & PTE_USER) !== 0);
    const wanted = { [READ]: EPT_READ, [WRITE]: EPT_WRITE, [FETCH]: this.executeBit(user) }[
      accessOf(this.kind)
    ] as number;
    const { pfn } = this.translate(gfn, offset, wanted, "data");
    if (!flagsFirst) this.checkFlags(entries);
    return {
      outcome: "translated",
      steps: this.steps,
      reason: null,
      hostPhysicalAddress: pfn * PAGE + offset,
      guestPhysicalAddress: gfn * PAGE + offset,
    };
  }

  /** Guest page frame number of the first table. */
  private root(page: number): number {
    const { mmu, guest } = this;
    if (guest.mode !== "PAE")
      return Math.floor((guest.mode === "32-bit" ? mmu.cr3 % 2 ** 32 : mmu.cr3) / PAGE);
    if (this.nested?.isNpt === true) return this.readPdpte((page >>> 18) & 3);
    const pfn = mmu.pdptes[(page >>> 18) & 3];
    if (pfn < 0) {
      const reason = { at: "PDPTE register", level: 3, bits: "0", why: "P = 0: not present" };
      throw new Stop("page-fault", reason, null);
    }
    return pfn;
  }

  /** Guest page frame number of the page directory, from a PDPTE in memory. */
  private readPdpte(index: number): number {
    const { cr3, geometry } = this.mmu;
    const table = Math.floor((cr3 % 2 ** 32) / PAGE);
    const { low, high } = this.readPresent(table, ((cr3 % PAGE) & ~31) + 8 * index, 3);
    const bits = bitNames(low & PDPTE_RESERVED_LOW, high & pdpteReservedHigh(geometry));
    if (bits !== "") {
      throw new Stop("page-fault", { at: "guest PDPTE", level: 3, bits, why: "reserved bits are set" }, null);
    }
    return entryPfn(low, high);
  }

  /** Reads the entry at a byte offset of a table, which must be present. */
  private readPresent(table: number, at: number, level: number): GuestEntry {
    const { guest, mmu } = this;
    const { pfn, permissions } = this.translate(table, at, mmu.tableRequest, TABLE_NAMES[level]);
    const word = mmu.memory.frame(lowOf(pfn), highOf(pfn)) + at / 4;
    const low = mmu.memory.words[word];
    const high = guest.entryBytes === 8 ? mmu.memory.words[word + 1] : 0;
    const guestPhysicalAddress = table * PAGE + at;
    this.steps.push({
      structure: "guest",
      level,
      purpose: TABLE_NAMES[level],
      guestPhysicalAddress,
      hostPhysicalAddress: pfn * PAGE + at,
      entry: entryValue(low, high),
    });
    if ((low & PTE_PRESENT) === 0) {
      const reason = { at: `guest ${ENTRY_NAMES[level]}`, level, bits: "0", why: "P = 0: not present" };
      throw new Stop("page-fault", reason, null);
    }
    return { level, low, high, guestPhysicalAddress, permissions };
  }

  private readGuest(table: number, level: number, page: number): GuestEntry {
    const { guest } = this;
    const index = Math.floor(page / 2 ** guest.shifts[level]) % guest.entries;
    const entry = this.readPresent(table, index * guest.entryBytes, level);
    const { low, high } = entry;
    if (guest.isReserved(level, low, high, guest.isLeaf(level, low))) {
      const isLeaf = guest.isLeaf(level, low);
      const reservedLow = isLeaf ? guest.leafReservedLow[level] : guest.tableReservedLow[level];
      const bits = bitNames(low & reservedLow, high & guest.reservedHigh);
      const reason = { at: `guest ${ENTRY_NAMES[level]}`, level, bits, why: "reserved bits are set" };
      throw new Stop("page-fault", reason, null);
    }
    return entry;
  }

  /** The guest's access rights, gathered over its entries. */
  private checkRights(entries: readonly GuestEntry[]): void {
    const { guest, kind } = this;
    const rights =
      entries.reduce((all, { low }) => all & low, RIGHT_WRITABLE | RIGHT_USER) |
      (entries.some(({ high }) => high >>> 31 !== 0) ? RIGHT_NOT_EXECUTABLE : 0);
    const wrong = (rights ^ guest.rightsValue[kind]) & guest.rightsMask[kind];
    const what = accessName(kind);
    const deny = (level: number, bits: string, why: string) => {
      throw new Stop("page-fault", { at: `guest ${ENTRY_NAMES[level]}`, level, bits, why }, null);
    };
    const leaf = entries[entries.length - 1];
    const first = (denies: (entry: GuestEntry) => boolean) => (entries.find(denies) ?? leaf).level;
    if ((wrong & RIGHT_USER) !== 0) {
      if ((rights & RIGHT_USER) === 0) {
        deny(
          first(({ low }) => (low & PTE_USER) === 0),
          "2",
          `U/S = 0: no ${what}`,
        );
      }
      const prevention = accessOf(kind) === FETCH ? "SMEP" : "SMAP";
      deny(leaf.level, "2", `U/S = 1 at every level: ${prevention} denies the ${what}`);
    }
    if ((wrong & RIGHT_WRITABLE) !== 0) {
      deny(
        first(({ low }) => (low & PTE_WRITABLE) === 0),
        "1",
        `R/W = 0: no ${what}`,
      );
    }
    if ((wrong & RIGHT_NOT_EXECUTABLE) !== 0) {
      deny(
        first(({ high }) => high >>> 31 !== 0),
        "63",
        `XD = 1: no ${what}`,
      );
    }
    const key = (leaf.high >>> 27) & 15;
    if ((rights & RIGHT_USER) !== 0 && ((guest.deniedKeys[kind] >>> key) & 1) !== 0) {
      deny(leaf.level, "62:59", `PKRU denies the ${what} with protection key ${key}`);
    }
  }

  /** Flags that must be set need a table that the EPT lets be written. */
  private checkFlags(entries: readonly GuestEntry[]): void {
    const write = accessOf(this.kind) === WRITE;
    entries.forEach(({ level, low, guestPhysicalAddress, permissions }, index) => {
      const isLeaf = index === entries.length - 1;
      const dirty = isLeaf && write && (low & PTE_DIRTY) === 0;
      if ((low & PTE_ACCESSED) !== 0 && !dirty) return;
      if ((permissions & EPT_WRITE) !== 0) return;
      const flag = (low & PTE_ACCESSED) === 0 ? "accessed" : "dirty";
      const reason = {
        at: `guest ${ENTRY_NAMES[level]}`,
        level,
        bits: flag === "accessed" ? "5" : "6",
        why: `the ${flag} flag must be set, and the EPT does not let the table be written`,
      };
      throw new Stop("ept-violation", reason, guestPhysicalAddress);
    });
  }

  /** Host page frame number and permissions of a guest page. */
  private translate(
    gfn: number,
    offset: number,
    wanted: number,
    purpose: string,
  ): { pfn: number; permissions: number } {
    const { nested, mmu } = this;
    if (nested === null) return { pfn: gfn, permissions: EPT_PERMISSIONS };
    const { isNpt } = nested;
    const address = gfn * PAGE + offset;
    const violation = (reason: ProbeReason) =>
      new Stop(isNpt ? "nested-page-fault" : "ept-violation", reason, address);
    let permissions = nested.allPermissions;
    let table = nested.root;
    /** By permission bit, the first entry that takes it away. */
    const denials = new Map<number, { readonly level: number; readonly low: number }>();
    for (let level = nested.levels; ; level--) {
      const index = Math.floor(gfn / 2 ** nested.shifts[level]) % 512;
      const low = mmu.memory.low(table, index);
      const high = mmu.memory.high(table, index);
      this.steps.push({
        structure: "EPT",
        level,
        purpose,
        guestPhysicalAddress: address,
        hostPhysicalAddress: table * PAGE + index * 8,
        entry: entryValue(low, high),
      });
      const at = nestedName(nested, level);
      if (gfn >= 2 ** (32 + nested.gfnHighBits)) {
        throw violation({
          at: "guest-physical address",
          level: 0,
          bits: "51:48",
          why: "not 0 with 4 levels",
        });
      }
      if ((low & nested.present) === 0) {
        const bits = isNpt ? "0" : nested.modeBasedExecute ? "10, 2:0" : "2:0";
        throw violation({ at, level, bits, why: isNpt ? "P = 0: not present" : "not present" });
      }
      const isLeaf = nested.isLeaf(level, low);
      if (nested.isMisconfigured(level, low, high, isLeaf)) {
        const reason = { at, level, ...misconfiguration(nested, level, low, high) };
        throw new Stop(isNpt ? "nested-page-fault" : "ept-misconfig", reason, address);
      }
      const own = isNpt ? nptPermissions(low, high) : low;
      for (const bit of [EPT_READ, EPT_WRITE, EPT_EXECUTE, EPT_USER_EXECUTE]) {
        if ((own & bit) === 0 && !denials.has(bit)) denials.set(bit, { level, low });
      }
      permissions &= own;
      if (!isLeaf) {
        table = entryPfn(low, high);
        continue;
      }
      const missing = wanted & ~permissions;
      if (missing !== 0) {
        const bit = missing & -missing;
        const denial = denials.get(bit) ?? { level, low };
        const who = purpose === "data" ? "access" : "walk";
        throw violation({
          at: nestedName(nested, denial.level),
          level: denial.level,
          ...(isNpt ? nptDenial(bit, denial.low, who) : eptDenial(bit, who)),
        });
      }
      const pages = 2 ** nested.shifts[level];
      const first = entryPfn(low, high);
      // Bit 12 of AMD's large leaf is no part of the address.
      return { pfn: first - (first % pages) + (gfn % pages), permissions };
    }
  }

  private executeBit(user: boolean): number {
    return user && this.nested?.modeBasedExecute === true ? EPT_USER_EXECUTE : EPT_EXECUTE;
  }

  private canonicalBits(): string {
    const { mode } = this.guest;
    return mode === "5-level" ? "63:56" : mode === "4-level" ? "63:47" : "63:32";
  }
}

const PERMISSION_NAMES: ReadonlyMap<number, string> = new Map([
  [EPT_READ, "R"],
  [EPT_WRITE, "W"],
  [EPT_EXECUTE, "X"],
  [EPT_USER_EXECUTE, "XU"],
]);

/** Name of an entry of the EPT or of the nested page tables. */
function nestedName({ isNpt }: Readonly<NestedPaging>, level: number): string {
  return `${isNpt ? "NPT" : "EPT"} ${ENTRY_NAMES[level]}`;
}

/** Bits that deny a permission. */
interface Denial {
  readonly bits: string;
  readonly why: string;
}

function eptDenial(permission: number, who: string): Denial {
  const why = `${PERMISSION_NAMES.get(permission)} = 0, and the ${who} needs it`;
  return { bits: String(31 - Math.clz32(permission)), why };
}

function nptDenial(permission: number, low: number, who: string): Denial {
  if ((low & PTE_USER) === 0) return { bits: "2", why: `U/S = 0, and the ${who} is a user's to the host` };
  if (permission === EPT_WRITE) return { bits: "1", why: `R/W = 0, and the ${who} is a write` };
  return { bits: "63", why: `NX = 1, and the ${who} is a fetch` };
}

/** Which of the conditions of an EPT misconfiguration an entry meets, or which reserved bits of nested page tables it has set. */
function misconfiguration(nested: Readonly<NestedPaging>, level: number, low: number, high: number): Denial {
  if ((low & EPT_READ) === 0 && (low & EPT_WRITE) !== 0) {
    return { bits: "1:0", why: "writable but not readable" };
  }
  if (((nested.misconfiguredPermissions >>> (low & 7)) & 1) !== 0) {
    return { bits: "2:0", why: "execute-only, which this processor does not have" };
  }
  if ((high & nested.reservedHigh) !== 0) {
    return {
      bits: bitNames(0, high & nested.reservedHigh),
      why: "address beyond the physical address width",
    };
  }
  const isLeaf = nested.isLeaf(level, low);
  const reserved = low & (isLeaf ? nested.leafReservedLow[level] : nested.tableReservedLow[level]);
  if (reserved !== 0) {
    const why =
      !isLeaf && (reserved & EPT_PAGE_SIZE) !== 0 ? "no page may be mapped here" : "reserved bits are set";
    return { bits: bitNames(reserved, 0), why };
  }
  return { bits: "5:3", why: `memory type ${(low >>> 3) & 7} is reserved` };
}

function accessName(kind: AccessKind): string {
  const mode = (kind & USER) !== 0 ? "user" : (kind & IMPLICIT) !== 0 ? "implicit supervisor" : "supervisor";
  return `${mode} ${["read", "write", "fetch"][accessOf(kind)]}`;
}

function entryValue(low: number, high: number): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

/** The bits set in an entry, as ranges from the highest: "51:46, 7". */
function bitNames(low: number, high: number): string {
  const value = entryValue(low, high);
  const ranges: string[] = [];
  for (let bit = 63; bit >= 0; bit--) {
    if (((value >> BigInt(bit)) & 1n) === 0n) continue;
    const top = bit;
    while (bit > 0 && ((value >> BigInt(bit - 1)) & 1n) === 1n) bit--;
    ranges.push(top === bit ? String(bit) : `${top}:${bit}`);
  }
  return ranges.join(", ");
}
