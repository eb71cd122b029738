/** What a worker thread of the local pool runs, job by job. */
export { executeJob as default } from "./executor.js";
