/** `npm run build`: compiles the package anew. */
import { build } from "./compile.mjs";
import { installDependencies } from "./dependencies.mjs";
import { exclusively } from "./lock.mjs";

await exclusively(async () => {
  await installDependencies();
  await build();
});
