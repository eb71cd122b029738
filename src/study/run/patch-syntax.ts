/**
 * The source of a patch as syntax: an object literal of methods, or a function of its constants that ends in one. This is
 * told from the text alone, and nothing of it runs: who reads a scenario or a result of somebody else reads data.
 */
import {
  type AnyNode,
  type Expression,
  type Identifier,
  type ObjectExpression,
  type Program,
  parse,
  tokTypes,
} from "acorn";
import { suggestion } from "../../cost/input.js";
import { KERNEL_FUNCTION_NAMES } from "../../kvm/eras.js";

/** @throws always: what was found in the patch, and what is allowed */
export type RefusePatch = (found: string, allowed: string) => never;

/** Where a node stands in the source, and its line there. */
interface Place {
  readonly start: number;
  readonly end: number;
  readonly line: number;
}

/** A method, by the name of the kernel's function that it is in place of. */
export interface PatchMethod extends Place {
  readonly name: string;
}

export interface PatchSyntax {
  /** Of the source in parentheses behind `OFFSET` characters, in strict mode. */
  readonly program: Program;
  readonly methods: readonly PatchMethod[];
}

const HEAD = '"use strict";(';

/** Characters of the program before the source. */
export const OFFSET = HEAD.length;

const PATCH = "an object literal of methods, or the function that makes one";

export function patchSyntax(source: string, refuse: RefusePatch): PatchSyntax {
  const program = programOf(source, refuse);
  const [, statement, more] = program.body;
  const isOne = more === undefined && statement.type === "ExpressionStatement";
  const literal = isOne ? literalOf(statement.expression, refuse) : null;
  if (literal === null) return refuse("cannot be read: neither an object literal nor a function", PATCH);
  if (literal.properties.length === 0) refuse("changes no function of the kernel", "a method or more");
  const methods = literal.properties.map((property) => methodOf(property, source, refuse));
  return { program, methods };
}

function programOf(source: string, refuse: RefusePatch): Program {
  const onToken = ({ type, start }: { readonly type: unknown; readonly start: number }) => {
    if (type === tokTypes._import) throw new SyntaxError(`import at ${start - OFFSET}`);
  };
  try {
    return parse(`${HEAD}${source}\n)`, { ecmaVersion: "latest", locations: true, ranges: true, onToken });
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return refuse(`cannot be read: ${error.message}`, PATCH);
  }
}

/** The object literal that an expression is or, as a function, ends in; null: it is neither. */
function literalOf(node: Expression, refuse: RefusePatch): ObjectExpression | null {
  if (node.type === "ObjectExpression") return node;
  if (node.type !== "ArrowFunctionExpression" && node.type !== "FunctionExpression") return null;
  const kind = node.async ? "an async function" : node.generator ? "a generator" : null;
  if (kind !== null) refuse(`is made by ${kind}`, "a function that returns the methods at once");
  if (node.params.length > 1) refuse(`is made of ${node.params.length} arguments`, "one, its constants");
  const last = node.body.type === "BlockStatement" ? node.body.body.at(-1) : null;
  const made = last?.type === "ReturnStatement" ? last.argument : last === null ? node.body : null;
  if (made?.type === "ObjectExpression") return made;
  return refuse("is made by a function that does not end in an object literal", "... => ({ methods })");
}

function methodOf(
  property: ObjectExpression["properties"][number],
  source: string,
  refuse: RefusePatch,
): PatchMethod {
  const text = source.slice(property.start - OFFSET, property.end - OFFSET).split("\n", 1)[0];
  const named = property.type === "Property" && !property.computed && property.key.type === "Identifier";
  if (!named) return refuse(`has ${text}, which is no method`, "methods, name(...) { ... }");
  const { key, value, method } = property;
  const { name } = key as Identifier;
  if (!KERNEL_FUNCTION_NAMES.includes(name)) {
    const meant = suggestion(name, KERNEL_FUNCTION_NAMES);
    refuse(`changes ${name}, which is no function of the kernel${meant}`, "the kernel's functions");
  }
  if (!method || value.type !== "FunctionExpression" || value.async || value.generator)
    refuse(`has ${text}, which is no method`, `a method, ${name}(...) { ... }`);
  const { start, end, loc } = property;
  return { name, start: start - OFFSET, end: end - OFFSET, line: loc?.start.line ?? 1 };
}

/** A node and all within it. */
export function nodesOf(node: AnyNode): AnyNode[] {
  const children = Object.values(node).flat().filter(isNode);
  return [node, ...children.flatMap(nodesOf)];
}

function isNode(value: unknown): value is AnyNode {
  return typeof value === "object" && value !== null && "type" in value && "start" in value;
}
