import type { Limits, RoomSettings, Timing } from '../machine/command.js'
import { defaultLimits, defaultTiming, durationMax, limitMax, votersMax } from '../machine/settings.js'
import { valueBytesMax } from '../machine/store/command.js'
import { encodeValue, type Value } from '../shared/value.js'
import { parseSignalingUrls } from '../signaling/urls.js'
import { checkMembers, checkSignal } from './arguments.js'
import { LimitExceededError } from './errors.js'

export interface JoinOptions<P extends Value = Value> {
  /** ws(s) URLs of signaling servers. Omitted: only tabs of this browser, no server needed. */
  signaling?: string | string[]
  /** For a signaling server that asks; called at each dial. */
  token?: () => string | Promise<string>
  /** 'auto': tabs of one browser link by BroadcastChannel, other browsers by WebRTC. 'webrtc': data channels between tabs too. */
  links?: 'auto' | 'webrtc'
  /** Default: none, which connects peers of one network only. */
  iceServers?: RTCIceServer[]
  /**
   * 'indexeddb' (default): identity and log outlive the tab; where the browser stores nothing (private mode) they are kept in memory all
   * the same. 'memory': they end with the tab. A peer in memory is a learner, unless the room was founded by one: then all may vote,
   * and the room is gone when a majority of its voters' tabs are. `room.settings.storage` says what this peer has.
   */
  storage?: 'indexeddb' | 'memory'
  /** 'voter' (default): may be promoted to voter. 'learner': never is. */
  role?: 'voter' | 'learner'
  /** First declared state, shown to others in `members`: put user and name here. */
  state?: P
  /** 'local' resolves once the identity is claimed, without the room (offline work). Default 'ready'. */
  until?: 'ready' | 'local'
  /**
   * What calls that need a quorum do while there is none; also an option of those that take options. Default 'wait', bounded by `signal` and
   * `timeout`. 'reject': with `NoQuorumError`, and before anything is sent; a write that was under way when the quorum went rejects with
   * `OutcomeUnknownError`. A held lock's `verify`, `upgrade` and `downgrade` wait all the same.
   */
  whenNoQuorum?: 'wait' | 'reject'
  /** How long the peer stays after the last handle of this room in the page, ms. Default 1 000. */
  linger?: number
  /** Your own worker, under a strict Content Security Policy: `() => new Worker(new URL('comity/worker', ...), { type: 'module' })`. */
  worker?: () => Worker
  /** Aborts this join; does nothing after it resolved. */
  signal?: AbortSignal
  /** Where a data channel goes: to the worker if the browser can ('auto'), or through the page ('page'), for comparison and tests. */
  channels?: 'auto' | 'page'
  /**
   * This and the rest is taken from the founder, replicated, shown in `room.settings`; a joiner's are ignored. 'strict' (default): each write
   * is flushed to the disk before it counts. 'relaxed': the browser may lose the last ones in a power cut.
   */
  durability?: 'strict' | 'relaxed'
  /** What a room without a quorum does. 'continue' is refused by this version: every room pauses, and `recover()` is the way on. */
  partition?: 'pause'
  /** The founder's, ms, whole numbers: the least that the room goes by, since time-outs grow with the round trips. */
  timing?: Partial<Timing>
  /** The founder's. A call that would exceed one rejects with `LimitExceededError`. */
  limits?: Partial<Limits>
}

/** Checked options, with every default in its place. */
export interface Joining {
  readonly room: string
  readonly urls: readonly string[]
  readonly token: (() => string | Promise<string>) | null
  readonly links: 'auto' | 'webrtc'
  readonly iceServers: RTCIceServer[]
  readonly storage: 'indexeddb' | 'memory'
  readonly learnerOnly: boolean
  readonly state: Uint8Array | null
  readonly until: 'ready' | 'local'
  readonly whenNoQuorum: 'wait' | 'reject'
  readonly linger: number
  readonly worker: (() => Worker) | null
  readonly signal: AbortSignal | null
  readonly channels: 'auto' | 'page'
  readonly settings: RoomSettings
}

const roomNameMax = 256
const lingerMax = 60_000
const notYet = ['secret', 'answersBallots'] as const

