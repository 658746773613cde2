/**
 * Whether a history keeps what the library promises. Linearizability says it all; the simpler judges before it say the same in
 * words that need no search, and hold where its search is given up.
 */
import { checkHistory } from '../../src/simulation/linearizability/check.js'
import type { Operation } from '../../src/simulation/linearizability/history.js'

/** A hold as its holder believed in it. */
interface Hold {
  readonly name: string
  readonly client: string
  readonly mode: 'exclusive' | 'shared'
  readonly token: number
  readonly asked: number
  readonly granted: number
  /** The last moment at which the holder read `held`. */
  readonly certainUntil: number
}

/** One sentence for each promise that was broken; `undecided`: what the search was given up for. */
export interface Judgement {
  readonly violations: readonly string[]
  readonly undecided: readonly string[]
}

export function judge(history: readonly Operation[]): Judgement {
  const holds = readHolds(history)
  const { failures, undecided } = checkHistory(history)
  const violations = [
    ...judgeBelief(holds),
    ...judgeTokens(holds),
    ...judgeFences(history, holds),
    ...judgeWrites(history),
    ...failures.map(({ explanation }) => `not linearizable: ${explanation}`),
  ]
  return { violations, undecided }
}

function readHolds(history: readonly Operation[]): Hold[] {
  const ends = new Map<string, number>()
  for (const { op, key, client, input, call } of history) {
    if (op === 'release') ends.set(`${key} ${client} ${numberIn(input, 'token')}`, call)
  }
  return history.flatMap(({ op, key, client, input, output, call, return: returned }) => {
    const token = numberIn(output, 'token')
    if (op !== 'acquire' || returned === null || token === null) return []
    const mode = fieldOf(input, 'mode') === 'shared' ? 'shared' : 'exclusive'
    const certainUntil = ends.get(`${key} ${client} ${token}`) ?? returned
    return [{ name: key, client, mode, token, asked: call, granted: returned, certainUntil }]
  })
}

/** Mutual exclusion as the pages see it: nobody reads `held` while another does who excludes it. */
function judgeBelief(holds: readonly Hold[]): string[] {
  const violations: string[] = []
  for (const [a, b] of pairs(holds)) {
    const isBoth = a.granted < b.certainUntil && b.granted < a.certainUntil
    if (isBoth) violations.push(`held at once: ${told(a)} and ${told(b)}`)
  }
  return violations
}

/** T1: who asks after another was granted has a higher token, and no two have the same. */
function judgeTokens(holds: readonly Hold[]): string[] {
  const violations: string[] = []
  for (const [a, b] of pairs(holds)) {
    const isWrong = a.token === b.token || isBackward(a, b) || isBackward(b, a)
    if (isWrong) violations.push(`tokens do not rise: ${told(a)} and ${told(b)}`)
  }
  return violations
}

function isBackward(earlier: Hold, later: Hold): boolean {
  return earlier.granted < later.asked && earlier.token >= later.token
}

/** T2: a write under a token is refused once somebody else has been granted the lock. */
function judgeFences(history: readonly Operation[], holds: readonly Hold[]): string[] {
  return history.flatMap((write) => {
    const fence = fieldOf(write.input, 'fence')
    const token = numberIn(fence, 'token')
    if (write.op !== 'set' || write.return === null || token === null) return []
    return holds
      .filter((hold) => hold.name === fieldOf(fence, 'name') && hold.mode === 'exclusive')
      .filter((hold) => hold.token > token && hold.granted < write.call)
      .map((hold) => `${write.client} wrote ${write.key} under ${token} at ${write.call}, after ${told(hold)}`)
  })
}

/** What was acknowledged under a key that is written once is there whenever it is read afterwards. */
function judgeWrites(history: readonly Operation[]): string[] {
  const byKey = new Map<string, Operation[]>()
  for (const operation of history) {
    const same = byKey.get(operation.key) ?? []
    byKey.set(operation.key, same)
    same.push(operation)
  }
  return [...byKey].flatMap(([key, operations]) => {
    const writes = operations.filter(({ op }) => op === 'set' || op === 'delete' || op === 'compareAndSet')
    const [write] = writes
    if (writes.length !== 1 || write?.op !== 'set' || write.return === null) return []
    const { client, return: acknowledged } = write
    const value = fieldOf(write.input, 'value')
    return operations
      .filter(({ op, call, return: returned }) => op === 'get' && returned !== null && call > acknowledged)
      .filter(({ output }) => fieldOf(output, 'value') !== value)
      .map(({ call, output }) => {
        const found = JSON.stringify(output ?? null)
        return `lost: ${client} wrote ${JSON.stringify(value)} to ${key} until ${acknowledged}, and at ${call} there is ${found}`
      })
  })
}

/** Of one lock, and not both shared. */
function* pairs(holds: readonly Hold[]): Generator<[Hold, Hold]> {
  const before = new Map<string, Hold[]>()
  for (const hold of holds) {
    const others = before.get(hold.name) ?? []
    before.set(hold.name, others)
    for (const other of others) if (hold.mode === 'exclusive' || other.mode === 'exclusive') yield [other, hold]
    others.push(hold)
  }
}

function told({ name, client, mode, token, granted, certainUntil }: Hold): string {
  return `${client} (${name}, ${mode}, ${token}, from ${granted} to ${certainUntil})`
}

function fieldOf(from: unknown, name: string): unknown {
  return typeof from === 'object' && from !== null ? Object.getOwnPropertyDescriptor(from, name)?.value : undefined
}

function numberIn(from: unknown, name: string): number | null {
  const field = fieldOf(from, name)
  return typeof field === 'number' ? field : null
}
