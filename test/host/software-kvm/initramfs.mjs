/** What an emulated machine boots into: its first process, the modules that it loads, and the command. */
import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { inProject } from "../../../src/setup/project.mjs";
import { moduleFiles } from "./kernel.mjs";

/**
 * @typedef {object} Content
 * @property {string[]} modules In the order in which they are to be loaded.
 * @property {Record<string, string>} parameters Of a module, by its name.
 * @property {string} root Arguments of mount(8) for the file system that has the project.
 * @property {string[]} command
 */

/**
 * Writes the file initramfs into a folder, not compressed: to expand it takes an emulated processor longer than to read it.
 *
 * @param {string} folder
 * @param {import("./kernel.mjs").Kernel} kernel
 * @param {Content} content
 */
export function packInitramfs(folder, kernel, { modules, parameters, root, command }) {
  const tree = path.join(folder, "tree");
  for (const name of ["bin", "dev", "host", "modules", "proc", "project", "sys"])
    mkdirSync(path.join(tree, name), { recursive: true });
  copyFileSync("/bin/busybox", path.join(tree, "bin/busybox"));
  copyFileSync(path.join(import.meta.dirname, "init.sh"), path.join(tree, "init"));
  chmodSync(path.join(tree, "init"), 0o755);

  const files = [...new Set(modules.flatMap((name) => moduleFiles(kernel, name)))];
  const loads = files.map((file) => {
    const name = path.basename(file);
    writeFileSync(path.join(tree, "modules", name), withoutSignature(readFileSync(file)));
    return `${name} ${parameters[name.replace(/\.ko.*/, "").replaceAll("-", "_")] ?? ""}\n`;
  });
  writeFileSync(path.join(tree, "modules/order"), loads.join(""));
  const folders = [
    path.dirname(process.execPath),
    "/usr/local/bin",
    "/usr/bin",
    "/bin",
    "/usr/sbin",
    "/sbin",
  ];
  const settings = {
    root,
    project: inProject(),
    path: folders.join(":"),
    command: command.map(quoted).join(" "),
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${quoted(value)}\n`);
  writeFileSync(path.join(tree, "settings"), lines.join(""));

  const pack = "find . | cpio --create --format=newc --owner=0:0 --quiet > ../initramfs";
  execFileSync("/bin/sh", ["-c", pack], { cwd: tree });
}

/**
 * A module without the signature that Debian appends. To verify it for all modules takes an emulated processor as long as the
 * rest of its boot; Debian's kernel also loads modules that have none.
 *
 * @param {Buffer} module
 */
function withoutSignature(module) {
  const mark = "~Module signature appended~\n";
  if (module.toString("latin1", module.length - mark.length) !== mark) return module;
  // struct module_signature: 12 bytes, the last four the length of the signature.
  const end = module.length - mark.length;
  return module.subarray(0, end - 12 - module.readUInt32BE(end - 4));
}

/** @param {string} word as the shell reads it back */
const quoted = (word) => `'${word.replaceAll("'", "'\\''")}'`;
