/** The numbers of KVM's ioctls are those that include/uapi/linux/kvm.h comes to on x86-64, as strace prints them. */
import { describe, expect, it } from "vitest";
import { deviceByte, deviceValue } from "../../src/host/device-model.js";
import { libc } from "../../src/host/libc.js";
import { SystemCallError } from "../../src/host/system-call-error.js";
import * as uapi from "../../src/host/uapi.js";

const onLinux = process.platform === "linux" && process.arch === "x64";

describe.skipIf(!onLinux)("the interface of KVM", () => {
  it.each([
    [uapi.KVM_GET_API_VERSION, 0xae00],
    [uapi.KVM_CREATE_VM, 0xae01],
    [uapi.KVM_CHECK_EXTENSION, 0xae03],
    [uapi.KVM_GET_VCPU_MMAP_SIZE, 0xae04],
    [uapi.KVM_GET_SUPPORTED_CPUID, 0xc008_ae05],
    [uapi.KVM_CREATE_VCPU, 0xae41],
    [uapi.KVM_GET_DIRTY_LOG, 0x4010_ae42],
    [uapi.KVM_SET_USER_MEMORY_REGION, 0x4020_ae46],
    [uapi.KVM_SET_TSS_ADDR, 0xae47],
    [uapi.KVM_IOEVENTFD, 0x4040_ae79],
    [uapi.KVM_RUN, 0xae80],
    [uapi.KVM_GET_REGS, 0x8090_ae81],
    [uapi.KVM_SET_REGS, 0x4090_ae82],
    [uapi.KVM_GET_SREGS, 0x8138_ae83],
    [uapi.KVM_SET_SREGS, 0x4138_ae84],
    [uapi.KVM_SET_SIGNAL_MASK, 0x4004_ae8b],
    [uapi.KVM_SET_CPUID2, 0x4008_ae90],
    [uapi.KVM_GET_TSC_KHZ, 0xaea3],
  ])("has the number of $name", (ioctl, number) => {
    expect(libc().requestOf(ioctl).toString(16)).toBe(number.toString(16));
  });

  it("refuses an ioctl of something else with the error's name and the ioctl's", () => {
    const fd = libc().open("/dev/null");
    try {
      const call = () => libc().ioctl(fd, uapi.KVM_IOEVENTFD, { addr: 0 });
      expect(call).toThrow(SystemCallError);
      expect(call).toThrow("ENOTTY: inappropriate ioctl for device, KVM_IOEVENTFD");
    } finally {
      libc().close(fd);
    }
  });

  it.each([
    [{ slot: 2 ** 32 }, "slot: 4294967296 is not a u32"],
    [{ memory_size: -1 }, "memory_size: -1 is not a u64"],
    [{ memory_size: 1.5 }, "memory_size: 1.5 is not a u64"],
    [{ userspace_addr: 2n ** 64n }, "userspace_addr: 18446744073709551616 is not a u64"],
  ])("takes %o for a mistake, not for another number", (fields, message) => {
    expect(() => libc().ioctl(0, uapi.KVM_SET_USER_MEMORY_REGION, fields)).toThrow(message);
  });

  it("names the file that cannot be opened", () => {
    expect(() => libc().open("/no/such/file")).toThrow(
      "ENOENT: no such file or directory, open /no/such/file",
    );
  });
});

describe("the device model of userspace", () => {
  it("answers each byte by its address, little-endian", () => {
    expect([0, 1, 250, 251].map(deviceByte)).toEqual([1, 2, 251, 1]);
    expect(deviceValue(0, 4)).toBe(0x0403_0201n);
    expect(deviceValue(249, 4)).toBe(0x0201_fbfan);
  });
});
