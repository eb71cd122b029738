/**
 * The compiled package, dist/, and the stamp that says which sources it was compiled from.
 */
import { chmodSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { fail, inProject, runNode, say, writeWhole } from "./project.mjs";

const stamp = inProject("dist/build.json");
const provenance = inProject("dist/study/provenance.js");

/** Compiles when the sources are not those of the last build. */
export async function ensureBuild() {
  if (await isCurrent()) return;
  say("compiling ...");
  await build();
}

/** Whether dist/ was compiled from the sources as they are now. One that is missing or broken cannot tell. */
async function isCurrent() {
  try {
    const { source } = JSON.parse(readFileSync(stamp, "utf8"));
    return source === (await provenanceOfBuild()).sourceDigest();
  } catch {
    return false;
  }
}

/** Compiles src/ into a clean dist/. The stamp comes last: a dist/ without one is not complete. */
export async function build() {
  rmSync(inProject("dist"), { recursive: true, force: true });
  // Not node_modules/.bin/tsc, which may be the older compiler that tslab brings along.
  const status = await runNode(
    inProject("node_modules/typescript/bin/tsc"),
    "-p",
    inProject("tsconfig.json"),
  );
  if (status !== 0) fail("the sources do not compile");
  await joinSimulation();
  linkCommand();
  writeWhole(stamp, `${JSON.stringify((await provenanceOfBuild()).buildStamp())}\n`);
}

/** The folders that simulate: their files are joined. */
const SIMULATED = ["x86", "kvm"];

/**
 * Joins the compiled files of the processor and of KVM into one module, with constants in place of their names; the files then
 * only pass on what it exports. V8 does not fold an imported constant: each use would be a load and two checks on the path of
 * an access.
 */
async function joinSimulation() {
  const { rolldown } = await import("rolldown");
  const dist = inProject("dist");
  const files = SIMULATED.flatMap((folder) =>
    readdirSync(path.join(dist, folder)).map((name) => path.join(folder, name)),
  ).filter((file) => file.endsWith(".js"));
  const bundle = await rolldown({
    input: Object.fromEntries(files.map((file) => [file, path.join(dist, file)])),
    optimization: { inlineConst: { mode: "all", pass: 3 } },
  });
  // Names stay. What V8 takes into a caller is limited by the length of the code, and a number is shorter than a constant.
  await bundle.write({
    dir: dist,
    format: "es",
    entryFileNames: "[name]",
    chunkFileNames: "[name].js",
    codeSplitting: { groups: [{ name: "simulation", test: /./ }] },
    minify: { compress: true, mangle: false, codegen: { removeWhitespace: false } },
    minifyInternalExports: false,
  });
}

/** Makes `npx exitlab` find the command here. npm links it only if it was compiled before the packages were installed. */
function linkCommand() {
  chmodSync(inProject("dist/cli/main.js"), 0o755);
  const link = inProject("node_modules/.bin/exitlab");
  rmSync(link, { force: true });
  symlinkSync("../../dist/cli/main.js", link);
}

/**
 * The compiled package's own view of the sources: at run time it compares the same digest with the stamp.
 *
 * @returns {Promise<typeof import("../study/provenance.js")>}
 */
function provenanceOfBuild() {
  const url = pathToFileURL(provenance);
  // A rebuild replaces the file, and node keeps modules by address.
  url.search = String(statSync(provenance).mtimeMs);
  return import(url.href);
}
