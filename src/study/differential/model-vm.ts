/** The model as a virtual machine that is ready for a scenario: with slot 0, and the guest's page tables in it. */
import { loadCpu } from "../../cost/cpu-profile.js";
import { createVm, type KernelChange, type KernelVersion } from "../../kvm/eras.js";
import type { Paging } from "../../kvm/spte.js";
import type { Svm } from "../../kvm/svm.js";
import type { CpuGeometry } from "../../x86/cpu.js";
import { PAGE } from "../../x86/mmu.js";
import { ENTRIES, ENTRY_BYTES } from "../../x86/physical-memory.js";
import { CR3, TABLES, TABLES_BYTES } from "./guest-memory.js";
import { RAM_BYTES } from "./scenario.js";

/** Which model. */
export interface ModelSetting {
  readonly kernel: KernelVersion;
  readonly paging: Paging;
  readonly mmioCaching: boolean;
  /** Changes to the kernel, as patches have them. */
  readonly changes?: readonly KernelChange[];
}

/** A processor with this paging. What happens is the same on others. */
const CPUS = {
  ept: "skylake-sp-platinum-8160",
  npt: "zen-2-epyc-7742",
  shadow: "skylake-sp-platinum-8160",
} as const satisfies Readonly<Record<Paging, string>>;

const geometries = new Map<string, CpuGeometry>();

/** With small caches, which decide nothing here but how long it takes to make a processor. */
function geometryOf(cpu: string): CpuGeometry {
  const cache = { bytes: 4096, ways: 1, replacement: "lru" } as const;
  const caches = { stlb: { entries: 64, ways: 4 }, l1d: cache, l2: cache, l3: cache };
  const geometry = geometries.get(cpu) ?? { ...loadCpu(cpu).geometry, ...caches };
  geometries.set(cpu, geometry);
  return geometry;
}

/** The entries of the guest's page tables that are not 0. */
const TABLE_ENTRIES = Array.from({ length: TABLES_BYTES.length / ENTRY_BYTES }, (_, entry) => {
  const words = new DataView(TABLES_BYTES.buffer, entry * ENTRY_BYTES);
  const place = { gfn: Math.floor((TABLES + entry * ENTRY_BYTES) / PAGE), index: entry % ENTRIES };
  return { ...place, low: words.getUint32(0, true), high: words.getUint32(4, true) };
}).filter(({ low }) => low !== 0);

/** @param changes to the kernel, after those of the setting */
export function createModel(setting: ModelSetting, changes: readonly KernelChange[]): Svm {
  const { kernel, paging, mmioCaching } = setting;
  const all = [...(setting.changes ?? []), ...changes];
  const vm = createVm(kernel, geometryOf(CPUS[paging]), { paging, mmioCaching, changes: all });
  const userspaceAddr = vm.host.mmap(RAM_BYTES, "4K", 0);
  vm.kvmSetUserMemoryRegion({ slot: 0, flags: 0, guestPhysAddr: 0, memorySize: RAM_BYTES, userspaceAddr });
  for (const { gfn, index, low, high } of TABLE_ENTRIES) vm.kvmWriteGuest(gfn, index, low, high);
  vm.loadGuestCr3(vm.vcpu, CR3);
  return vm;
}
