/** What every test of notebooks needs: a Jupyter, or a line that says why there is none. */
import { findJupyter } from "../../src/setup/jupyter.mjs";
import { missingJupyter } from "../../src/setup/provision.mjs";

export const jupyter = findJupyter();

if (!jupyter) console.warn(`Skipped: ${missingJupyter}`);
