/** The journals in the folder of a sweep: one of the whole, and those of its shards. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { Journal, type JournalContents, type JournalEntry, type JournalHead } from "./journal.js";

export interface StoredJournal extends JournalContents {
  readonly path: string;
}

/**
 * Reads them all, in the order of their names; none where there is no folder.
 *
 * @param wanted whose journals they have to be; by default that of the first
 * @throws InputError for one that is damaged, or of another specification
 */
export function readJournals(folder: string, wanted?: Pick<JournalHead, "sweep" | "spec">): StoredJournal[] {
  const journals = namesIn(folder)
    .filter((name) => /^journal(\.\d+-of-\d+)?\.jsonl$/.test(name))
    .sort()
    .flatMap((name) => {
      const path = join(folder, name);
      const contents = Journal.read(path);
      return contents === undefined ? [] : [{ path, ...contents }];
    });
  for (const { path, head } of journals) {
    const { sweep, spec } = wanted ?? journals[0].head;
    Journal.checkSpec(path, head, { ...head, sweep, spec });
  }
  return journals;
}

/** The entry of each key that counts: the last, but a result over a failure elsewhere. */
export function entriesByKey(journals: readonly Pick<StoredJournal, "entries">[]): Map<string, JournalEntry> {
  const entries = new Map<string, JournalEntry>();
  for (const entry of journals.flatMap((journal) => journal.entries)) {
    if (entry.status === "done" || entries.get(entry.key)?.status !== "done") entries.set(entry.key, entry);
  }
  return entries;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
