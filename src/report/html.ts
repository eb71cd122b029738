/**
 * Putting foreign text and data into HTML: names come from data files and from cells, and none of them may become markup.
 */

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** The text with all that HTML, in an element or a quoted attribute, would read as markup replaced by entities. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]);
}

/** The value as JSON that may stand inside a `<script>`: no `</script>` or `<!--` can occur in it. */
export function scriptJson(value: unknown): string {
  return JSON.stringify(value).replaceAll("<", "\\u003c");
}
