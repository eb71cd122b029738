/** The rows of kvm-unit-tests vmexit: which are simulated, as what, and what is missing for the others. */
import { describe, expect, it } from "vitest";
import { KERNEL_VERSIONS } from "../../src/kvm/eras.js";
import { countRow, vmexitRow } from "../../src/study/vmexit-rows.js";

/** The names that x86/vmexit.c has had, those of pci-testdev as QEMU names them. */
const NAMES = `
  cpuid vmcall mov_from_cr8 mov_to_cr8 inl_from_pmtimer inl_from_qemu inl_from_kernel outl_to_kernel mov_dr
  tscdeadline_immed tscdeadline self_ipi_sti_nop self_ipi_sti_hlt self_ipi_tpr self_ipi_tpr_sti_nop self_ipi_tpr_sti_hlt
  x2apic_self_ipi_sti_nop x2apic_self_ipi_sti_hlt x2apic_self_ipi_tpr x2apic_self_ipi_tpr_sti_nop
  x2apic_self_ipi_tpr_sti_hlt ipi ipi_halt ipi+halt ple_round_robin ple-round-robin wr_kernel_gs_base wr_tsx_ctrl_msr
  wr_ibrs_msr wr_ibpb_msr wr_tsc_adjust_msr rd_tsc_adjust_msr toggle_cr0_wp toggle_cr4_pge
  mmio-no-eventfd mmio-wildcard-eventfd mmio-datamatch-eventfd
  portio-no-eventfd portio-wildcard-eventfd portio-datamatch-eventfd`
  .trim()
  .split(/\s+/);

const MACHINE = { cpu: "sandy-bridge-ep", memslots: [{ gpa: 0, size: 2 ** 26 }], accesses: 100 };

/** What a row counts per access, without what does not occur. */
function counted(name: string, kernel: (typeof KERNEL_VERSIONS)[number]): Record<string, number> {
  const row = vmexitRow(name, kernel);
  if (row === undefined || !("scenario" in row)) throw new Error(`${name} is not simulated`);
  const counts = countRow({ ...MACHINE, kernel }, row.scenario, "test");
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0));
}

describe("a row of vmexit", () => {
  it("is simulated, or says what is missing, whatever version printed it", () => {
    const simulated = NAMES.filter((name) => {
      const row = vmexitRow(name, "v6.19");
      expect(row, name).toBeDefined();
      return row !== undefined && "scenario" in row;
    });
    expect(simulated).toEqual([
      "cpuid",
      "vmcall",
      "inl_from_pmtimer",
      "inl_from_qemu",
      "inl_from_kernel",
      "outl_to_kernel",
      "wr_tsc_adjust_msr",
      "rd_tsc_adjust_msr",
      "mmio-no-eventfd",
      "mmio-wildcard-eventfd",
      "mmio-datamatch-eventfd",
      "portio-no-eventfd",
      "portio-wildcard-eventfd",
      "portio-datamatch-eventfd",
    ]);
    expect(vmexitRow("tscdeadline", "v6.19")).toEqual({
      notSimulated: "the timer of the local APIC is not modelled",
    });
  });

  it.each(["cpuid2", "toString", "mmio-no-eventfd:pci-mem", ""])("is not %j", (name) => {
    expect(vmexitRow(name, "v6.19")).toBeUndefined();
  });

  it.each(KERNEL_VERSIONS)("makes one exit per access in %s, of the kind of its name", (kernel) => {
    expect(counted("cpuid", kernel)).toMatchObject({ exitCpuid: 1, cpuidEmulation: 1 });
    expect(counted("rd_tsc_adjust_msr", kernel)).toMatchObject({ exitMsrRead: 1, getMsr: 1 });
    expect(counted("wr_tsc_adjust_msr", kernel)).toMatchObject({ exitMsrWrite: 1, setMsr: 1 });
    expect(counted("outl_to_kernel", kernel)).toMatchObject({ exitIoInstruction: 1, inKernelDevice: 1 });
    expect(counted("inl_from_pmtimer", kernel)).toMatchObject({
      userspaceExitIo: 1,
      userspaceDeviceModel: 1,
    });
    expect(counted("inl_from_qemu", kernel).userspaceDeviceModel).toBeUndefined();
    expect(counted("portio-datamatch-eventfd", kernel)).toMatchObject({
      datamatchCompare: 1,
      eventfdSignal: 1,
    });
  });

  it("takes the fast MMIO bus for a wildcard where the kernel has it, since QEMU asks for length 0 there", () => {
    expect(counted("mmio-wildcard-eventfd", "v3.9")).toMatchObject({
      emulateInstruction: 1,
      eventfdSignal: 1,
    });
    expect(counted("mmio-wildcard-eventfd", "v4.2").emulateInstruction).toBeUndefined();
  });
});
