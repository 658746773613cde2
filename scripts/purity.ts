/**
 * What the pure layers may not do though the compiler would let them: everything that could give two peers two results
 * for one input, or make a step take longer than its turn. (Timers, `crypto`, `performance` and the like are compile
 * errors there already: tsconfig.pure.json knows no platform.)
 */
import { isTest, type Violation } from './layers.js'
import { isNode, lineAt, type Node, parse, walk } from './syntax.js'

const pureFolders = ['raft/', 'machine/', 'replica/']

const globals: Readonly<Record<string, string>> = {
  Date: 'reads a clock: time is an input',
  Intl: 'depends on the locale and on the version of the browser',
  Promise: 'the pure layers do not wait',
  WeakRef: 'shows when garbage is collected',
  FinalizationRegistry: 'shows when garbage is collected',
  globalThis: 'reaches what the pure layers must not know',
  eval: 'reaches what the pure layers must not know',
  Function: 'reaches what the pure layers must not know',
}

/** The parts of Math whose results ECMAScript fixes to the bit. All others are "implementation-approximated", or random. */
const exactMath = new Set([
  ...['abs', 'ceil', 'clz32', 'floor', 'fround', 'imul', 'max', 'min', 'round', 'sign', 'sqrt', 'trunc'],
  ...['E', 'LN10', 'LN2', 'LOG10E', 'LOG2E', 'PI', 'SQRT1_2', 'SQRT2'],
])

const localeMethods = /^(localeCompare|toLocale.*)$/

/** Checks a tree: sources by their path below `src/`. */
export function checkPurity(sources: ReadonlyMap<string, string>): Violation[] {
  const violations: Violation[] = []
  for (const [file, source] of sources) {
    if (isTest(file) || !pureFolders.some((folder) => file.startsWith(folder))) continue
    walk(parse(file, source), (node, parent) => {
      if (isTypeOnly(node)) return false
      const sentence = complaint(node, parent)
      if (sentence !== null) violations.push({ file, line: lineAt(source, node.start), sentence })
      return true
    })
  }
  return violations
}

function isTypeOnly(node: Node): boolean {
  return /^TS(Type|Interface)/.test(node.type) && node.type !== 'TSTypeAssertion'
}

function complaint(node: Node, parent: Node | null): string | null {
  switch (node.type) {
    case 'Identifier':
      return isReference(node, parent) ? globalComplaint(String(node.name)) : null
    case 'VariableDeclarator':
      return isNamed(node.init, 'Math') ? '`Math` taken apart: name its parts where they are used' : null
    case 'MemberExpression':
      return memberComplaint(node)
    case 'CallExpression':
      return sortComplaint(node)
    case 'BinaryExpression':
    case 'AssignmentExpression':
      return powerComplaint(node)
    case 'AwaitExpression':
      return '`await`: the pure layers do not wait'
    case 'ForOfStatement':
      return node.await === true ? '`for await`: the pure layers do not wait' : null
    case 'FunctionDeclaration':
    case 'FunctionExpression':
    case 'ArrowFunctionExpression':
      return node.async === true ? '`async`: the pure layers do not wait' : null
    default:
      return null
  }
}

function globalComplaint(name: string): string | null {
  const why = Object.hasOwn(globals, name) ? globals[name] : undefined
  return why === undefined ? null : `\`${name}\`: ${why}`
}

/** A name that stands for a value, and not a key: `Date`, but not `x.Date` or `{ Date: 1 }`. */
function isReference(node: Node, parent: Node | null): boolean {
  if (parent === null || parent.computed === true || parent.shorthand === true) return true
  if (parent.type === 'MemberExpression') return parent.property !== node
  return !(/^(Property|PropertyDefinition|MethodDefinition)$/.test(parent.type) && parent.key === node)
}

function memberComplaint(node: Node): string | null {
  const name = propertyName(node)
  if (isNamed(node.object, 'Math') && !(name !== null && exactMath.has(name))) {
    return `\`Math.${name ?? '[…]'}\`: random, or approximated differently by each browser`
  }
  return name !== null && localeMethods.test(name) ? `\`${name}\`: depends on the locale` : null
}

function sortComplaint(node: Node): string | null {
  const { callee } = node
  if (!isNode(callee) || callee.type !== 'MemberExpression') return null
  const name = propertyName(callee)
  if (name !== 'sort' && name !== 'toSorted') return null
  if (Array.isArray(node.arguments) && node.arguments.length > 0) return null
  return `\`${name}()\` without a comparator: sorts numbers as text`
}

function powerComplaint(node: Node): string | null {
  if (node.operator !== '**' && node.operator !== '**=') return null
  // A power of two literals is folded by whoever reads it, and exact in the cases that anyone writes.
  if (isLiteral(node.left) && isLiteral(node.right)) return null
  return `\`${node.operator}\`: approximated differently by each browser`
}

function propertyName(member: Node): string | null {
  const { property } = member
  if (!isNode(property)) return null
  if (member.computed !== true) return String(property.name)
  return typeof property.value === 'string' ? property.value : null
}

function isNamed(value: unknown, name: string): boolean {
  return isNode(value) && value.type === 'Identifier' && value.name === name
}

function isLiteral(value: unknown): boolean {
  return isNode(value) && value.type === 'Literal'
}
