/**
 * A kernel image without compression: an emulator would spend half of its boot on expanding Debian's. The image has what
 * Documentation/arch/x86/boot.rst asks for: the original's real-mode code, then, in place of the code that expands, a few
 * instructions that enter 64-bit mode, and the segments of the kernel (an ELF file) where they belong in memory.
 */
import { execFileSync } from "node:child_process";

/** Physical addresses: where a boot loader puts what follows the real-mode code, and what is made of it here. */
const CODE32_START = 0x10_0000;
const GDT = 0x10_0100;
const PAGE_TABLES = 0x10_1000;
const PAGE = 4096;

/** Fields of the setup header. */
const SETUP_SECTS = 0x1f1;
const SYSSIZE = 0x1f4;
const RELOCATABLE_KERNEL = 0x234;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;

/** Fields of an ELF header, and of a program header. */
const E_ENTRY = 24;
const E_PHOFF = 32;
const E_PHNUM = 56;
const E_PHENTSIZE = 56;
const PT_LOAD = 1;
const P_OFFSET = 8;
const P_PADDR = 24;
const P_FILESZ = 32;

const XZ = Buffer.from("\xfd7zXZ\0", "latin1");

/**
 * @param {Buffer} image a vmlinuz
 * @returns {Buffer} the same kernel, to be booted with nokaslr; one that is not compressed by xz as it is
 */
export function unpacked(image) {
  const setup = Buffer.from(image.subarray(0, (image[SETUP_SECTS] + 1) * 512));
  const from = setup.length + image.readUInt32LE(PAYLOAD_OFFSET);
  const payload = image.subarray(from, from + image.readUInt32LE(PAYLOAD_LENGTH));
  if (!payload.subarray(0, XZ.length).equals(XZ)) return image;
  const elf = execFileSync("xz", ["--decompress", "--stdout", "--single-stream"], {
    input: payload,
    maxBuffer: 2 ** 30,
  });
  const segments = segmentsOf(elf);
  const end = Math.max(...segments.map(({ address, content }) => address + content.length));
  const memory = Buffer.alloc(Math.ceil((end - CODE32_START) / 16) * 16);
  for (const { address, content } of segments) memory.set(content, address - CODE32_START);
  writeEntry(memory, Number(elf.readBigUInt64LE(E_ENTRY)));
  setup.writeUInt32LE(memory.length / 16, SYSSIZE);
  setup[RELOCATABLE_KERNEL] = 0;
  return Buffer.concat([setup, memory]);
}

/** @param {Buffer} elf */
function segmentsOf(elf) {
  const table = Number(elf.readBigUInt64LE(E_PHOFF));
  return Array.from({ length: elf.readUInt16LE(E_PHNUM) }, (_, index) => table + index * E_PHENTSIZE)
    .filter((header) => elf.readUInt32LE(header) === PT_LOAD)
    .map((header) => {
      const [offset, address, bytes] = [P_OFFSET, P_PADDR, P_FILESZ].map((field) =>
        Number(elf.readBigUInt64LE(header + field)),
      );
      return { address, content: elf.subarray(offset, offset + bytes) };
    });
}

/**
 * The way from 32-bit protected mode to the kernel's 64-bit entry: its segments, the first 4 GiB mapped to themselves.
 *
 * @param {Buffer} memory from CODE32_START
 * @param {number} entry
 */
function writeEntry(memory, entry) {
  const code = [
    [0x0f, 0x01, 0x15, ...uint32(GDT)], //            lgdt [GDT]
    [0xb8, ...uint32(1 << 5), 0x0f, 0x22, 0xe0], //   mov eax, CR4.PAE; mov cr4, eax
    [0xb8, ...uint32(PAGE_TABLES), 0x0f, 0x22, 0xd8], // mov eax, PAGE_TABLES; mov cr3, eax
    [0xb9, ...uint32(0xc000_0080), 0x0f, 0x32], //    mov ecx, IA32_EFER; rdmsr
    [0x0f, 0xba, 0xe8, 8, 0x0f, 0x30], //             bts eax, EFER.LME; wrmsr
    [0xb8, ...uint32(0x8000_0001), 0x0f, 0x22, 0xc0], // mov eax, CR0.PG | CR0.PE; mov cr0, eax
    [0xea, ...uint32(entry), 0x10, 0], //             jmp 10h:entry
  ];
  memory.set(code.flat());
  // The limit and the base, in place of the null descriptor; __BOOT_CS is 10h, __BOOT_DS 18h.
  memory.writeUInt16LE(4 * 8 - 1, GDT - CODE32_START);
  memory.writeUInt32LE(GDT, GDT - CODE32_START + 2);
  memory.writeBigUInt64LE(0x00af_9a00_0000_ffffn, GDT - CODE32_START + 0x10);
  memory.writeBigUInt64LE(0x00cf_9200_0000_ffffn, GDT - CODE32_START + 0x18);

  const presentWritable = 3;
  const large = 1 << 7;
  /** @param {number} table @param {number} index @param {number} value */
  const set = (table, index, value) =>
    memory.writeBigUInt64LE(BigInt(value), PAGE_TABLES - CODE32_START + table * PAGE + index * 8);
  set(0, 0, (PAGE_TABLES + PAGE) | presentWritable);
  for (let table = 0; table < 4; table++) set(1, table, (PAGE_TABLES + (2 + table) * PAGE) | presentWritable);
  for (let page = 0; page < 4 * 512; page++) set(2, page, page * 2 ** 21 + presentWritable + large);
}

/** @param {number} value little-endian */
const uint32 = (value) => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);
