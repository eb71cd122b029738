/**
 * Rows of outcome tables about translation: guest paging, EPT, both at once, and EPT pointers. Each is a small memory, a
 * processor, and one access; the model runs it on empty caches and its outcome is compared with the table's.
 */
import * as z from "zod";
import { oneOf, record } from "../../cost/input.js";
import { FETCH, IMPLICIT, READ, SUPERVISOR, USER, WRITE } from "../../x86/access.js";
import { type CpuGeometry, DEFAULT_SWITCHES } from "../../x86/cpu.js";
import {
  EPT_EXECUTE,
  EPT_READ,
  EPT_VIOLATION_FINAL_GPA,
  EPT_VIOLATION_GLA_VALID,
  EPT_VIOLATION_SHADOW_STACK,
  EPT_WRITE,
  isValidEptp,
} from "../../x86/ept.js";
import { EPT_WALK_REF, GUEST_WALK_REF, Ledger, MEMORY_LEVELS, X86_PRIMITIVES } from "../../x86/ledger.js";
import {
  EPT_FETCH_USER,
  EPT_MISCONFIG,
  EPT_VIOLATION,
  GENERAL_PROTECTION,
  Mmu,
  NESTED_PAGE_FAULT,
  type Outcome,
  PAGE,
  PAGE_FAULT,
  TRANSLATED,
} from "../../x86/mmu.js";
import { PhysicalMemory } from "../../x86/physical-memory.js";
import {
  CR0_PE,
  CR0_PG,
  CR0_WP,
  CR4_LA57,
  CR4_PAE,
  CR4_PGE,
  CR4_PKE,
  CR4_PSE,
  CR4_SMAP,
  CR4_SMEP,
  EFER_LME,
  EFER_NXE,
  type PagingRegisters,
} from "../../x86/registers.js";

export const hex = z.string({ error: "lower-case hex without 0x" }).regex(/^[0-9a-f]{1,16}$/, {
  error: "lower-case hex without 0x, up to 16 digits",
});
const flag = z.literal([0, 1], { error: "0 or 1" });
export const whole = z.number({ error: "a whole number" }).int({ error: "a whole number" });
const width = whole.min(36, { error: "36 to 52" }).max(52, { error: "36 to 52" });

const result = z.union(
  [
    z.tuple([z.literal("ok"), hex]),
    z.tuple([z.literal("pf"), whole]),
    z.tuple([z.literal("gp")]),
    z.tuple([z.literal("v"), whole, hex]),
    z.tuple([z.literal("m"), hex]),
  ],
  { error: '["ok", pa], ["pf", code], ["gp"], ["v", qualification, gpa] or ["m", gpa]' },
);

/** What every row may carry that does not decide its outcome. */
const notes = {
  i: whole.optional(),
  o: z.string().optional(),
  why: z.unknown().optional(),
  dis: z.unknown().optional(),
  k: whole.optional(),
  t: z.string().optional(),
};

const outcome = {
  r: result,
  ad: z.array(hex).optional(),
  n: whole.optional(),
  amb: z.literal([1, 2], { error: "1 or 2" }).optional(),
  gpg: flag.optional(),
};

const memoryWords = {
  w: width,
  m: z.array(hex, { error: "a flat list of addresses and values" }),
};

const eptFields = {
  eptp: hex,
  xo: flag.default(0),
  hp: z.literal([1, 2, 3], { error: "1, 2 or 3" }).default(3),
  mbe: flag.default(0),
};

const guestFields = {
  mode: z.literal([2, 3, 4, 5], { error: "2, 3, 4 or 5" }),
  f: z.string({ error: "flags, separated by spaces" }),
  pkru: whole.default(0),
  cr3: hex,
  la: hex,
  u: flag.default(0),
  tw: flag.optional(),
  pde: z.tuple([hex, hex, hex]).optional(),
  pte: z.tuple([hex, hex]).optional(),
};

