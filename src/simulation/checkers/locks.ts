import type { Instruction } from '../../machine/command.js'
import type { LockMode } from '../../machine/lock/command.js'
import type { MachineState } from '../../machine/machine.js'
import type { Applied, LockEvent, Outcome } from '../../machine/outcome.js'
import type { FenceCheck, TransactionOperation } from '../../machine/store/command.js'
import type { Entry } from '../../raft/entry.js'
import type { World } from '../world.js'
import { checkDeadlocks } from './deadlock.js'
import { excludes, ownerKey, type Territory } from './territory.js'

/** A level of priority is worth so much waiting, ms. */
const levelMs = 1_000

/** Circles are looked for at every so many entries. */
const deadlocksEvery = 8

type Numbered = Extract<Instruction, { readonly type: 'numbered' }>
type Command = NonNullable<Numbered['command']>

/** What somebody asked for. */
interface Asked {
  readonly names: readonly string[]
  readonly mode: LockMode
  readonly scope: 'exact' | 'tree'
  readonly owner: string
  readonly steal: boolean
  readonly maxHold: number | null
  readonly lockDelay: number
  /** Lower ones are served first. */
  readonly rank: number
  readonly index: number
}

interface Hold extends Territory {
  readonly asked: Asked
  readonly mode: LockMode
  /** The last one is the present one. */
  readonly tokens: readonly number[]
  /** Cluster time. */
  readonly endsAt: number | null
  /** The shortest that anybody has asked for. */
  readonly grace: number | null
  /** When the grace that was acknowledged is over. */
  readonly revokedAt: number | null
  /** The index of the entry. */
  readonly granted: number
}

interface Delay extends Territory {
  readonly until: number
}

/** What becomes of locks in one history, entry by entry: books of its own, kept by what was asked and what bystanders were told. */
export class LockChecker {
  readonly #world: World
  readonly #machine: MachineState
  readonly #asked = new Map<string, Asked>()
  readonly #holds = new Map<string, Hold>()
  #delays: Delay[] = []
  /** By name: the first token of an uninterrupted share (T2). */
  readonly #shares = new Map<string, number>()
  /** By token and name: of those who share it several may have the same token. */
  readonly #territories = new Map<string, Territory[]>()
  readonly #lastToken = new Map<string, { readonly token: number; readonly owner: string }>()
  readonly #stolen = new Set<string>()

  constructor(world: World, machine: MachineState) {
    this.#world = world
    this.#machine = machine
  }

  wasStolen(name: string, token: number): boolean {
    return this.#stolen.has(`${token} ${name}`)
  }

  /** Of all that was granted under that token. */
  territoriesOf(name: string, token: number): readonly Territory[] {
    return this.#territories.get(`${token} ${name}`) ?? [{ name, scope: 'exact', owner: `${token}` }]
  }

