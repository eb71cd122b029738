/** A machine in QEMU's software emulation, with AMD's SVM. It sees this machine's whole file system through 9p, read-only. */
import { KERNEL_OPTIONS } from "./kernel.mjs";
import { startMachine } from "./machine.mjs";

export const PACKAGES = ["qemu-system-x86"];
export const MODULES = ["virtio_pci", "9pnet_virtio", "9p"];
export const ROOT = "-t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=512000 host";

/**
 * @param {string} folder
 * @param {import("./kernel.mjs").Kernel} kernel
 */
export function start(folder, kernel) {
  const ports = ["console", "stdout", "stderr", "status"].flatMap((name) => ["-serial", `file:${name}`]);
  return startMachine(folder, "qemu-system-x86_64", [
    // One processor: with two, QEMU 7.2 stops for ever now and then while a guest of the guest faults.
    ...["-machine", "q35", "-accel", "tcg,thread=single", "-cpu", "max", "-smp", "1", "-m", "2G"],
    ...["-display", "none", "-monitor", "none", "-nic", "none", "-no-reboot"],
    ...["-kernel", kernel.image, "-initrd", "initramfs"],
    ...["-append", KERNEL_OPTIONS],
    ...["-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap"],
    ...ports,
  ]);
}