const access = { a: oneOf(["r", "w", "x", "xu"]) };

const guestRow = record({ ...notes, ...memoryWords, ...guestFields, ...access, ...outcome });
const nestedRow = record({
  ...notes,
  ...memoryWords,
  ...eptFields,
  ...guestFields,
  ...access,
  ...outcome,
  gpa: hex.optional(),
});
const eptRow = record({
  ...notes,
  ...memoryWords,
  ...eptFields,
  ...access,
  ...outcome,
  gpa: hex,
  pw: flag.default(0),
  lv: flag.default(1),
  sss: flag.default(0),
});
const eptpRow = record({ ...notes, w: width, ad: flag, p5: flag, eptp: hex, r: flag });

type GuestRow = z.output<typeof guestRow>;
type NestedRow = z.output<typeof nestedRow>;
type EptRow = z.output<typeof eptRow>;
type EptpRow = z.output<typeof eptpRow>;

/** What a row expects and what the model did, as text; equal where it passes. */
export interface Comparison {
  readonly expected: string;
  readonly got: string;
}

export const PAGING_SCHEMAS = { guest: guestRow, nested: nestedRow, ept: eptRow, eptp: eptpRow };

/** Exit qualification bits that tables compare; bit 6 is defined under mode-based execute control only. */
const QUALIFICATION = 0x61bf;
const QUALIFICATION_MODE_BASED = 0x61ff;

/**
 * Small caches, for a row makes one access; and none that one part of a walk could fill for another, because the tables
 * count all references.
 */
const FEW = { entries: 4, ways: 4 };
const SMALL_CACHE = { bytes: 1024, ways: 4, replacement: "lru" } as const;

export function processor(row: {
  w: number;
  xo?: number;
  hp?: number;
  f?: string;
  sss?: number;
}): CpuGeometry {
  const { w, xo = 0, hp = 3, f = "", sss = 0 } = row;
  return {
    physicalAddressBits: w,
    guest1GPages: f.split(" ").includes("g1"),
    executeOnlyEpt: xo === 1,
    ept2MPages: hp >= 2,
    ept1GPages: hp >= 3,
    ept5Levels: true,
    eptAccessedDirty: true,
    advancedExitInformation: false,
    supervisorShadowStack: sss === 1,
    itlb4K: FEW,
    itlb2M: FEW,
    dtlb4K: FEW,
    dtlb2M: FEW,
    dtlb1G: FEW,
    stlb: FEW,
    stlbHolds2M: true,
    stlb1G: FEW,
    pdeCache: null,
    pdpteCache: null,
    pml4eCache: null,
    pml5eCache: null,
    nestedTlb: null,
    tlbReplacement: "lru",
    l1d: SMALL_CACHE,
    l2: SMALL_CACHE,
    l3: SMALL_CACHE,
    l2Hash: "none",
    l3Hash: "none",
    l3Inclusive: false,
    switches: DEFAULT_SWITCHES,
  };
}

/** @throws Error for an EPT pointer or flags that the model cannot run */
export function compareGuest(row: GuestRow): Comparison {
  return compareAccess(row, new Machine(row));
}

export function compareNested(row: NestedRow): Comparison {
  const machine = new Machine(row);
  // What KVM alone decided names the page of a guest-physical address only.
  const byPage = row.o === "k" ? 1 : row.gpg;
  machine.mmu.enableEpt(Number(`0x${row.eptp}`), row.mbe === 1);
  return compareAccess({ ...row, gpg: byPage }, machine);
}

