import type { Entry, PeerId } from '../raft/entry.js'
import type { Command, Instruction, RoomSettings, SessionId } from './command.js'
import { encodeInstruction } from './instruction.js'
import type { LockCommand } from './lock/command.js'
import { applyEntry, createMachine, type MachineState } from './machine.js'
import type { Applied, Outcome } from './outcome.js'
import type { SemaphoreCommand } from './semaphore/command.js'
import { defaultSettings } from './settings.js'
import type { Expected, StoreCommand } from './store/command.js'
import { machineVersion, versionNeeded } from './version.js'

// For tests only: writes a log by hand, entry by entry, and applies it to one machine.

/** Of the rooms that `Script.found` founds. */
export const testTokenBase = 1000

export class Script {
  state: MachineState = createMachine()
  term = 1
  time = 0
  readonly entries: Entry[] = []
  readonly #numbers = new Map<SessionId, number>()

  get index(): number {
    return this.state.appliedIndex
  }

  apply(instruction: Instruction): Applied {
    return this.append({ type: 'command', data: encodeInstruction(instruction) })
  }

  append(
    body: Entry extends infer E ? (E extends Entry ? Omit<E, 'term' | 'index' | 'time'> : never) : never,
  ): Applied {
    const entry: Entry = { term: this.term, index: this.index + 1, time: this.time, ...body }
    this.entries.push(entry)
    return applyEntry(this.state, entry)
  }

  found(settings: RoomSettings = defaultSettings, roomId = 'room'): Applied {
    return this.apply({ type: 'found', roomId, tokenBase: testTokenBase, settings })
  }

  raise(version: number = machineVersion): Applied {
    return this.apply({ type: 'raise', version })
  }

  /** The peer opens a session with this life and attempt; 0 when it is refused. */
  open(peerId: PeerId, counter = 1, attempt = 1): SessionId {
    return this.tryOpen(peerId, counter, attempt).opened?.session ?? 0
  }

  tryOpen(peerId: PeerId, counter: number, attempt: number, nonce = `nonce ${counter}`): Applied {
    const incarnation = { counter, nonce }
    return this.apply({ type: 'open', peerId, incarnation, attempt, browserId: 'browser', state: null, tokenFloor: 0 })
  }

  close(peerId: PeerId, counter = 1, nonce = `nonce ${counter}`): Applied {
    return this.apply({ type: 'close', peerId, incarnation: { counter, nonce } })
  }

  expire(session: SessionId, silence: number, term = this.term): Applied {
    return this.apply({ type: 'expire', session, silence, term })
  }

  /** The next command of the session. */
  send(session: SessionId, command: Command): Applied & { number: number; outcome: Outcome | null | undefined } {
    const number = (this.#numbers.get(session) ?? 0) + 1
    this.#numbers.set(session, number)
    const applied = this.resend(session, number, command, number - 1)
    return { ...applied, number, outcome: applied.answer?.outcome }
  }

  resend(session: SessionId, number: number, command: Command, answered = 0): Applied {
    const needs = versionNeeded(command)
    return this.apply({ type: 'numbered', session, number, answered, ...(needs > 1 && { needs }), command })
  }
}

export interface TestRoom<P extends string> {
  script: Script
  sessions: Record<P, SessionId>
}

/** A Script of a founded room, as new as this code, with a session of each of these peers. */
export function roomOf<P extends string>(...peers: P[]): TestRoom<P> {
  return roomAt(machineVersion, ...peers)
}

/** The same with a machine of that version. */
export function roomAt<P extends string>(version: number, ...peers: P[]): TestRoom<P> {
  const script = new Script()
  script.found()
  if (version > 1) script.raise(version)
  const sessions = Object.fromEntries(peers.map((peer) => [peer, script.open(peer)])) as Record<P, SessionId>
  return { script, sessions }
}

export function lock(name: string, options: Partial<Extract<LockCommand, { type: 'lock.request' }>> = {}): LockCommand {
  return {
    type: 'lock.request',
    name,
    mode: 'exclusive',
    ifAvailable: false,
    steal: false,
    lease: 10_000,
    attributes: null,
    ...options,
  }
}

/** A request with what Web Locks do not have. */
export function acquire(
  names: string | readonly string[],
  options: Partial<Extract<LockCommand, { type: 'lock.acquire' }>> = {},
): LockCommand {
  return {
    type: 'lock.acquire',
    names: typeof names === 'string' ? [names] : names,
    mode: 'exclusive',
    ifAvailable: false,
    steal: false,
    lease: 10_000,
    attributes: null,
    owner: null,
    scope: 'exact',
    priority: 0,
    maxHold: null,
    lockDelay: 0,
    ...options,
  }
}

export function release(request: number): LockCommand {
  return { type: 'lock.release', request }
}

export function permits(
  name: string,
  count = 1,
  options: Partial<Extract<SemaphoreCommand, { type: 'semaphore.acquire' }>> = {},
): SemaphoreCommand {
  const plain = { ifAvailable: false, lease: 10_000, priority: 0, owner: null }
  return { type: 'semaphore.acquire', name, permits: 3, count, ...plain, ...options }
}

export function swap(key: string, expected: Expected, next: Uint8Array = Uint8Array.of(2)): StoreCommand {
  return { type: 'store.compareAndSet', key, expected, next }
}

export function put(key: string, options: Partial<Extract<StoreCommand, { type: 'store.set' }>> = {}): StoreCommand {
  return { type: 'store.set', key, value: Uint8Array.of(1), fence: null, ephemeral: false, ...options }
}

type Transaction = Extract<StoreCommand, { type: 'store.transact' }>

export function transaction(options: Partial<Omit<Transaction, 'type'>> = {}): Transaction {
  return { type: 'store.transact', compare: [], success: [], failure: [], fence: null, ...options }
}
