/**
 * The Jupyter that is there, and how the project uses it: through the Python that has it, with the project's own
 * kernel, configuration and data below .jupyter/ and nothing in the user's home.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { copyWhole, inJupyter, inProject, which, writeWhole } from "./project.mjs";

/**
 * @typedef {object} Jupyter
 * @property {string} python The interpreter that has Jupyter's modules.
 * @property {"jupyterlab" | "notebook"} application The module to open notebooks with, `python -m application`.
 */

/** The virtual environment that set-up makes where there is no other Jupyter. The stamp is written last. */
export const virtualEnvironment = inJupyter("venv");
export const virtualEnvironmentStamp = path.join(virtualEnvironment, "complete");

/**
 * A Jupyter that can open and execute notebooks, or null.
 *
 * @returns {Jupyter | null}
 */
export function findJupyter() {
  for (const python of interpreters()) {
    const modules = modulesOf(python);
    const application = modules.includes("jupyterlab") ? "jupyterlab" : "notebook";
    if (modules.includes("nbclient") && modules.includes(application)) return { python, application };
  }
  return null;
}

/** Pythons that may have Jupyter: first the one that the `jupyter` command belongs to. */
function interpreters() {
  const command = which("jupyter");
  const shebang = command && /^#!\s*(\S*python\S*)\s*$/m.exec(readFileSync(command, "utf8").slice(0, 256));
  const own = existsSync(virtualEnvironmentStamp) ? path.join(virtualEnvironment, "bin/python") : null;
  const candidates = [shebang?.[1], own, which("python3"), "/usr/bin/python3"];
  return [...new Set(candidates.filter((python) => python != null && existsSync(python)))].map(String);
}

/**
 * Which of Jupyter's modules a Python has.
 *
 * @param {string} python
 */
function modulesOf(python) {
  const probe =
    "import importlib.util as u; print(*[m for m in ('jupyterlab', 'notebook', 'nbclient') if u.find_spec(m)])";
  return (spawnSync(python, ["-c", probe], { encoding: "utf8" }).stdout ?? "").trim().split(" ");
}

/** The environment in which Jupyter and its kernels run. */
export function jupyterEnvironment() {
  const { FORCE_COLOR: _, ...environment } = process.env;
  return {
    ...environment,
    JUPYTER_CONFIG_DIR: inJupyter("config"),
    JUPYTER_DATA_DIR: inJupyter("data"),
    JUPYTER_RUNTIME_DIR: inJupyter("runtime"),
    IPYTHONDIR: inJupyter("ipython"),
  };
}

/**
 * Writes what Jupyter needs to know of the project: the kernel, and where plotly.js is for figures in notebooks. Every
 * server serves it as a static file, /static/exitlab/plotly.js; the classic Notebook also as an extension,
 * /nbextensions/exitlab/plotly.js.
 *
 * @param {Jupyter} jupyter
 */
export function prepareJupyter({ application }) {
  const kernel = {
    argv: [
      process.execPath,
      inProject("node_modules/tslab/bin/tslab"),
      "kernel",
      "--config-path",
      "{connection_file}",
    ],
    display_name: "TypeScript",
    language: "typescript",
  };
  writeWhole(inJupyter("data/kernels/tslab/kernel.json"), JSON.stringify(kernel, null, 2));

  const extensions = inJupyter("data/nbextensions");
  // A copy: the newer servers do not follow a link that leads out of the folder they serve.
  copyWhole(inProject("node_modules/plotly.js-dist/plotly.js"), path.join(extensions, "exitlab/plotly.js"));

  const served = { extra_static_paths: [extensions] };
  if (application === "notebook") {
    writeWhole(
      inJupyter("config/jupyter_notebook_config.json"),
      JSON.stringify({ NotebookApp: served }, null, 2),
    );
  } else {
    // JupyterLab's search for language servers asks npm, which leaves a log in the user's home.
    const config = { ServerApp: served, LanguageServerManager: { autodetect: false } };
    writeWhole(inJupyter("config/jupyter_server_config.json"), JSON.stringify(config, null, 2));
  }
}