export function compareEpt(row: EptRow): Comparison {
  const machine = new Machine(row);
  const { mmu } = machine;
  mmu.enableEpt(Number(`0x${row.eptp}`), row.mbe === 1);
  const requests = {
    r: EPT_READ,
    w: EPT_WRITE,
    x: EPT_EXECUTE,
    xu: row.mbe === 1 ? EPT_FETCH_USER : EPT_EXECUTE,
  };
  const final = row.pw === 1 ? 0 : EPT_VIOLATION_FINAL_GPA;
  const purpose =
    (row.lv === 1 ? EPT_VIOLATION_GLA_VALID | final : 0) | (row.sss === 1 ? EPT_VIOLATION_SHADOW_STACK : 0);
  const request = row.pw === 1 && row.lv === 1 ? mmu.tableRequest : requests[row.a];
  const gpa = Number(`0x${row.gpa}`);
  const outcome = mmu.translateGuestPhysical(gpa, request, purpose);
  return compareOutcome(row, machine, outcome, mmu.hostPhysicalAddress);
}

export function compareEptp(row: EptpRow): Comparison {
  const cpu = { ...processor(row), eptAccessedDirty: row.ad === 1, ept5Levels: row.p5 === 1 };
  const verdict = (valid: boolean) => (valid ? "valid" : "not valid");
  return {
    expected: verdict(row.r === 1),
    got: verdict(isValidEptp(BigInt(`0x${row.eptp}`), cpu)),
  };
}

/** The model with a row's memory. */
class Machine {
  readonly memory = new PhysicalMemory();
  readonly ledger = new Ledger(X86_PRIMITIVES);
  readonly mmu: Mmu;

  constructor(row: { w: number; m: readonly string[]; xo?: number; hp?: number; f?: string; sss?: number }) {
    this.mmu = new Mmu(processor(row), this.memory, this.ledger);
    for (let i = 0; i < row.m.length; i += 2) {
      const address = Number(`0x${row.m[i]}`);
      const { low, high } = wordsOf(row.m[i + 1]);
      this.memory.write(Math.floor(address / PAGE), (address % PAGE) / 8, low, high);
    }
  }

  /** The 8-byte word at an address, as the tables write it. */
  word(address: string): string {
    const at = Number(`0x${address}`);
    const pfn = Math.floor(at / PAGE);
    const index = Math.floor((at % PAGE) / 8);
    const high = this.memory.high(pfn, index).toString(16);
    const low = this.memory.low(pfn, index).toString(16);
    return high === "0" ? low : high + low.padStart(8, "0");
  }

  /** Paging-structure entries read so far, guest's and EPT's. */
  references(): number {
    let sum = 0;
    for (let level = 0; level < MEMORY_LEVELS.length; level++) {
      sum += this.ledger.counts[GUEST_WALK_REF + level] + this.ledger.counts[EPT_WALK_REF + level];
    }
    return sum;
  }
}

function compareAccess(row: GuestRow, machine: Machine): Comparison {
  const { mmu } = machine;
  const flags = row.f.split(" ");
  const address = BigInt(`0x${row.la}`);
  const mode = flags.includes("imp") ? IMPLICIT : row.u === 1 || row.a === "xu" ? USER : SUPERVISOR;
  const accesses = { r: READ, w: WRITE, x: FETCH, xu: FETCH };
  let outcome = mmu.loadRegisters(registersOf(row, flags), Number(`0x${row.cr3}`));
  if (outcome === TRANSLATED) {
    if (row.tw === 1) mmu.translateAddress(address, SUPERVISOR + READ);
    outcome = mmu.translateAddress(address, mode + accesses[row.a]);
  }
  return compareOutcome(row, machine, outcome, mmu.pfn * PAGE + Number(address & 0xfffn));
}

function registersOf({ mode, pkru }: GuestRow, flags: readonly string[]): PagingRegisters {
  const when = (name: string, bit: number) => (flags.includes(name) ? bit : 0);
  const long = mode >= 4;
  return {
    cr0: CR0_PE | CR0_PG | when("wp", CR0_WP),
    cr4:
      (mode >= 3 ? CR4_PAE : 0) |
      (mode === 5 ? CR4_LA57 : 0) |
      when("smep", CR4_SMEP) |
      when("smap", CR4_SMAP) |
      when("pke", CR4_PKE) |
      when("pse", CR4_PSE) |
      when("pge", CR4_PGE),
    efer: (long ? EFER_LME : 0) | when("nxe", EFER_NXE),
    pkru,
    ac: flags.includes("ac"),
  };
}

