/**
 * What KVM itself counts of a vCPU, such as its exits: the binary statistics that a descriptor of KVM_GET_STATS_FD holds, in
 * Linux from 5.14 on (Documentation/virt/kvm/api.rst). Their names are those of the kernel's `struct kvm_vcpu_stat`.
 */
import { libc } from "./libc.js";
import { SystemCallError } from "./system-call-error.js";
import { KVM_GET_STATS_FD } from "./uapi.js";
import type { HostVcpu } from "./vcpu.js";

/** More than the statistics of a vCPU take. */
const MOST_BYTES = 2 ** 16;

/** `struct kvm_stats_header` and `struct kvm_stats_desc`, whose name follows it; byte offsets. */
const HEADER = { name_size: 4, num_desc: 8, desc_offset: 16, data_offset: 20 } as const;
const DESC = { flags: 0, size: 6, offset: 8, name: 16 } as const;

const KVM_STATS_TYPE_MASK = 0xf;
const KVM_STATS_TYPE_CUMULATIVE = 0;

export type KvmStatistics = Readonly<Record<string, number>>;

/** All that only grows since the vCPU was created, by name; null where the kernel does not tell. @throws SystemCallError */
export function kvmStatistics({ fd }: HostVcpu): KvmStatistics | null {
  let statistics: number;
  try {
    statistics = libc().ioctl(fd, KVM_GET_STATS_FD, 0);
  } catch (error) {
    if (error instanceof SystemCallError && ["ENOTTY", "EINVAL"].includes(error.code)) return null;
    throw error;
  }
  try {
    const bytes = new Uint8Array(MOST_BYTES);
    return parseStatistics(bytes.subarray(0, libc().read(statistics, bytes)));
  } finally {
    libc().close(statistics);
  }
}

/** The content of such a descriptor: a header, a description of each statistic, and 64-bit values. */
export function parseStatistics(bytes: Uint8Array): KvmStatistics {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const of = (field: keyof typeof HEADER) => view.getUint32(HEADER[field], true);
  const entryBytes = DESC.name + of("name_size");
  const entries = Array.from(
    { length: of("num_desc") },
    (_, index) => of("desc_offset") + entryBytes * index,
  );
  return Object.fromEntries(
    entries
      .filter((at) => {
        const type = view.getUint32(at + DESC.flags, true) & KVM_STATS_TYPE_MASK;
        return type === KVM_STATS_TYPE_CUMULATIVE && view.getUint16(at + DESC.size, true) === 1;
      })
      .map((at) => {
        const name = bytes.subarray(at + DESC.name, at + entryBytes);
        const value = view.getBigUint64(of("data_offset") + view.getUint32(at + DESC.offset, true), true);
        return [new TextDecoder("latin1").decode(name.subarray(0, name.indexOf(0))), Number(value)];
      }),
  );
}
