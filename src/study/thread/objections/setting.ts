/**
 * What the studies of the objections can be asked for: a processor, how long they run, a seed. All else is the thread's usual
 * setting.
 */
import { cpuNames, loadCpu } from "../../../cost/cpu-profile.js";
import { InputError, integer, notAllowed, oneOf, parseInput, record } from "../../../cost/input.js";
import { type Setting, USUAL_SETTING } from "../setting.js";

export interface ObjectionOptions {
  /** A name in `data/cpus`, of Intel. */
  readonly cpu?: string;
  /** Instructions of each run that count. */
  readonly accesses?: number;
  readonly seed?: number;
}

/** The schema of `ObjectionOptions`. */
export const objectionOptions = record({
  cpu: oneOf(cpuNames()).default(USUAL_SETTING.cpu),
  accesses: integer(100, 1e6, "number of guest instructions that count").optional(),
  seed: integer(0, 0xffff_ffff, "seed").default(USUAL_SETTING.seed),
});

/** All that is looked at is there before it. */
const WARM_UP = 64;

/**
 * The setting of one of the studies, which names itself in errors.
 *
 * @param usual instructions that count, where the options do not say
 * @throws InputError that names the option, its value and what is allowed
 */
export function settingOf(options: ObjectionOptions, usual: number, study: string): Setting {
  const { cpu, accesses = usual, seed } = parseInput(objectionOptions, options, study);
  if (loadCpu(cpu).vendor !== "Intel")
    throw new InputError(`${study}: cpu`, notAllowed(cpu), "a processor of Intel, whose exits are the RFC's");
  return { ...USUAL_SETTING, cpu, accesses, warmup: WARM_UP, seed };
}
