/**
 * What the model says of the rows before anything is measured: each under every way in which a host may translate its guests'
 * memory, so that a reader sees which rows tell an EPT host from one without.
 */
import { Calibration } from "../../cost/calibration.js";
import { loadCpu } from "../../cost/cpu-profile.js";
import { primitiveCosts } from "../../cost/primitive-costs.js";
import type { KernelVersion } from "../../kvm/eras.js";
import type { Paging } from "../../kvm/spte.js";
import { rowMachine } from "../calibrate/observations.js";
import { conditionsOf } from "../conditions.js";
import { provenanceOf } from "../provenance.js";
import type { Interval, Provenance } from "../result.js";
import { countRow, vmexitRow } from "../vmexit-rows.js";
import { HOST_ROWS } from "./rows.js";

export interface ExpectedRow {
  readonly name: string;
  /** TSC cycles of one access, by the paging: what the ranges of the costs allow; `value`: every cost at its value. */
  readonly cycles: Readonly<Partial<Record<Paging, Interval>>>;
}

export interface ExpectedRows {
  readonly provenance: Provenance;
  /** The processor as its maker calls it. */
  readonly model: string;
  /** That the processor can have, in the order of the columns. */
  readonly pagings: readonly Paging[];
  readonly rows: readonly ExpectedRow[];
}

const SEED = 1;

/**
 * @param cpu profile of a processor; a name in `data/cpus`
 * @param kernel the modelled kernel that is nearest to the host's
 * @throws InputError for an unknown processor
 */
export function expectedRows({
  cpu,
  kernel,
}: {
  readonly cpu: string;
  readonly kernel: KernelVersion;
}): ExpectedRows {
  const processor = loadCpu(cpu);
  const priors = new Calibration(primitiveCosts(processor, kernel), []);
  const pagings = [processor.vendor === "AMD" ? "npt" : "ept", "shadow"] as const;
  const rows = HOST_ROWS.flatMap((name) => {
    const row = vmexitRow(name, kernel);
    if (row === undefined || !("scenario" in row)) return [];
    const { scenario } = row;
    const cycles = pagings.map((paging) => {
      const machine = { ...rowMachine({ cpu, kernel, mitigations: "off", paging }), seed: SEED };
      const counts = countRow(machine, scenario, name);
      return [paging, { ...priors.bounds(counts), value: priors.predict(counts) }] as const;
    });
    return [{ name, cycles: Object.fromEntries(cycles) }];
  });
  return {
    provenance: provenanceOf({
      seed: SEED,
      conditions: conditionsOf([{ cpu, kernel }]),
      command: null,
    }),
    model: processor.model,
    pagings,
    rows,
  };
}
