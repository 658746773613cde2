/** What the lint needs to know of a module's syntax. The parser is Vite's own (oxc): it is here, and it reads TypeScript. */
import { parseSync } from 'vite'

/** An ESTree node: what every node has, and the parts that the lint looks at. */
export interface Node {
  readonly type: string
  readonly start: number
  readonly arguments?: unknown
  readonly async?: unknown
  readonly await?: unknown
  readonly callee?: unknown
  readonly computed?: unknown
  readonly exportKind?: unknown
  readonly importKind?: unknown
  readonly init?: unknown
  readonly key?: unknown
  readonly left?: unknown
  readonly name?: unknown
  readonly object?: unknown
  readonly operator?: unknown
  readonly property?: unknown
  readonly right?: unknown
  readonly shorthand?: unknown
  readonly source?: unknown
  readonly value?: unknown
}

/** One module named by another. `types`: erased by the compiler. `lazy`: by `import()`. */
export interface Import {
  readonly specifier: string
  readonly kind: 'runtime' | 'types' | 'lazy'
  readonly start: number
}

export function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as Partial<Node>).type === 'string'
}

/** The syntax tree. Throws on a file that does not parse. */
export function parse(file: string, source: string): Node {
  const { program, errors } = parseSync(file, source)
  const [error] = errors
  if (error !== undefined) throw new SyntaxError(`${file}: ${error.message}`)
  return program as unknown as Node
}

/** Calls `visit` for each node before its children; what `visit` answers with `false` is not gone into. */
export function walk(
  node: Node,
  visit: (node: Node, parent: Node | null) => boolean,
  parent: Node | null = null,
): void {
  if (!visit(node, parent)) return
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) walk(child, visit, node)
  }
}

export function imports(program: Node): Import[] {
  const found: Import[] = []
  walk(program, (node) => {
    const kind = importKind(node)
    if (kind !== null) found.push({ specifier: specifierOf(node.source), kind, start: node.start })
    return true
  })
  return found
}

function importKind(node: Node): Import['kind'] | null {
  switch (node.type) {
    case 'ImportDeclaration':
      // `import { type A }` is not erased under verbatimModuleSyntax: the module is still loaded.
      return node.importKind === 'type' ? 'types' : 'runtime'
    case 'ExportAllDeclaration':
    case 'ExportNamedDeclaration':
      if (!isNode(node.source)) return null
      return node.exportKind === 'type' ? 'types' : 'runtime'
    case 'ImportExpression':
      return 'lazy'
    case 'TSImportType':
      return 'types'
    default:
      return null
  }
}

/** A computed specifier reads as the empty one, which no layer may import. */
function specifierOf(source: unknown): string {
  return isNode(source) && typeof source.value === 'string' ? source.value : ''
}

export function lineAt(source: string, offset: number): number {
  return source.slice(0, offset).split('\n').length
}
