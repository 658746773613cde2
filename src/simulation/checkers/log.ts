import type { Command } from '../../machine/command.js'
import { decodeInstruction } from '../../machine/instruction.js'
import { applyEntry, createMachine, encodeMachine, type MachineState } from '../../machine/machine.js'
import type { Applied, Outcome } from '../../machine/outcome.js'
import type { Configuration, Entry } from '../../raft/entry.js'
import { encode } from '../../shared/codec.js'
import { encodeValue, type Value } from '../../shared/value.js'
import { coverApplied } from '../branches.js'
import type { SimDisk } from '../disk.js'
import { hashBytes, hashText } from '../prng.js'
import type { HostRecord } from '../worker.js'
import type { World } from '../world.js'
import { ChangeBooks } from './changes.js'
import { FencedKeys } from './fenced-keys.js'
import { doneBy, LockChecker } from './locks.js'
import type { Territory } from './territory.js'

/** Whole machines are compared at every so many entries: encoding one costs as much as fifty entries. */
const compareEvery = 16

/** One version of a key: what it was from that index on. */
export interface Version {
  readonly index: number
  /** Null: it was not there. */
  readonly revision: number | null
}

/**
 * What was applied anywhere is committed, and the same everywhere for ever. Keeps its own machine, fed once with each
 * entry as the first host applied it: all other checkers ask this one what is true.
 */
export class LogChecker {
  readonly machine: MachineState = createMachine()
  readonly locks: LockChecker
  readonly changes = new ChangeBooks()
  readonly #fencedKeys: FencedKeys
  readonly #world: World
  readonly #diskOf: (peerId: string) => SimDisk | null
  readonly #entries: Entry[] = []
  readonly #hashes: number[] = []
  readonly #terms: number[] = []
  readonly #committedIn: number[] = []
  readonly #machines = new Map<number, number>()
  readonly #executed = new Set<string>()
  readonly #versions = new Map<string, Version[]>()
  /** By semaphore, how many permits were out after the last entry. */
  readonly #out = new Map<string, number>()
  /** By the token of a grant, how many permits there were after it. */
  readonly #sizes = new Map<number, number>()
  #foundedAt = 0
  #roomId: string | null = null

  constructor(world: World, diskOf: (peerId: string) => SimDisk | null) {
    this.#world = world
    this.#diskOf = diskOf
    this.locks = new LockChecker(world, this.machine)
    this.#fencedKeys = new FencedKeys(world, this.locks)
  }

