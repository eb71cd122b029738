/**
 * A machine in Bochs, with Intel's VMX and EPT. It boots from a CD-ROM that also has the project, node and its libraries. Bochs
 * has no display that needs neither a terminal nor a network port, so script(1) gives it a terminal.
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, realpathSync, writeFileSync } from "node:fs";
import path from "node:path";
import { inProject } from "../../../src/setup/project.mjs";
import { KERNEL_OPTIONS } from "./kernel.mjs";
import { startMachine } from "./machine.mjs";

export const PACKAGES = [
  ...["bochs", "bochs-term", "bochsbios", "vgabios"],
  ...["isolinux", "syslinux-common", "xorriso"],
];
export const MODULES = ["ata_piix", "sr_mod", "isofs"];
export const ROOT = "-t iso9660 -o ro /dev/sr0";

/** What no command on a host needs: large packages for notebooks and for the checks of the sources, and what is not ours. */
const LEFT_OUT = [
  ...["@biomejs", "@tensorflow", "@tslab", "@typescript", "zeromq"].map((name) => `node_modules/${name}`),
  ...[".git", ".jupyter", "notebooks", "out"],
];

const CONFIGURATION = `
config_interface: textconfig
display_library: term
megs: 1024
cpu: model=corei7_haswell_4770, count=1, ips=100000000, reset_on_triple_fault=0, ignore_bad_msrs=1
clock: sync=none, time0=utc
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path=cdrom, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=console
com2: enabled=1, mode=file, dev=stdout
com3: enabled=1, mode=file, dev=stderr
com4: enabled=1, mode=file, dev=status
speaker: enabled=0
log: bochs.log
panic: action=fatal
error: action=ignore
info: action=ignore
debug: action=ignore
`;

/** A restart is a triple fault, which ends Bochs; the clock is what counts instructions, so there is nothing to calibrate. */
const OPTIONS = `${KERNEL_OPTIONS} reboot=triple edd=off tsc=reliable no_timer_check lpj=1000000`;

/**
 * @param {string} folder
 * @param {import("./kernel.mjs").Kernel} kernel
 */
export function start(folder, kernel) {
  writeFileSync(path.join(folder, "bochsrc"), CONFIGURATION);
  // Debian's Bochs begins in its debugger.
  writeFileSync(path.join(folder, "debugger"), "continue\n");
  writeCdrom(folder, kernel);
  const bochs = "TERM=xterm exec bochs -q -f bochsrc -rc debugger";
  return startMachine(folder, "script", ["--quiet", "--return", "--command", bochs, "/dev/null"]);
}

/**
 * @param {string} folder
 * @param {import("./kernel.mjs").Kernel} kernel
 */
function writeCdrom(folder, kernel) {
  const root = path.join(folder, "root");
  for (const name of ["bin", "dev", "isolinux", "proc", "sys", "tmp"])
    mkdirSync(path.join(root, name), { recursive: true });
  const isolinux = path.join(root, "isolinux");
  copyFileSync("/usr/lib/ISOLINUX/isolinux.bin", path.join(isolinux, "isolinux.bin"));
  copyFileSync("/usr/lib/syslinux/modules/bios/ldlinux.c32", path.join(isolinux, "ldlinux.c32"));
  copyFileSync(kernel.image, path.join(isolinux, "vmlinuz"));
  copyFileSync(path.join(folder, "initramfs"), path.join(isolinux, "initramfs"));
  const menu = `DEFAULT linux\nLABEL linux\nKERNEL vmlinuz\nAPPEND initrd=initramfs ${OPTIONS}\n`;
  writeFileSync(path.join(isolinux, "isolinux.cfg"), menu);

  const files = [process.execPath, ...libraries(process.execPath)];
  const grafts = [
    `/=${root}`,
    ...files.map((file) => `${graft(file)}=${graft(realpathSync(file))}`),
    `${graft(inProject())}=${graft(inProject())}`,
  ];
  execFileSync(
    "xorriso",
    [
      ...["-as", "mkisofs", "-quiet", "-rational-rock", "-o", "cdrom"],
      ...["-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat"],
      ...["-no-emul-boot", "-boot-load-size", "4", "-boot-info-table"],
      ...LEFT_OUT.flatMap((name) => ["-m", inProject(name)]),
      ...["-graft-points", ...grafts],
    ],
    { cwd: folder, stdio: "pipe" },
  );
}

/** @param {string} file as a graft point has it, where "=" ends the first path */
const graft = (file) => file.replaceAll("\\", "\\\\").replaceAll("=", "\\=");

/**
 * The shared libraries of a program, with the one that loads them.
 *
 * @param {string} program
 */
function libraries(program) {
  const lines = execFileSync("ldd", [program], { encoding: "utf8" });
  return [...lines.matchAll(/(\/\S+) \(0x/g)].map(([, file]) => file);
}
