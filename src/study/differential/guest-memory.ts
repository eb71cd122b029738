/**
 * What guests begin with: their own memory, slot 0 at guest-physical address 0, has page tables, code, and room for the
 * results of instructions. It is the same on the model and on a host.
 */
import { GuestPageTables } from "../../host/long-mode.js";
import { PAGE } from "../../x86/mmu.js";
import { ARENA, ARENA_PAGES, MEMORIES, MEMORY_BYTES, RAM_BYTES } from "./scenario.js";

/** Where in it page tables, code and results begin. */
export const TABLES = PAGE;
export const CODE = 0x1_0000;
export const RESULTS = 0x2_0000;

/** Page tables that map slot 0 and the pages of the scenarios to themselves. */
export const TABLES_BYTES = new Uint8Array(8 * PAGE);
const tables = new GuestPageTables(TABLES_BYTES, TABLES);
tables.mapIdentity(0, RAM_BYTES / PAGE, "4K");
tables.mapIdentity(ARENA / PAGE, ARENA / PAGE + ARENA_PAGES, "4K");
/** Of their root, for CR3. */
export const CR3 = tables.cr3;

/** What each memory holds: zeros, and in the lowest byte of each 8 what tells where they are. */
export const INITIAL: readonly Uint8Array[] = Array.from({ length: MEMORIES }, (_, memory) =>
  Uint8Array.from({ length: MEMORY_BYTES }, (_, at) => (at % 8 === 0 ? (16 * memory + at / 8) & 0xff : 0)),
);
