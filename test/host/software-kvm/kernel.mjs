/** Debian's kernel, downloaded and unpacked once, not installed. */
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { inJupyter, say } from "../../../src/setup/project.mjs";
import { unpacked } from "./unpacked-kernel.mjs";

/**
 * @typedef {object} Kernel
 * @property {string} version As uname -r says it.
 * @property {string} image To boot, with nokaslr.
 * @property {string} folder What the package installs.
 */

/** Few words on the console, nothing that takes long and is not asked for, and the addresses that the image is made for. */
export const KERNEL_OPTIONS =
  "console=ttyS0 quiet loglevel=3 panic=-1 nokaslr mitigations=off cryptomgr.notests";

const IMAGE = "image";

/**
 * The kernel of this Debian release as it was when first asked for; removing .jupyter/software-kvm gets the present one.
 *
 * @returns {Kernel}
 */
export function debianKernel() {
  const folder = inJupyter("software-kvm");
  if (!existsSync(folder)) download(folder);
  const [version] = readdirSync(path.join(folder, "lib/modules"));
  return { version, image: path.join(folder, IMAGE), folder };
}

/** @param {string} folder where it will be, all of it or nothing */
function download(folder) {
  mkdirSync(inJupyter(), { recursive: true });
  const draft = mkdtempSync(`${folder}-`);
  try {
    const dependencies = output("apt-cache", ["depends", "linux-image-amd64"]);
    const versioned = /Depends: (linux-image-\S+)/.exec(dependencies)?.[1];
    if (versioned === undefined) throw new Error("apt-cache knows no linux-image-amd64");
    say(`downloading ${versioned} (Debian package, once) ...`);
    output("apt-get", ["download", versioned], { cwd: draft });
    const [file] = readdirSync(draft);
    const content = path.join(draft, "content");
    output("dpkg", ["-x", path.join(draft, file), content]);
    const [version] = readdirSync(path.join(content, "lib/modules"));
    output("/sbin/depmod", ["--basedir", content, version]);
    const compressed = readFileSync(path.join(content, `boot/vmlinuz-${version}`));
    writeFileSync(path.join(content, IMAGE), unpacked(compressed));
    renameSync(content, folder);
  } finally {
    rmSync(draft, { recursive: true });
  }
}

/**
 * The files of a module and of those it needs, in the order in which they are to be loaded.
 *
 * @param {Kernel} kernel
 * @param {string} name
 */
export function moduleFiles({ folder, version }, name) {
  const args = ["--dirname", folder, "--set-version", version, "--show-depends", name];
  const lines = output("/sbin/modprobe", args);
  return [...lines.matchAll(/^insmod (.*\S) *$/gm)].map(([, file]) => file);
}

/**
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string }} [options]
 */
function output(command, args, options = {}) {
  return execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], ...options });
}
