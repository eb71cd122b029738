/** Work that begins at any time and is done one piece after another. */

/** Takes work and does it when all that it took before has ended, well or not. */
export function inTurn() {
  let last: Promise<unknown> = Promise.resolve();
  return <Result>(work: () => Promise<Result>): Promise<Result> => {
    const result = last.then(work);
    last = result.catch(() => undefined);
    return result;
  };
}
