/**
 * What the scenarios have reached, as the model tells: how often each feature was met and each path of KVM was taken. A host
 * without a difference takes the same paths, but for those that it has not.
 */
import type { KernelChange } from "../../kvm/eras.js";
import { KVM_FAST_MMIO_BUS } from "../../kvm/io-bus.js";
import type { Ioeventfd } from "../../kvm/ioeventfd.js";
import type { Svm } from "../../kvm/svm.js";
import { FEATURES, type Feature, featuresAfter, featuresBefore } from "./features.js";
import { type OutcomeEvent, SUCCESS } from "./outcome.js";
import { FAST_MMIO_BUS, type HostPaging, isReachable, PATHS } from "./paths.js";
import type { SetMemory, Step } from "./scenario.js";

type Counts = Record<string, number>;

/** JSON-serialisable. */
export interface Covered {
  /** By group and name. */
  readonly features: Readonly<Record<string, Readonly<Counts>>>;
  readonly paths: Readonly<Counts>;
  /** Paths that the host has not, and what it takes. */
  readonly unreachable: readonly { readonly path: string; readonly needs: string }[];
}

export class Coverage {
  private readonly features: Readonly<Record<string, Counts>> = Object.fromEntries(
    Object.entries(FEATURES).map(([group, names]) => [group, zeros(names)]),
  );
  private readonly paths = zeros(PATHS.map(({ name }) => name));
  /** Slots of the scenario under way, as they were asked for last. */
  private slots = new Map<number, SetMemory>();
  /** Ioeventfds that took a write in the step under way. */
  private signalled: Ioeventfd[] = [];

  constructor(private readonly host: HostPaging) {}

  /** A kernel that tells which ioeventfds take a write. */
  get change(): KernelChange {
    const noteSignal = (p: Ioeventfd) => {
      this.signalled.push(p);
      if (p.bus === KVM_FAST_MMIO_BUS) this.paths[FAST_MMIO_BUS]++;
    };
    return (Kernel) =>
      class extends Kernel {
        override ioeventfdWrite(...args: Parameters<Svm["ioeventfdWrite"]>): number {
          const result = super.ioeventfdWrite(...args);
          if (result === 0) noteSignal(args[0]);
          return result;
        }
      };
  }

  stepBegins(step: Step, vm: Svm): void {
    this.signalled = [];
    this.note(featuresBefore(step, vm));
  }

  stepEnds(step: Step, events: readonly OutcomeEvent[]): void {
    const slot = step.does === "set-memory" ? this.slots.get(step.slot) : undefined;
    this.note(featuresAfter(step, events, slot, this.signalled));
    if (step.does !== "set-memory" || events[0] !== SUCCESS) return;
    if (step.size === 0) this.slots.delete(step.slot);
    else this.slots.set(step.slot, step);
  }

  /** @param counts of the model, since its machine was made */
  scenarioEnds(counts: Float64Array): void {
    this.slots = new Map();
    for (const { name, primitives } of PATHS)
      for (const primitive of primitives) this.paths[name] += counts[primitive];
  }

  get covered(): Covered {
    const unreachable = PATHS.filter((path) => !isReachable(path, this.host) && this.paths[path.name] === 0);
    return {
      features: structuredClone(this.features),
      paths: { ...this.paths },
      unreachable: unreachable.map(({ name, needs }) => ({ path: name, needs })),
    };
  }

  private note(features: readonly Feature[]): void {
    for (const { group, name } of features) {
      const counts = this.features[group];
      // An error that no step should have.
      counts[name] = (counts[name] ?? 0) + 1;
    }
  }
}

function zeros(names: readonly string[]): Counts {
  return Object.fromEntries(names.map((name) => [name, 0]));
}