  /** N3: another history, that shares the first entries of this one. */
  split(upTo: number): LogChecker {
    const log = new LogChecker(this.#world, this.#diskOf)
    log.#foundedAt = this.#foundedAt
    log.#roomId = this.#roomId
    for (const [i, entry] of this.#entries.slice(0, upTo).entries()) {
      log.#committedIn.push(this.#committedIn[i] ?? 0)
      log.#note(entry, hashOf(entry))
    }
    return log
  }

  /** The highest index that anyone has applied. */
  get lastIndex(): number {
    return this.#hashes.length
  }

  /** How many permits there were when these were granted; null: this history knows of no such grant. */
  sizeAt(token: number): number | null {
    return this.#sizes.get(token) ?? null
  }

  termAt(index: number): number | null {
    return this.#terms[index - 1] ?? null
  }

  /** The term of the first host that applied it, at that moment: it was committed in that term or before. */
  committedIn(index: number): number {
    return this.#committedIn[index - 1] ?? 0
  }

  /** Whether that value, which nobody writes twice, was written in this history. */
  hasWritten(key: string, value: Value): boolean {
    return this.#executed.has(executionOf(key, encodeValue(value)))
  }

  /** Whether it was not there any more at some entry from that index on. */
  hasDeleted(key: string, from: number): boolean {
    return this.versionsOf(key).some(({ index, revision }) => index >= from && revision === null)
  }

  versionsOf(key: string): readonly Version[] {
    return this.#versions.get(key) ?? []
  }

  /** It was taken by `steal`: its holder may not know yet, as the API says. */
  wasStolen(name: string, token: number): boolean {
    return this.locks.wasStolen(name, token)
  }

  /** Of what was granted under that token: just its name for what this history does not know. */
  territoriesOf(name: string, token: number): readonly Territory[] {
    return this.locks.territoriesOf(name, token)
  }

  applied(record: HostRecord, entry: Entry, machine: MachineState, hosts: readonly HostRecord[]): void {
    const { index } = entry
    const hash = hashOf(entry)
    const known = this.#hashes[index - 1]
    if (known === undefined) {
      if (index !== this.lastIndex + 1) {
        this.#world.convict('gap', `${record.self.peerId} applied ${index} after ${this.lastIndex} anywhere`)
        return
      }
      this.#checkRoom(record)
      this.#checkDurable(record, entry, hosts)
      this.#committedIn.push(record.host.status.term)
      this.#first(entry, hash)
    } else if (known !== hash) {
      const terms = `term ${entry.term}, before it was term ${this.termAt(index)}`
      this.#world.convict('state-machine-safety', `${record.self.peerId} applied another entry at ${index}: ${terms}`)
    }
    if (index % compareEvery === 0) this.#compare(record, index, machine)
  }

  /** Everything again: at the end of a run, and after a snapshot was installed. */
  compareNow(record: HostRecord): void {
    const { machine } = record.host
    if (machine.appliedIndex === this.lastIndex)
      this.#compareWith(record, machine, hashBytes(0, encodeMachine(this.machine)))
  }

  #compare(record: HostRecord, index: number, machine: MachineState): void {
    const expected = this.#machines.get(index)
    if (expected !== undefined) this.#compareWith(record, machine, expected)
  }