type ComparedRow = Pick<GuestRow, "r" | "ad" | "n" | "amb" | "gpg" | "m" | "pde" | "pte" | "k" | "t"> & {
  readonly mbe?: number;
};

/** Compares the outcome, and beside it the changed entries and the number of references where the row gives them. */
function compareOutcome(row: ComparedRow, machine: Machine, outcome: Outcome, address: number): Comparison {
  const bits = row.mbe === 1 ? QUALIFICATION_MODE_BASED : QUALIFICATION;
  const page = (gpa: string) => (row.gpg === 1 ? `${gpa.slice(0, -3) || "0"}000` : gpa);
  const expected = [expectedText(row.r, bits, page)];
  const got = [outcomeText(machine.mmu, outcome, address, bits, page)];
  const compare = (what: string, wanted: string, found: string) => {
    expected.push(`${what} ${wanted}`);
    got.push(`${what} ${found}`);
  };
  if (row.n !== undefined) compare("references", String(row.n), String(machine.references()));
  // The tables of kvm-unit-tests (`k`, `t`) do not say what becomes of the upper entries.
  if (row.r[0] === "ok" && row.amb === undefined && row.k === undefined && row.t === undefined) {
    const changed = new Map<string, string>();
    const { m, ad = [] } = row;
    for (let i = 0; i < ad.length; i += 2) changed.set(ad[i], ad[i + 1]);
    for (let i = 0; i < m.length; i += 2) {
      const word = machine.word(m[i]);
      const wanted = changed.get(m[i]) ?? trimmed(m[i + 1]);
      if (word !== wanted) compare(`entry ${m[i]}`, wanted, word);
    }
  }
  if (row.pte !== undefined) compare("pte", row.pte[1], machine.word(row.pte[0]));
  if (row.pde !== undefined) {
    const [at, wanted, ignored] = row.pde;
    const masked = (value: string) => (BigInt(`0x${value}`) & ~BigInt(`0x${ignored}`)).toString(16);
    compare("pde", masked(wanted), masked(machine.word(at)));
  }
  return { expected: expected.join(", "), got: got.join(", ") };
}

function expectedText(r: GuestRow["r"], bits: number, page: (gpa: string) => string): string {
  switch (r[0]) {
    case "ok":
      return `ok ${r[1]}`;
    case "pf":
      return `pf ${r[1].toString(16)}`;
    case "gp":
      return "gp";
    case "v":
      return `violation ${(r[1] & bits).toString(16)} at ${page(r[2])}`;
    case "m":
      return `misconfig at ${page(r[1])}`;
  }
}

function outcomeText(
  mmu: Mmu,
  outcome: Outcome,
  address: number,
  bits: number,
  page: (gpa: string) => string,
): string {
  const gpa = page(mmu.guestPhysicalAddress.toString(16));
  switch (outcome) {
    case TRANSLATED:
      return `ok ${address.toString(16)}`;
    case PAGE_FAULT:
      return `pf ${mmu.errorCode.toString(16)}`;
    case GENERAL_PROTECTION:
      return "gp";
    case EPT_VIOLATION:
      return `violation ${(mmu.exitQualification & bits).toString(16)} at ${gpa}`;
    case EPT_MISCONFIG:
      return `misconfig at ${gpa}`;
    case NESTED_PAGE_FAULT:
      return `npf ${mmu.exitInfo1.toString(16)} at ${gpa}`;
  }
}

function wordsOf(value: string): { low: number; high: number } {
  return {
    low: Number.parseInt(value.slice(-8), 16),
    high: value.length > 8 ? Number.parseInt(value.slice(0, -8), 16) : 0,
  };
}

function trimmed(value: string): string {
  return value.replace(/^0+(?=.)/, "");
}
