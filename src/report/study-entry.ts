/** A study as the command line and an export know it: what it may be asked, and what it shows. */
import * as z from "zod";
import type { Provenance } from "../study/result.js";
import type { ScenarioInput } from "../study/run/scenario.js";
import type { Report } from "./export.js";
import type { Figure } from "./figure.js";
import type { Records } from "./records.js";
import { figureText } from "./save.js";

/** What a study yields, as a report shows it. */
export interface Shown {
  /** In full; JSON. */
  readonly study: { readonly provenance: Provenance };
  /** The mail. */
  readonly text: string;
  /** A shorter one, of a study that has one. */
  readonly short?: string;
  readonly figures?: Report["figures"];
  readonly tables?: Readonly<Record<string, Records>>;
}

export interface Study {
  readonly summary: string;
  readonly options: z.ZodType<object>;
  /** @param options as the schema has parsed them */
  readonly show: (options: object) => Shown | Promise<Shown>;
}

/** Fields that are not there rather than undefined. */
export type Exact<T> = T extends object ? { [Key in keyof T]: Exact<Exclude<T[Key], undefined>> } : T;

export function study<Schema extends z.ZodType<object>>(
  summary: string,
  options: Schema,
  show: (options: Exact<z.output<Schema>>) => Shown | Promise<Shown>,
): Study {
  return { summary, options, show: (parsed) => show(parsed as Exact<z.output<Schema>>) };
}

/** A study whose figure says it all: its mail has the figure's numbers. */
export function figureOnly(made: Shown["study"], name: string, figure: Figure): Shown {
  return { study: made, text: figureText(figure), figures: { [name]: figure } };
}

/** The tables that have a row. */
export function withRows(tables: Readonly<Record<string, Records>>): Readonly<Record<string, Records>> {
  return Object.fromEntries(Object.entries(tables).filter(([, rows]) => rows.length > 0));
}

/** What `parseScenario()` checks in the study itself. */
export const scenarioOption = z
  .custom<ScenarioInput>((value) => typeof value === "object" && value !== null, { error: "a scenario" })
  .describe("a scenario, see exitlab scenario");
