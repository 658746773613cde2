/**
 * Whether a history is linearizable: each operation as if at one moment between its call and its return. Wing and Gong's search
 * (1993) with Lowe's memory of what has been tried (2017), one key after another: linearizability is local (Herlihy and Wing 1990).
 */
import type { Operation } from './history.js'
import { counter, lock, type Model, register } from './models.js'

export interface Failure {
  readonly model: string
  readonly key: string
  /** The most operations that can be put in order, in that order. */
  readonly prefix: readonly Operation[]
  /** What that order leads to. */
  readonly state: string
  /** None of these can come next, though one of them has to. */
  readonly unplaced: readonly Operation[]
  /** All of that for people. */
  readonly explanation: string
}

export interface Judgement {
  /** `undecided`: no key failed, and the search of one was given up. */
  readonly verdict: 'linearizable' | 'not-linearizable' | 'undecided'
  readonly failures: readonly Failure[]
  /** The keys whose search was given up, each with its model. */
  readonly undecided: readonly string[]
}

export interface CheckOptions {
  /** Steps of the search for one key, after which it is given up. */
  readonly stepsMax?: number
}

/** About a second. Histories of the simulator take a step or two for each operation. */
const defaultSteps = 300_000

const courts = [court(register), court(lock), court(counter)]

/** Throws on an operation that no model knows. */
export function checkHistory(history: Iterable<Operation>, { stepsMax = defaultSteps }: CheckOptions = {}): Judgement {
  const failures: Failure[] = []
  const undecided: string[] = []
  for (const { judge, name, key, operations } of partition(history)) {
    const found = judge(operations, stepsMax)
    if (found === 'undecided') undecided.push(`${name} ${key}`)
    else if (found) failures.push(failure(name, key, found, operations.length))
  }
  const verdict = failures.length > 0 ? 'not-linearizable' : undecided.length > 0 ? 'undecided' : 'linearizable'
  return { verdict, failures, undecided }
}

interface Court {
  readonly name: string
  readonly knows: ReadonlySet<string>
  readonly judge: (operations: readonly Operation[], stepsMax: number) => Verdict
}

function court<State, Step>(model: Model<State, Step>): Court {
  return {
    name: model.name,
    knows: new Set(model.operations),
    judge: (operations, stepsMax) => new Search(model, operations).run(stepsMax),
  }
}

interface Part extends Court {
  readonly key: string
  readonly operations: Operation[]
}

function partition(history: Iterable<Operation>): Iterable<Part> {
  const parts = new Map<string, Part>()
  for (const operation of history) {
    const { op, key } = operation
    const found = courts.find(({ knows }) => knows.has(op))
    if (!found) throw new Error(`no model knows the operation ${JSON.stringify(op)} (of ${JSON.stringify(key)})`)
    const at = `${found.name} ${key}`
    const part = parts.get(at) ?? { ...found, key, operations: [] }
    parts.set(at, part)
    part.operations.push(operation)
  }
  return parts.values()
}

interface Stuck {
  readonly prefix: readonly Operation[]
  readonly state: string
  readonly unplaced: readonly Operation[]
}

/** Null: it is linearizable. */
type Verdict = Stuck | 'undecided' | null

interface Item<Step> {
  readonly operation: Operation
  /** Its place among those of its kind. */
  readonly at: number
  readonly step: Step
  /** Infinite for an unknown outcome. */
  readonly end: number
  isPlaced: boolean
}

interface Node<State, Step> {
  readonly state: State
  /** What led here. */
  readonly item: Item<Step> | null
  /** What may come next, and how many of it have been tried. */
  readonly candidates: readonly Item<Step>[]
  tried: number
}

class Search<State, Step> {
  readonly #model: Model<State, Step>
  /** Those that have returned, and the others: each in the order of their calls. */
  readonly #returned: Item<Step>[] = []
  readonly #unknown: Item<Step>[] = []
  /** All that have returned before this one are placed. */
  #low = 0
  /** How many that have returned are placed. */
  #placed = 0
  /** Lowe: which operations were placed with which state. */
  readonly #known = new Set<string>()
  #path: Node<State, Step>[] = []
  #best: Stuck | null = null
  #bestPlaced = -1

  constructor(model: Model<State, Step>, operations: readonly Operation[]) {
    this.#model = model
    for (const operation of [...operations].sort((a, b) => a.call - b.call)) {
      const end = operation.return ?? Number.POSITIVE_INFINITY
      const kind = operation.return === null ? this.#unknown : this.#returned
      kind.push({ operation, at: kind.length, step: model.read(operation), end, isPlaced: false })
    }
  }

