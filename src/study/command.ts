/** The shell command that makes a result again. */

/** `npx exitlab` with these words, each quoted where a shell would take it apart. */
export function exitlabCommand(...words: readonly string[]): string {
  return ["npx exitlab", ...words.map(shellWord)].join(" ");
}

/** A study by its name, with the options that are not its defaults. */
export function studyCommand(name: string, options: object): string {
  const json = inlineJson(options);
  return exitlabCommand("study", name, ...(json === "{}" ? [] : ["--options", json]));
}

/**
 * JSON in one line of ASCII without apostrophes, so that it can stand between those of a shell, with a space wherever JSON
 * allows one, so that a mail can break it.
 */
export function inlineJson(value: unknown): string {
  // Text of JSON has no line breaks of its own: they are escaped.
  return JSON.stringify(value, null, 1)
    .replaceAll(/\n */g, " ")
    .replaceAll(
      /'|[^\x20-\x7e]/g,
      (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
    );
}

/** A word as a shell takes it for one. */
export function shellWord(text: string): string {
  return /^[\w./:=@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
