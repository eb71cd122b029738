/**
 * What the memories of a scenario hold on the model, which itself has no contents: by host page frame, so that what an access
 * finds is where the processor's own translation or the kernel's slots lead to, right or wrong.
 */
import type { Svm } from "../../kvm/svm.js";
import { READ, WRITE } from "../../x86/access.js";
import { PAGE, TRANSLATED } from "../../x86/mmu.js";
import { INITIAL } from "./guest-memory.js";
import { MEMORY_BYTES } from "./scenario.js";

export class ModelMemories {
  /** What each memory holds. */
  readonly contents: readonly Uint8Array[] = INITIAL.map((bytes) => bytes.slice());
  private readonly addresses: readonly number[];
  /** A page of the contents by host page frame number. */
  private readonly frames = new Map<number, Uint8Array>();

  constructor(private readonly vm: Svm) {
    this.addresses = this.contents.map((bytes) => {
      const address = vm.host.mmap(MEMORY_BYTES, "4K", 0);
      const basePfn = vm.host.find(address)?.basePfn ?? 0;
      for (let page = 0; page < MEMORY_BYTES / PAGE; page++)
        this.frames.set(basePfn + page, bytes.subarray(page * PAGE, (page + 1) * PAGE));
      return address;
    });
  }

  /** Host virtual address of a memory. */
  addressOf(memory: number): number {
    return this.addresses[memory];
  }

  /** madvise(MADV_DONTNEED), and zeros written to it at once. */
  discard(memory: number): void {
    const { vm } = this;
    const address = this.addresses[memory];
    vm.kvmMmuNotifierInvalidateRangeStart(address, address + MEMORY_BYTES);
    vm.kvmMmuNotifierInvalidateRangeEnd();
    this.contents[memory].fill(0);
  }

  /** The page behind a guest-physical address, by the slots. */
  bySlot(gpa: number): Uint8Array {
    return this.frame(this.vm.guestFrame(Math.floor(gpa / PAGE)));
  }

  /** The page that the processor finds at a linear address. */
  byProcessor(address: number, write: boolean): Uint8Array {
    const { cpu } = this.vm.vcpu;
    const outcome = cpu.translate(Math.floor(address / PAGE), address % PAGE, write ? WRITE : READ);
    if (outcome !== TRANSLATED) throw new Error("the processor has no translation for what it has accessed");
    return this.frame(cpu.pfn);
  }

  private frame(pfn: number): Uint8Array {
    const frame = this.frames.get(pfn);
    if (frame === undefined) throw new Error(`host page frame ${pfn} is in no memory of the scenario`);
    return frame;
  }
}