  #compareWith(record: HostRecord, machine: MachineState, expected: number): void {
    if (hashBytes(0, encodeMachine(machine)) === expected) return
    this.#world.convict('state-machine-safety', `${record.self.peerId} has another machine at ${machine.appliedIndex}`)
  }

  /** N1: one founding. */
  #checkRoom({ host, self }: HostRecord): void {
    const roomId = host.lineage?.roomId ?? null
    this.#roomId ??= roomId
    if (roomId !== this.#roomId)
      this.#world.convict('one-room', `${self.peerId} is in ${roomId}, others in ${this.#roomId}`)
  }

  /** Durable at a majority of some configuration that somebody has: of those the leader's was one. */
  #checkDurable(record: HostRecord, { index, term }: Entry, hosts: readonly HostRecord[]): void {
    const configurations = new Set<Configuration>([record, ...hosts].map(({ host }) => host.status.configuration))
    const holds = (peerId: string) => {
      const group = this.#diskOf(peerId)?.read().groups.get(0)
      if (!group) return false
      if ((group.snapshot?.meta.index ?? 0) >= index) return true
      return group.entries.some((entry) => entry.index === index && entry.term === term)
    }
    const isMajority = (voters: readonly string[]) => voters.filter(holds).length * 2 > voters.length
    for (const { voters, outgoing } of configurations)
      if (isMajority(voters) && (outgoing.length === 0 || isMajority(outgoing))) return
    this.#world.convict('durability', `entry ${index} of term ${term} was applied and is on no quorum of disks`)
  }

  #first(entry: Entry, hash: number): void {
    const { index, term, time } = entry
    if (index === 1) this.#foundedAt = this.#world.now
    const before = this.machine.clusterTime
    if (term < (this.termAt(index - 1) ?? 0))
      this.#world.convict('terms', `entry ${index} has term ${term}, lower than before`)
    // C1. The founding itself took a little while.
    const age = (this.#world.now - this.#foundedAt) * 1.01 + 50
    if (time < before) this.#world.convict('cluster-time', `entry ${index} goes back from ${before} to ${time}`)
    if (time > age) this.#world.convict('cluster-time', `entry ${index} is of ${time}, and the room is ${age} ms old`)
    this.#note(entry, hash)
  }

  #note(entry: Entry, hash: number): void {
    this.#entries.push(entry)
    this.#hashes.push(hash)
    this.#terms.push(entry.term)
    this.#learn(entry, applyEntry(this.machine, entry, Number.MAX_SAFE_INTEGER))
    const { index } = entry
    if (index % compareEvery === 0) this.#machines.set(index, hashBytes(0, encodeMachine(this.machine)))
  }

  #learn(entry: Entry, applied: Applied): void {
    const { answer, events } = applied
    coverApplied(this.#world.coverage, applied)
    const instruction = entry.type === 'command' ? decodeInstruction(entry.data) : null
    const order: string[] = []
    if (instruction?.type === 'numbered' && instruction.command && answer?.outcome) {
      const { outcome } = answer
      const { command } = instruction
      // Else the answer is that of an earlier entry.
      if ('revision' in outcome && outcome.revision === entry.index) this.#executedOnce(command, outcome)
      if (outcome.type === 'store.transacted') order.push(...doneBy(command, outcome).map(({ key }) => key))
    }
    for (const event of events) {
      if (event.type === 'store.changed') this.#changed(event.key, entry.index)
    }
    const changes = this.changes.applied(entry.index, this.machine.store.items, order)
    this.locks.applied(entry, instruction, applied)
    this.#fencedKeys.changed(changes)
    this.#countPermits(entry.index)
  }

  /** More than there are only where a semaphore has shrunk, and then fewer and fewer. */
  #countPermits(index: number): void {
    const { byName } = this.machine.semaphores
    for (const { name, size, held } of byName.values()) {
      const out = held.reduce((sum, { count }) => sum + count, 0)
      if (out > Math.max(size, this.#out.get(name) ?? 0))
        this.#world.convict('mutual-exclusion', `${out} of ${size} permits of ${name} are out after entry ${index}`)
      this.#out.set(name, out)
      for (const { token } of held) if (!this.#sizes.has(token)) this.#sizes.set(token, size)
    }
    for (const name of this.#out.keys()) if (!byName.has(name)) this.#out.delete(name)
  }

  /** S-2: the values of a workload are unique, so each may be written once. */
  #executedOnce(command: Command, outcome: Extract<Outcome, { revision: number }>): void {
    for (const { key, value } of writtenBy(command, outcome)) {
      const text = executionOf(key, value)
      if (this.#executed.has(text))
        this.#world.convict('at-most-once', `entry ${outcome.revision} wrote ${key} a second time`)
      this.#executed.add(text)
    }
  }

  #changed(key: string, index: number): void {
    const versions = this.#versions.get(key) ?? []
    this.#versions.set(key, versions)
    versions.push({ index, revision: this.machine.store.items.get(key)?.revision ?? null })
  }
}

function executionOf(key: string, value: Uint8Array): string {
  return `${key} ${hashBytes(1, value)} ${hashBytes(2, value)}`
}

/** What the command has written, if it was a write and did. */
function writtenBy(command: Command, outcome: Outcome): { readonly key: string; readonly value: Uint8Array }[] {
  switch (command.type) {
    case 'store.set':
      return [command]
    case 'store.compareAndSet':
      return outcome.type === 'store.compared' && outcome.swapped ? [{ key: command.key, value: command.next }] : []
    case 'store.transact':
      return doneBy(command, outcome).flatMap((operation) => (operation.type === 'set' ? [operation] : []))
    default:
      return []
  }
}

export function hashOf(entry: Entry): number {
  const { term, time, type } = entry
  const hash = hashText(0x811c9dc5, `${term} ${time} ${type}`)
  if (entry.type === 'command') return hashBytes(hash, entry.data)
  // Canonical: no order of keys may make a difference.
  return entry.type === 'configuration' ? hashBytes(hash, encode(entry.configuration)) : hash
}