  /** Whether somebody holds it under that token, or did before an upgrade of the same hold. */
  isHeld(name: string, token: number): boolean {
    return [...this.#holds.values()].some((hold) => hold.name === name && hold.tokens.includes(token))
  }

  /** T2: whether a fence with that token lets through after the last entry. */
  passes(name: string, token: number): boolean {
    if (this.#shares.get(name) === token) return true
    return [...this.#holds.values()].some((hold) => hold.name === name && hold.tokens.at(-1) === token)
  }

  applied(entry: Entry, instruction: Instruction | null, { answer, lockEvents = [] }: Applied): void {
    const numbered = instruction?.type === 'numbered' && answer?.outcome ? instruction : null
    if (numbered?.command) this.#ask(numbered, numbered.command, entry.index)
    for (const event of lockEvents) {
      if (event.type === 'lock.taken') this.#taken(event, entry)
      else this.#freed(event, instruction)
    }
    if (numbered?.command && answer?.outcome) this.#answered(numbered, numbered.command, answer.outcome)
    this.#checkDue(entry)
    if (lockEvents.length > 0) this.#checkExclusion(entry.index)
    if (entry.index % deadlocksEvery === 0) this.checkDeadlocks()
  }

  /** Nobody waits for what can never come. */
  checkDeadlocks(): void {
    checkDeadlocks(this.#world, this.#machine)
  }

  #ask({ session, number }: Numbered, command: Command, index: number): void {
    if (command.type !== 'lock.request' && command.type !== 'lock.acquire') return
    const key = `${session}/${number}`
    // S-2: sent again, it is what it was.
    if (this.#asked.has(key)) return
    const { mode, steal } = command
    const { names, owner, scope, priority, maxHold, lockDelay } =
      command.type === 'lock.acquire' ? command : { names: [command.name], ...plain }
    const rank = this.#machine.clusterTime - priority * levelMs
    const asked = { names, mode, steal, scope, maxHold, lockDelay, rank, index }
    this.#asked.set(key, { ...asked, owner: ownerKey(session, number, owner) })
  }

  #taken(event: Extract<LockEvent, { type: 'lock.taken' }>, { index }: Entry): void {
    const { name, token, mode, how, session, request } = event
    const asked = this.#asked.get(`${session}/${request}`)
    if (!asked) {
      this.#world.convict('books', `${name} was given to a request that nobody made: ${session}/${request}`)
      return
    }
    const { clusterTime } = this.#machine
    const key = `${session}/${request} ${name}`
    const before = this.#holds.get(key)
    const { scope, owner } = asked
    const { grace, revokedAt } = before ?? (how === 'reentered' ? this.#coverOf(asked, name) : null) ?? notRevoked
    const hold: Hold = {
      ...{ name, scope, owner, asked, mode, tokens: [...(before?.tokens ?? []), token] },
      ...{ grace, revokedAt, granted: before?.granted ?? index },
      endsAt: before ? before.endsAt : this.#endOf(asked, clusterTime, index),
    }
    this.#holds.set(key, hold)
    const granted = this.#territories.get(`${token} ${name}`) ?? []
    this.#territories.set(`${token} ${name}`, [...granted, { name, scope, owner }])
    if (mode === 'exclusive') this.#shares.delete(name)
    else if (!this.#shares.has(name)) this.#shares.set(name, token)
    if (how === 'granted' || how === 'upgraded') this.#checkToken(event, owner)
    if (how === 'reentered') this.#world.coverage.hit('lock re-entered')
    if (how === 'reentered' || asked.steal) return
    if (how === 'granted' || how === 'upgraded') this.#checkDelay(hold, index)
    if (how === 'granted') this.#checkOrder(hold, index)
  }

  /** By which hold of its owner that name is entered again: of that very name, or of the tree with the shortest name; of several as the machine says. */
  #coverOf({ owner, scope, mode, index }: Asked, name: string): Hold | undefined {
    const own = [...this.#holds.values()].filter((hold) => {
      if (hold.owner !== owner || hold.asked.index === index) return false
      const covers =
        hold.name === name
          ? hold.scope === 'tree' || scope === 'exact'
          : hold.scope === 'tree' && name.startsWith(`${hold.name}/`)
      return covers && (hold.mode === 'exclusive' || mode === 'shared')
    })
    const isNearer = (a: Hold, b: Hold) =>
      Number(b.name === name) - Number(a.name === name) || a.name.length - b.name.length
    const isNewer = (a: Hold, b: Hold) => (b.tokens.at(-1) ?? 0) - (a.tokens.at(-1) ?? 0)
    const never = Number.MAX_SAFE_INTEGER
    const lastsLonger = (a: Hold, b: Hold) => (b.endsAt ?? never) - (a.endsAt ?? never)
    const isAskedBack = (a: Hold, b: Hold) => (a.revokedAt ?? never) - (b.revokedAt ?? never)
    return own.sort((a, b) => isNearer(a, b) || isNewer(a, b) || lastsLonger(a, b) || isAskedBack(a, b))[0]
  }

  /** Who comes in again stays no longer than the holds that let him in, unless they began with the same entry. */
  #endOf(asked: Asked, now: number, index: number): number | null {
    const own = asked.maxHold === null ? Number.POSITIVE_INFINITY : now + asked.maxHold
    const covers = asked.steal ? [] : asked.names.map((name) => this.#coverOf(asked, name))
    const end = Math.min(own, ...covers.map((cover) => (cover && cover.granted < index ? endOf(cover) : own)))
    return end === Number.POSITIVE_INFINITY ? null : end
  }

  /** T1: the tokens of a name grow from one exclusive holder to the next. One owner's holds that begin in one entry have one. */
  #checkToken({ name, token, mode }: LockEvent, owner: string): void {
    const last = this.#lastToken.get(name) ?? { token: 0, owner }
    if (token < last.token || (mode === 'exclusive' && token === last.token && owner !== last.owner))
      this.#world.convict('tokens', `${name} was granted under ${token} after ${last.token}`)
    this.#lastToken.set(name, { token, owner })
  }

  #checkDelay(hold: Hold, index: number): void {
    const { clusterTime } = this.#machine
    this.#delays = this.#delays.filter(({ until }) => until > clusterTime)
    const delay = this.#delays.find((one) => excludes(one, hold))
    if (delay)
      this.#world.convict(
        'lock-delay',
        `entry ${index} of ${clusterTime} grants ${hold.name}, kept closed until ${delay.until}`,
      )
  }

