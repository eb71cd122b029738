/** What a worker passes on to its child processes. Alone in its file, so that neither loads what the other needs. */

/** Option of both: they run patches from the source that a job brings along. */
export const ALLOW_PATCH_SOURCE = "--allow-patch-source";
