/** What one key of the store and one lock are when nothing happens at the same time: the specification, as small as it can be. */
import * as v from 'valibot'
import type { Operation } from './history.js'

/** A sequential object. States are values: a step makes a new one. */
export interface Model<State, Step> {
  readonly name: string
  /** The operations that it knows. */
  readonly operations: readonly string[]
  readonly initial: State
  /** The operation in the model's own shape. Throws on an input or output that has none. */
  read(operation: Operation): Step
  /** The state after it, or null if it cannot happen in this state with that output. `unknown`: any output will do. */
  step(state: State, step: Step, unknown: boolean): State | null
  /** Equal for equal states only; shown to people. */
  text(state: State): string
}

// Values are compared by their JSON.
const value = v.pipe(
  v.unknown(),
  v.transform((given) => JSON.stringify(given) ?? 'null'),
)
const revision = v.optional(v.number())
const registerStep = v.variant('op', [
  v.object({ op: v.literal('get'), output: v.nullable(v.object({ value, revision })) }),
  v.object({ op: v.literal('set'), input: v.object({ value }), output: v.nullable(v.object({ revision })) }),
  v.object({ op: v.literal('delete'), output: v.nullable(v.object({ existed: v.boolean() })) }),
  v.object({
    op: v.literal('compareAndSet'),
    input: v.object({ expected: v.nullable(v.object({ value })), next: value }),
    output: v.nullable(v.object({ swapped: v.boolean() })),
  }),
  v.object({ op: v.literal('expire'), input: v.object({ value }) }),
])
type RegisterStep = v.InferOutput<typeof registerStep>

interface Register {
  /** JSON, or null for nothing there. */
  readonly value: string | null
  /** Of the value; null: nobody has said. */
  readonly revision: number | null
  /** The highest that a write is known to have had. */
  readonly last: number
}

/**
 * One key of the store:
 * `get` gives `{ value, revision? }`, or null for nothing there; `set` `{ value }` gives `{ revision? }`; `delete` gives
 * `{ existed }`; `compareAndSet` `{ expected: { value } | null, next }` gives `{ swapped }`. Revisions rise. `expire` `{ value }`
 * is nobody's call: the session ends that wrote the value as ephemeral, so its outcome is always unknown.
 */
export const register: Model<Register, RegisterStep> = {
  name: 'register',
  operations: ['get', 'set', 'delete', 'compareAndSet', 'expire'],
  initial: { value: null, revision: null, last: 0 },
  read: (operation) => parse(registerStep, operation),
  step: stepRegister,
  text: ({ value, revision, last }) => `${value ?? 'nothing'} of revision ${revision ?? '?'}, last ${last}`,
}

function stepRegister(state: Register, step: RegisterStep, unknown: boolean): Register | null {
  switch (step.op) {
    case 'get':
      return unknown ? state : seen(state, step.output)
    case 'set':
      return written(state, step.input.value, step.output?.revision)
    case 'delete':
      return unknown || step.output?.existed === (state.value !== null) ? cleared(state) : null
    case 'compareAndSet': {
      const swaps = state.value === (step.input.expected?.value ?? null)
      if (!unknown && step.output?.swapped !== swaps) return null
      return swaps ? written(state, step.input.next, undefined) : state
    }
    case 'expire':
      return state.value === step.input.value ? cleared(state) : null
  }
}

function cleared({ last }: Register): Register {
  return { value: null, revision: null, last }
}

function written({ last }: Register, value: string, revision: number | undefined): Register | null {
  if (revision === undefined) return { value, revision: null, last }
  return revision > last ? { value, revision, last: revision } : null
}

/** A read may be the first to tell the revision of a write whose own answer was lost. */
function seen(state: Register, found: { value: string; revision?: number | undefined } | null): Register | null {
  if (state.value !== (found?.value ?? null)) return null
  if (found?.revision === undefined || found.revision === state.revision) return state
  return state.revision === null ? written(state, found.value, found.revision) : null
}

const lockStep = v.variant('op', [
  v.object({
    op: v.literal('acquire'),
    client: v.string(),
    input: v.object({ mode: v.picklist(['exclusive', 'shared']) }),
    output: v.nullable(v.object({ token: v.number() })),
  }),
  v.object({ op: v.literal('release'), client: v.string(), input: v.object({ token: v.number() }) }),
])
type LockStep = v.InferOutput<typeof lockStep>

interface LockState {
  readonly mode: 'exclusive' | 'shared'
  /** Each by its client and token. */
  readonly holders: readonly string[]
  /** The highest token that was granted. */
  readonly last: number
}

/**
 * One lock: `acquire` `{ mode }` gives `{ token }`, or null if it was not granted; `release` `{ token }`. Tokens rise; grants of one moment
 * to several that share it may have the same. `release` stands for every end of a hold, also one that its holder did not ask for: its call
 * is the last moment at which the holder was certain. An `acquire` of unknown outcome changes nothing: if it was granted, whoever came
 * next came after its end, and nobody saw it.
 */
export const lock: Model<LockState, LockStep> = {
  name: 'lock',
  operations: ['acquire', 'release'],
  initial: { mode: 'shared', holders: [], last: 0 },
  read: (operation) => parse(lockStep, operation),
  step: stepLock,
  text: ({ mode, holders, last }) =>
    holders.length === 0 ? `free, last ${last}` : `${mode} by ${holders.join(' and ')}, last ${last}`,
}

function stepLock(state: LockState, step: LockStep, unknown: boolean): LockState | null {
  if (step.op === 'release') {
    const holder = `${step.client} under ${step.input.token}`
    if (!state.holders.includes(holder)) return null
    return { ...state, holders: state.holders.filter((other) => other !== holder) }
  }
  if (unknown || !step.output) return state
  const { mode } = step.input
  const { token } = step.output
  const isFree = state.holders.length === 0 || (mode === 'shared' && state.mode === 'shared')
  const rises = token > state.last || (mode === 'shared' && token === state.last)
  if (!isFree || !rises) return null
  // In one order, so that equal states read the same.
  return { mode, holders: [...state.holders, `${step.client} under ${token}`].sort(), last: token }
}

function parse<Schema extends v.GenericSchema<unknown, unknown>>(
  schema: Schema,
  operation: Operation,
): v.InferOutput<Schema> {
  const read = v.safeParse(schema, operation)
  if (read.success) return read.output
  const [issue] = read.issues
  const { op, key, client } = operation
  throw new Error(`${op} of ${key} by ${client}: ${v.getDotPath(issue) ?? ''}: ${issue.message}`)
}