/** Throws `TypeError` or `RangeError` naming what is wrong, before anything has happened. */
export function checkJoin(room: unknown, options: unknown): Joining {
  if (typeof room !== 'string')
    throw new TypeError(`room: expected a string, got ${room === null ? 'null' : typeof room}`)
  if (room.length === 0 || room.length > roomNameMax) {
    throw new RangeError(`room: expected 1 to ${roomNameMax} code units, got ${room.length}`)
  }
  if (/\p{Surrogate}/u.test(room)) throw new TypeError('room: expected well-formed Unicode, got a lone surrogate')
  const given = checkMembers(options, 'options')
  for (const key of notYet)
    if (given[key] !== undefined) throw new TypeError(`options.${key} is not supported by this version`)
  return {
    room,
    urls: parseSignalingUrls(given['signaling'] as string | string[] | undefined),
    token: functionOf(given, 'token') as Joining['token'],
    links: oneOf(given, 'links', ['auto', 'webrtc']),
    iceServers: iceServersOf(given['iceServers']),
    storage: oneOf(given, 'storage', ['indexeddb', 'memory']),
    learnerOnly: oneOf(given, 'role', ['voter', 'learner']) === 'learner',
    state: stateOf(given['state']),
    until: oneOf(given, 'until', ['ready', 'local']),
    whenNoQuorum: oneOf(given, 'whenNoQuorum', ['wait', 'reject']),
    linger: numberOf(given, 'options.', 'linger', 0, lingerMax) ?? 1_000,
    worker: functionOf(given, 'worker') as Joining['worker'],
    signal: checkSignal(given['signal'], 'options.signal') ?? null,
    channels: oneOf(given, 'channels', ['auto', 'page']),
    settings: settingsOf(given),
  }
}

/** The first of the choices is the default. */
function oneOf<T extends string>(given: Record<string, unknown>, key: string, choices: readonly [T, ...T[]]): T {
  const value = given[key] ?? choices[0]
  if (choices.includes(value as T)) return value as T
  throw new TypeError(
    `options.${key}: expected ${choices.map((choice) => `'${choice}'`).join(' or ')}, got ${String(value)}`,
  )
}

function functionOf(given: Record<string, unknown>, key: string): unknown {
  const value = given[key]
  if (value === undefined) return null
  if (typeof value !== 'function') throw new TypeError(`options.${key}: expected a function, got ${typeof value}`)
  return value
}

function iceServersOf(value: unknown): RTCIceServer[] {
  if (value === undefined) return []
  if (Array.isArray(value)) return value as RTCIceServer[]
  throw new TypeError(`options.iceServers: expected an array, got ${typeof value}`)
}

function stateOf(value: unknown): Uint8Array | null {
  if (value === undefined) return null
  const bytes = encodeValue(value, 'options.state')
  if (bytes.byteLength <= valueBytesMax) return bytes
  const message = `options.state: expected at most ${valueBytesMax} bytes encoded, got ${bytes.byteLength}`
  throw new LimitExceededError(message, 'valueBytes', valueBytesMax)
}

function settingsOf(given: Record<string, unknown>): RoomSettings {
  const timing = recordOf(given, 'timing', defaultTiming, () => durationMax)
  const limits = recordOf(given, 'limits', defaultLimits, (key) => (key === 'voters' ? votersMax : limitMax))
  if (timing.electionMin >= timing.electionMax) {
    const got = `${timing.electionMin} and ${timing.electionMax}`
    throw new RangeError(`options.timing: expected electionMin below electionMax, got ${got}`)
  }
  if (timing.heartbeat * 2 > timing.electionMin) {
    const got = `${timing.heartbeat} and ${timing.electionMin}`
    throw new RangeError(`options.timing: expected heartbeat at most half of electionMin, got ${got}`)
  }
  return {
    durability: oneOf(given, 'durability', ['strict', 'relaxed']),
    partition: partitionOf(given),
    timing,
    limits,
  }
}

function partitionOf(given: Record<string, unknown>): 'pause' {
  if (given['partition'] === 'continue')
    throw new TypeError("options.partition: 'continue' is not supported by this version")
  return oneOf(given, 'partition', ['pause'])
}

function recordOf<T extends object>(
  given: Record<string, unknown>,
  group: string,
  defaults: T,
  max: (key: string) => number,
): T {
  const value = given[group] ?? {}
  if (typeof value !== 'object') throw new TypeError(`options.${group}: expected an object, got ${typeof value}`)
  const record = value as Record<string, unknown>
  const result = { ...defaults } as Record<string, unknown>
  for (const key of Object.keys(record)) {
    if (!Object.hasOwn(defaults, key)) throw new TypeError(`options.${group}.${key}: there is no such setting`)
    const number = numberOf(record, `options.${group}.`, key, 1, max(key))
    if (number === undefined) continue
    if (!Number.isSafeInteger(number))
      throw new RangeError(`options.${group}.${key}: expected a whole number, got ${number}`)
    result[key] = number
  }
  return result as T
}

function numberOf(
  given: Record<string, unknown>,
  prefix: string,
  key: string,
  min: number,
  max: number,
): number | undefined {
  const value = given[key]
  if (value === undefined) return undefined
  if (typeof value !== 'number') throw new TypeError(`${prefix}${key}: expected a number, got ${typeof value}`)
  if (!(value >= min && value <= max)) throw new RangeError(`${prefix}${key}: expected ${min} to ${max}, got ${value}`)
  return value
}