  /** Nobody starves: whoever waits longer, counted with its priority, is not passed by what would keep it out. */
  #checkOrder({ name, asked, mode }: Hold, index: number): void {
    const mine = { name, scope: asked.scope, owner: asked.owner }
    for (const { queue, name: other } of this.#machine.locks.resources.values())
      for (const { session, request } of queue) {
        const waiting = this.#asked.get(`${session}/${request}`)
        if (!waiting || waiting.index === index || (mode === 'shared' && waiting.mode === 'shared')) continue
        const isAhead = waiting.rank < asked.rank || (waiting.rank === asked.rank && waiting.index < asked.index)
        if (isAhead && excludes({ name: other, scope: waiting.scope, owner: waiting.owner }, mine))
          this.#world.convict(
            'order',
            `entry ${index} grants ${name} past ${session}/${request}, which waits for ${other}`,
          )
      }
  }

  #freed(event: Extract<LockEvent, { type: 'lock.freed' }>, instruction: Instruction | null): void {
    const { name, how, session, request } = event
    const key = `${session}/${request} ${name}`
    const hold = this.#holds.get(key)
    if (!hold) return
    const { clusterTime } = this.#machine
    this.#holds.delete(key)
    if (![...this.#holds.values()].some((other) => other.name === name)) this.#shares.delete(name)
    if (how === 'stolen') for (const token of hold.tokens) this.#stolen.add(`${token} ${name}`)
    // S-7: nothing is taken before its holder knows.
    if (how === 'revoked' && (hold.revokedAt === null || hold.revokedAt > clusterTime))
      this.#world.convict('grace', `${name} was taken at ${clusterTime}, its grace ends at ${hold.revokedAt}`)
    const isDue = hold.endsAt !== null && hold.endsAt <= clusterTime
    const isUnclean = (how === 'expired' && !isDue) || (how === 'left' && isUnexpected(instruction))
    const { scope, asked } = hold
    if (isDue && how === 'expired') this.#world.coverage.hit('lock ended by its maxHold')
    if (isUnclean && asked.lockDelay > 0) this.#world.coverage.hit('lock-delay begun')
    // Nobody's own: it keeps out its last owner as well.
    if (isUnclean) this.#delays.push({ name, scope, owner: `delay ${key}`, until: clusterTime + asked.lockDelay })
  }

  #answered({ session }: Numbered, command: Command, outcome: Outcome): void {
    if (command.type === 'lock.revoke' && outcome.type === 'lock.revoked') {
      for (const [key, hold] of this.#holds)
        if (hold.name === command.name)
          this.#holds.set(key, { ...hold, grace: Math.min(hold.grace ?? command.grace, command.grace) })
    } else if (command.type === 'lock.acknowledge') {
      const key = `${session}/${command.request} ${command.name}`
      const hold = this.#holds.get(key)
      if (!hold || hold.grace === null) return
      const end = this.#machine.clusterTime + hold.grace
      this.#holds.set(key, { ...hold, revokedAt: Math.min(hold.revokedAt ?? end, end) })
    } else this.#checkFences(command, outcome)
  }

  /** T2: a fence lets through what is held under that very token now, and nothing else. */
  #checkFences(command: Command, outcome: Outcome): void {
    // Else the answer is that of an earlier entry.
    if (!('revision' in outcome) || outcome.revision !== this.#machine.appliedIndex) return
    for (const { name, token } of fencesOf(command, outcome))
      if (!this.passes(name, token))
        this.#world.convict('fence', `entry ${outcome.revision} was written under ${name} ${token}, which is not held`)
  }

  /** Ends come in cluster time: with the first entry that is not before them. */
  #checkDue({ index }: Entry): void {
    const { clusterTime } = this.#machine
    for (const { name, endsAt, revokedAt } of this.#holds.values()) {
      const [rule, end] = endsAt !== null && endsAt <= clusterTime ? ['max-hold', endsAt] : ['grace', revokedAt]
      // What an acknowledgement ends at once is taken with the next entry.
      if (end !== null && end < clusterTime)
        this.#world.convict(rule, `${name} is held after entry ${index} of ${clusterTime}, and was to end at ${end}`)
    }
  }

  /** Two that hold what meets are of one owner, or share it. */
  #checkExclusion(index: number): void {
    const all = [...this.#machine.locks.resources.values()].flatMap(({ name, held }) =>
      held.map(({ session, request, mode, beyond }) => {
        const { scope = 'exact', owner = null } = beyond ?? {}
        return { name, scope, owner: ownerKey(session, request, owner), mode }
      }),
    )
    for (const one of all)
      if (one.mode === 'exclusive' && all.some((other) => excludes(one, other)))
        this.#world.convict('mutual-exclusion', `${one.name} is held beside another holder after entry ${index}`)
  }
}

function endOf({ endsAt, revokedAt }: Hold): number {
  return Math.min(endsAt ?? Number.POSITIVE_INFINITY, revokedAt ?? Number.POSITIVE_INFINITY)
}

const notRevoked = { grace: null, revokedAt: null }

const plain = { owner: null, scope: 'exact', priority: 0, maxHold: null, lockDelay: 0 } as const

/** Those that had to let it through. */
function fencesOf(command: Command, outcome: Outcome): readonly FenceCheck[] {
  if (command.type === 'store.set' || command.type === 'store.delete') return command.fence ? [command.fence] : []
  if (command.type !== 'store.transact') return []
  const own = doneBy(command, outcome).map((operation) => (operation.type === 'get' ? null : operation.fence))
  return [command.fence, ...own].filter((fence) => fence !== null)
}

/** The list of a transaction that was done. */
export function doneBy(command: Command, outcome: Outcome): readonly TransactionOperation[] {
  if (command.type !== 'store.transact' || outcome.type !== 'store.transacted') return []
  return outcome.succeeded ? command.success : command.failure
}

/** Its page did not say goodbye: it was replaced by a later life, or proven dead. */
function isUnexpected(instruction: Instruction | null): boolean {
  return instruction?.type === 'open' || (instruction?.type === 'close' && instruction.proof === 'death')
}
