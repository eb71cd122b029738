/** How long it takes until something can begin: the command line, and the package in a notebook's kernel, beside a bare node. */
import { pathToFileURL } from "node:url";
import { inProject } from "../../src/setup/project.mjs";
import { runNodeProgram } from "./child.mjs";

const PACKAGE = pathToFileURL(inProject("dist/index.js")).href;

/** @type {readonly { name: string, args: readonly string[], says: RegExp }[]} */
const PROGRAMS = [
  { name: "bare node", args: ["--eval", "console.log('begun')"], says: /^begun$/ },
  { name: "exitlab --version", args: [inProject("dist/cli/main.js"), "--version"], says: /^\d+\.\d+\.\d+$/ },
  {
    name: "import",
    args: ["--input-type=module", "--eval", `import * as it from "${PACKAGE}"; console.log(typeof it.run)`],
    says: /^function$/,
  },
];

/** @returns {import("./measure.mjs").Row} */
export function startRow() {
  return {
    name: "start-up",
    unit: "ms",
    of: "process",
    runs: 11,
    sides: PROGRAMS.map(({ name, args, says }) => ({
      name,
      run: () => {
        const { stdout, milliseconds } = runNodeProgram(args);
        return { time: milliseconds, did: { said: says.test(stdout.trim()) ? 1 : 0 } };
      },
    })),
    alike: true,
    isTrue: ({ said }) => said === 1,
  };
}
