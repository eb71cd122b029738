/** The Debian packages that an emulated machine is made from. */
import { spawnSync } from "node:child_process";
import { which } from "../../../src/setup/project.mjs";
import { installDebianPackages } from "../../../src/setup/provision.mjs";

/**
 * Installs those that are missing where this may be done, as set-up installs its own.
 *
 * @param {string[]} packages
 */
export function installMissing(packages) {
  if (which("dpkg-query") === null) throw new Error("software KVM needs Debian, or a system made from it");
  const missing = missingOf(packages);
  if (missing.length === 0) return;
  if (process.getuid?.() === 0) installDebianPackages([missing]);
  const stillMissing = missingOf(packages);
  if (stillMissing.length > 0)
    throw new Error(`software KVM needs, as root: apt-get install ${stillMissing.join(" ")}`);
}

/** @param {string[]} packages */
function missingOf(packages) {
  // Its status tells of unknown packages, which are missing like others.
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the placeholders are dpkg-query's
  const format = "${Package} ${db:Status-Status}\\n";
  const { stdout } = spawnSync("dpkg-query", ["--show", `--showformat=${format}`, ...packages], {
    encoding: "utf8",
  });
  const lines = stdout.split("\n");
  return packages.filter((name) => !lines.includes(`${name} installed`));
}
