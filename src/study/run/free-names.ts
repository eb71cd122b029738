/**
 * What the source of a patch reads from outside of itself, by names as its author wrote them.
 *
 * What turns TypeScript into JavaScript on the way rewrites the names of imports and, in a notebook, those of earlier cells:
 * `KVM_MMIO_BUS` may have become `exitlab_1.KVM_MMIO_BUS` or `__vite_ssr_import_0__.KVM_MMIO_BUS`, and a variable of an earlier
 * cell, `limit`, `exports.limit`. What an earlier cell imported has become `exports.KVM_MMIO_BUS`, too: a notebook's own
 * variable of the same name as one of exitlab's constants cannot be told from it.
 */
import type { AnyNode } from "acorn";
import { analyze } from "eslint-scope";
import { nodesOf, OFFSET, type PatchSyntax } from "./patch-syntax.js";

/** A name that is declared nowhere in the source. */
export interface FreeName {
  /** As it was written; of a member of `exitlab`, the member's. */
  readonly name: string;
  /** What stands for it in a source that no tool has been at: `KVM_MMIO_BUS`, `exitlab.KVM_MMIO_BUS`. */
  readonly text: string;
  /** It is said to come from a module or a cell. */
  readonly isImported: boolean;
  /** The patch assigns to it or changes what it holds, as far as that can be seen. */
  readonly isChanged: boolean;
  /** Where it stands in the source, the additions of tools with it. */
  readonly start: number;
  readonly end: number;
  /** The method that reads it, and the line there, from 1 on; null: it stands outside of all. */
  readonly method: string | null;
  readonly line: number;
}

/** Objects that tools put before names, and the name itself. */
const REWRITTEN = /^(?:exports|exitlab_\d+|__vi(?:te_ssr)?_import_\d+__)\.([A-Za-z_$][\w$]*)/;

/** A member of the whole module, `import * as exitlab`. */
const OF_MODULE = /^(?:exports\.)?exitlab\.([A-Za-z_$][\w$]*)/;

export function freeNames(source: string, { program, methods }: PatchSyntax): FreeName[] {
  const { scopes, globalScope } = analyze(program as Parameters<typeof analyze>[0], {
    ecmaVersion: 2022,
    sourceType: "script",
  });
  const declared = new Set(scopes.flatMap(({ variables }) => variables.map(({ name }) => name)));
  const changed = new Set(nodesOf(program).flatMap(changedBy).map(rootOf));
  return (globalScope?.through ?? []).map((reference) => {
    const { identifier } = reference;
    const { range: [first, last] = [0, 0], loc } = identifier;
    const start = first - OFFSET;
    const ofModule = OF_MODULE.exec(source.slice(start));
    const rewritten = ofModule ?? REWRITTEN.exec(source.slice(start));
    const name = rewritten?.[1] ?? identifier.name;
    // A variable of the patch may have the name of a member.
    const isMember = ofModule !== null || (rewritten !== null && declared.has(name));
    const method = methods.find((each) => each.start <= start && start < each.end);
    return {
      name,
      text: isMember ? `exitlab.${name}` : name,
      isImported: rewritten !== null,
      isChanged: reference.isWrite() || changed.has(identifier as unknown as AnyNode),
      start,
      end: rewritten === null ? last - OFFSET : start + rewritten[0].length,
      method: method?.name ?? null,
      line: (loc?.start.line ?? 1) - (method?.line ?? 1) + 1,
    };
  });
}

/** Functions of `Object` that change their first argument. */
const CHANGES = [
  "assign",
  "defineProperties",
  "defineProperty",
  "freeze",
  "preventExtensions",
  "seal",
  "setPrototypeOf",
];

/** What a node changes: where it assigns to, what it deletes, and what it hands to a function that is known to change it. */
function changedBy(node: AnyNode): AnyNode[] {
  switch (node.type) {
    case "AssignmentExpression":
    case "ForInStatement":
    case "ForOfStatement":
      return [node.left];
    case "UpdateExpression":
      return [node.argument];
    case "UnaryExpression":
      return node.operator === "delete" ? [node.argument] : [];
    case "CallExpression":
      return isChange(node.callee) ? node.arguments.slice(0, 1) : [];
    default:
      return [];
  }
}

function isChange(callee: AnyNode): boolean {
  if (callee.type !== "MemberExpression") return false;
  const { object, property } = callee;
  const ofObject = object.type === "Identifier" && object.name === "Object";
  return ofObject && property.type === "Identifier" && CHANGES.includes(property.name);
}

/** The name that a chain of members begins with, if it does with one. */
function rootOf(node: AnyNode): AnyNode {
  if (node.type === "ChainExpression") return rootOf(node.expression);
  return node.type === "MemberExpression" ? rootOf(node.object) : node;
}
