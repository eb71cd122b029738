/** Readings of a guest's time-stamp counter between two of the host's clock, for `guestTsc()`. */
import { setTimeout as wait } from "node:timers/promises";
import { GuestProgram } from "../../host/guest-program.js";
import type { KvmDevice } from "../../host/kvm.js";
import type { HostMachine } from "../../host/machine.js";
import { SystemCallError } from "../../host/system-call-error.js";
import { type GuestTsc, guestTsc, type TscReading } from "../../host/tsc.js";
import type { HostVcpu } from "../../host/vcpu.js";
import type { VcpuThread } from "../../host/vcpu-thread.js";
import { GuestVm, STOP_PORT } from "./guest-vm.js";
import { idle } from "./rows.js";

const READINGS = 3;
const APART_MS = 100;

/** The frequency of the guests' TSC. @throws GuestError, SystemCallError */
export async function measureTsc(
  kvm: KvmDevice,
  thread: VcpuThread,
  machine: HostMachine,
): Promise<GuestTsc> {
  const guest = new GuestVm(kvm, idle());
  try {
    const program = new GuestProgram(guest.results);
    const at = program.clock();
    program.out(STOP_PORT);
    const readings: TscReading[] = [];
    while (readings.length < READINGS) {
      if (readings.length > 0) await wait(APART_MS);
      const before = process.hrtime.bigint();
      await guest.run(program.bytes, thread);
      readings.push({ before, tsc: guest.left.getBigUint64(at, true), after: process.hrtime.bigint() });
    }
    return guestTsc(saidKhz(guest.vcpu), readings, machine);
  } finally {
    guest.close();
  }
}

/** 0 where KVM does not say. */
function saidKhz(vcpu: HostVcpu): number {
  try {
    return vcpu.getTscKhz();
  } catch (error) {
    if (error instanceof SystemCallError) return 0;
    throw error;
  }
}
