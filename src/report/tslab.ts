/**
 * The output of the tslab that runs this process, whichever of the installed ones that is: of those that are loaded, the one
 * that has an output, for a tslab hands over to the one of the notebook's folder. Its public display takes one MIME type per
 * output, hence the internal call of tslab 1.0.22.
 */
import { createRequire } from "node:module";

/** One output in several forms, keyed by MIME type. */
export type MimeBundle = Readonly<Record<string, unknown>>;

export type TslabOutput = (
  content: { readonly data: MimeBundle; readonly metadata: object; readonly transient: object },
  update: boolean,
) => void;

/** Publishes a bundle under the cell that runs; null outside a tslab kernel. */
export function tslabOutput(): TslabOutput | null {
  for (const module of Object.values(createRequire(import.meta.url).cache)) {
    if (!module?.filename.endsWith(TSLAB_JUPYTER)) continue;
    const { lastWriteDisplayData } = module.exports as { readonly lastWriteDisplayData: TslabOutput | null };
    if (lastWriteDisplayData !== null) return lastWriteDisplayData;
  }
  return null;
}

const TSLAB_JUPYTER = "/tslab/dist/jupyter.js";