  run(stepsMax: number): Verdict {
    if (this.#returned.length === 0) return null
    this.#path = [this.#node(this.#model.initial, null)]
    let steps = 0
    for (let node = this.#path.at(-1); node; node = this.#path.at(-1)) {
      const item = node.candidates[node.tried]
      node.tried += 1
      if (!item) {
        this.#goBack(node)
        continue
      }
      steps += 1
      if (steps > stepsMax) return 'undecided'
      const state = this.#next(node, item)
      if (state === null) continue
      this.#place(item)
      if (this.#placed === this.#returned.length) return null
      const size = this.#known.size
      // In two steps: `add` does not say whether it was new.
      if (this.#known.add(this.#fingerprint(state)).size === size) this.#unplace(item)
      else this.#path.push(this.#node(state, item))
    }
    return this.#best
  }

  #node(state: State, item: Item<Step> | null): Node<State, Step> {
    return { state, item, candidates: this.#candidates(), tried: 0 }
  }

  /**
   * What was called before the first of the rest has returned; equal times may be in any order. The first to return is tried first,
   * and what need not have happened at all last.
   */
  #candidates(): Item<Step>[] {
    let end = Number.POSITIVE_INFINITY
    const candidates: Item<Step>[] = []
    for (let i = this.#low; i < this.#returned.length; i++) {
      const item = this.#returned[i]
      if (!item || item.operation.call > end) break
      if (item.isPlaced) continue
      candidates.push(item)
      end = Math.min(end, item.end)
    }
    candidates.sort((a, b) => a.end - b.end)
    for (const item of this.#unknown) {
      if (item.operation.call > end) break
      if (!item.isPlaced) candidates.push(item)
    }
    return candidates
  }

  /** The state with this operation next, or null if it cannot be, or need not be tried. */
  #next({ state, item: last }: Node<State, Step>, item: Item<Step>): State | null {
    const isUnknown = item.operation.return === null
    const next = this.#model.step(state, item.step, isUnknown)
    if (next === null) return null
    // What may never have happened and changes nothing did not.
    if (isUnknown && this.#isEqual(next, state)) return null
    if (last?.operation.return !== null) return next
    // Nor did what made no difference to its successor.
    const before = this.#path.at(-2)
    const without = before && this.#model.step(before.state, item.step, isUnknown)
    return without !== undefined && without !== null && this.#isEqual(without, next) ? null : next
  }

  #isEqual(a: State, b: State): boolean {
    return a === b || this.#model.text(a) === this.#model.text(b)
  }

  #place(item: Item<Step>): void {
    item.isPlaced = true
    if (item.operation.return !== null) this.#placed += 1
    while (this.#returned[this.#low]?.isPlaced) this.#low += 1
  }

  #unplace(item: Item<Step>): void {
    item.isPlaced = false
    if (item.operation.return === null) return
    this.#placed -= 1
    this.#low = Math.min(this.#low, item.at)
  }

  /** Few are placed beyond the first that is not: the text is short. */
  #fingerprint(state: State): string {
    let text = `${this.#low}`
    let left = this.#placed - this.#low
    for (let i = this.#low; left > 0; i++) {
      if (!this.#returned[i]?.isPlaced) continue
      left -= 1
      text += `,${i}`
    }
    for (const [i, item] of this.#unknown.entries()) if (item.isPlaced) text += `?${i}`
    return `${text} ${this.#model.text(state)}`
  }

  #goBack(node: Node<State, Step>): void {
    if (this.#placed > this.#bestPlaced) {
      this.#bestPlaced = this.#placed
      this.#best = {
        prefix: this.#path.flatMap(({ item }) => (item ? [item.operation] : [])),
        state: this.#model.text(node.state),
        unplaced: node.candidates.map(({ operation }) => operation).filter((operation) => operation.return !== null),
      }
    }
    this.#path.pop()
    if (node.item) this.#unplace(node.item)
  }
}

/** The last of a prefix say enough. */
const shown = 8

function failure(model: string, key: string, stuck: Stuck, count: number): Failure {
  const { prefix, state, unplaced } = stuck
  const lines = [`${model} ${JSON.stringify(key)}: of ${count} operations ${prefix.length} can be put in order`]
  if (prefix.length > shown) lines.push(`  ... ${prefix.length - shown} before these ...`)
  lines.push(...prefix.slice(-shown).map((operation) => `  ${line(operation)}`))
  lines.push(`then it is ${state}, and none of these can be next:`)
  lines.push(...unplaced.map((operation) => `  ${line(operation)}`))
  return { model, key, ...stuck, explanation: lines.join('\n') }
}

function line({ client, op, input, output, call, return: returned }: Operation): string {
  const given = input === null || input === undefined ? '' : ` ${JSON.stringify(input)}`
  const got = returned === null ? 'unknown' : JSON.stringify(output ?? null)
  return `${call.toFixed(3)} to ${returned?.toFixed(3) ?? '?'} ${client}: ${op}${given} -> ${got}`
}
