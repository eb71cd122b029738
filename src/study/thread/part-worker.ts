/** What a worker thread runs, part by part of the study. */
export { executePart as default } from "./parts.js";
