/**
 * `npm run lab`: opens the notebooks in JupyterLab, or in the classic Notebook where there is no JupyterLab.
 * Arguments go to Jupyter: `npm run lab -- --no-browser --port 8889`. A folder of one's own is the first of them.
 */
import { jupyterEnvironment } from "./jupyter.mjs";
import { fromCaller, inProject, run } from "./project.mjs";
import { setUp } from "./set-up.mjs";

const jupyter = await setUp({ retry: true });
if (jupyter) {
  // -y: Ctrl-C ends it without a question.
  const [folder, ...rest] = process.argv.slice(2);
  const isFolder = folder !== undefined && !folder.startsWith("-");
  const args = [
    "-m",
    jupyter.application,
    "-y",
    ...(isFolder ? [fromCaller(folder), ...rest] : process.argv.slice(2)),
  ];
  if (process.getuid?.() === 0) args.push("--allow-root");
  process.exitCode = await run(jupyter.python, args, {
    cwd: inProject("notebooks"),
    env: jupyterEnvironment(),
  });
} else {
  process.exitCode = 1;
}
