#!/usr/bin/env node
/**
 * The command line, as a process.
 */
import { closeKeptRenderer } from "../report/kept-renderer.js";
import { warnIfStale } from "../study/provenance.js";
import { execute } from "./execute.js";

// A reader that has seen enough, such as head, ends the program without a word.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});
warnIfStale();
await execute(process.argv.slice(2));
// Else it would wait for another figure.
await closeKeptRenderer();
