/**
 * This machine's KVM for tests, from the compiled package: a thread starts from a compiled file. Where KVM cannot be used, the
 * tests that need it are skipped, and count as skipped.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { whyNoKvm } from "../../src/host/kvm.js";

/** Of a compiled file of src/host. */
export const compiledUrl = (file: string) =>
  pathToFileURL(join(import.meta.dirname, "../../dist/host", file)).href;

export const host: typeof import("../../src/host/kvm.js") = await import(compiledUrl("kvm.js"));
export const threads: typeof import("../../src/host/vcpu-thread.js") = await import(
  compiledUrl("vcpu-thread.js")
);

/** Why KVM cannot be used here; null: it can. */
export const KVM: string | null = whyNoKvm();

/** What this process has open, by the kernel's names, such as anon_inode:kvm-vm. */
export function openFiles(): string[] {
  const folder = "/proc/self/fd";
  return readdirSync(folder)
    .flatMap((fd) => {
      try {
        return [readlinkSync(join(folder, fd)).replace(/\[\d+\]$/, "")];
      } catch {
        // The folder itself, which is closed again.
        return [];
      }
    })
    .sort();
}

/** Timers of the kernel that this process has. */
export function timers(): number {
  return readFileSync("/proc/self/timers", "utf8").match(/^ID:/gm)?.length ?? 0;
}

/** Mappings of this process that are KVM's, by the name that /proc/self/maps has for them. */
export function kvmMappings(): string[] {
  return readFileSync("/proc/self/maps", "utf8")
    .split("\n")
    .filter((line) => /kvm/.test(line));
}

/** Bytes of address space that this process has mapped. */
export function addressSpace(): number {
  const [, kilobytes] = /^VmSize:\s+(\d+) kB/m.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
  return 1024 * Number(kilobytes);
}
