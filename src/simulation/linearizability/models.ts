/** What one key of the store, one lock and one counter are when nothing happens at the same time: the specification, as small as it can be. */
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
    input: v.object({
      expected: v.union([v.strictObject({ revision: v.number() }), v.strictObject({ value })]),
      next: value,
    }),
    output: v.nullable(v.object({ swapped: v.boolean() })),
  }),
  v.object({ op: v.literal('expire'), input: v.object({ value }) }),
])
type RegisterStep = v.InferOutput<typeof registerStep>
type CompareAndSet = Extract<RegisterStep, { readonly op: 'compareAndSet' }>

interface Register {
  /** JSON, or null for nothing there. */
  readonly value: string | null
  /** Of the value; null: nobody has said. */
  readonly revision: number | null
  /** What it is known not to be while nobody has said: in order, each once. */
  readonly not: readonly number[]
  /** The highest that a write is known to have had. */
  readonly last: number
}

/**
 * One key of the store:
 * `get` gives `{ value, revision? }`, or null for nothing there; `set` `{ value }` gives `{ revision? }`; `delete` gives
 * `{ existed }`; `compareAndSet` `{ expected: { revision } | { value }, next }` gives `{ swapped }`. Revisions rise; that of nothing is
 * 0, and nothing equals no value. `expire` `{ value }` is nobody's call: the session ends that wrote the value as ephemeral, so its
 * outcome is always unknown.
 */
export const register: Model<Register, RegisterStep> = {
  name: 'register',
  operations: ['get', 'set', 'delete', 'compareAndSet', 'expire'],
  initial: { value: null, revision: null, not: [], last: 0 },
  read: (operation) => parse(registerStep, operation),
  step: stepRegister,
  text: ({ value, revision, not, last }) =>
    `${value ?? 'nothing'} of revision ${revision ?? '?'}${not.map((other) => `, not ${other}`).join('')}, last ${last}`,
}

function stepRegister(state: Register, step: RegisterStep, unknown: boolean): Register | null {
  switch (step.op) {
    case 'get':
      return unknown ? state : seen(state, step.output)
    case 'set':
      return written(state, step.input.value, step.output?.revision)
    case 'delete':
      return unknown || step.output?.existed === (state.value !== null) ? cleared(state) : null
    case 'compareAndSet':
      // One that did not swap changes nothing: as if it had never happened.
      return unknown || step.output?.swapped ? swapped(state, step) : kept(state, step)
    case 'expire':
      return state.value === step.input.value ? cleared(state) : null
  }
}

/** After a swap that took place: it may be the first to tell the revision of a write whose own answer did not. */
function swapped(state: Register, { input: { expected, next } }: CompareAndSet): Register | null {
  if ('value' in expected) return state.value === expected.value ? written(state, next, undefined) : null
  const { revision } = expected
  if (state.value === null) return revision === 0 ? written(state, next, undefined) : null
  const known = state.revision === revision ? state : told(state, revision)
  return known && written(known, next, undefined)
}

/** After a swap that did not take place. */
function kept(state: Register, { input: { expected } }: CompareAndSet): Register | null {
  if ('value' in expected) return state.value === expected.value ? null : state
  const { revision } = expected
  if (state.value === null) return revision === 0 ? null : state
  if (state.revision !== null) return state.revision === revision ? null : state
  if (revision <= state.last || state.not.includes(revision)) return state
  return { ...state, not: [...state.not, revision].sort((a, b) => a - b) }
}

function cleared({ last }: Register): Register {
  return { value: null, revision: null, not: [], last }
}

function written({ last }: Register, value: string, revision: number | undefined): Register | null {
  if (revision === undefined) return { value, revision: null, not: [], last }
  return revision > last ? { value, revision, not: [], last: revision } : null
}

/** The same value, of which somebody has said the revision; null if it cannot be that one. */
function told(state: Register, revision: number): Register | null {
  if (state.value === null || state.revision !== null || state.not.includes(revision)) return null
  return written(state, state.value, revision)
}

/** A read may be the first to tell the revision of a write whose own answer was lost. */
function seen(state: Register, found: { value: string; revision?: number | undefined } | null): Register | null {
  if (state.value !== (found?.value ?? null)) return null
  if (found?.revision === undefined || found.revision === state.revision) return state
  return told(state, found.revision)
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

const counterStep = v.variant('op', [
  v.object({
    op: v.literal('add'),
    input: v.object({ n: v.number() }),
    output: v.nullable(v.object({ sum: v.number() })),
  }),
  v.object({ op: v.literal('count'), output: v.nullable(v.object({ value: v.number() })) }),
  v.object({
    op: v.literal('exchange'),
    input: v.object({ expected: v.number(), next: v.number() }),
    output: v.nullable(v.object({ swapped: v.boolean() })),
  }),
])
type CounterStep = v.InferOutput<typeof counterStep>

/**
 * One counter: `add` `{ n }` gives `{ sum }`; `count` gives `{ value }`; `exchange` `{ expected, next }` gives `{ swapped }`. It begins at 0.
 */
export const counter: Model<number, CounterStep> = {
  name: 'counter',
  operations: ['add', 'count', 'exchange'],
  initial: 0,
  read: (operation) => parse(counterStep, operation),
  step: stepCounter,
  text: String,
}

function stepCounter(state: number, step: CounterStep, unknown: boolean): number | null {
  switch (step.op) {
    case 'add': {
      const sum = state + step.input.n
      return unknown || step.output?.sum === sum ? sum : null
    }
    case 'count':
      return unknown || step.output?.value === state ? state : null
    case 'exchange': {
      const { expected, next } = step.input
      const isExpected = state === expected
      // One that did not swap changes nothing: as if it had never happened.
      if (unknown) return isExpected ? next : null
      if (step.output?.swapped !== isExpected) return null
      return isExpected ? next : state
    }
  }
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
