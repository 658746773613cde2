/**
 * Bugs planted between the real code and its platform, each one the obvious thing that a rule of PROTOCOL.md forbids. No
 * product file is touched: a wrapper around a disk, a clock, a link, a lock service or a bridge does it.
 */
import type { HostPort } from '../../src/bridge/protocol.js'
import type { LockService } from '../../src/host/browser.js'
import { decodeFrame, encodeFrame, type Frame, type Item } from '../../src/host/frame.js'
import type { Answers, Call, HostEvent, LockGrant, Reply, WatchPosition } from '../../src/host/page.js'
import type { Self } from '../../src/host/peers.js'
import { decodeInstruction, encodeInstruction } from '../../src/machine/instruction.js'
import type { Link, Network } from '../../src/network/link.js'
import type { Entry, Incarnation } from '../../src/raft/entry.js'
import type { Clock } from '../../src/shared/instant.js'
import type { FaultWeights } from '../../src/simulation/faults.js'
import type { Surgery } from '../../src/simulation/simulation.js'
import type { Storage } from '../../src/storage/storage.js'

export interface PlantedBug {
  readonly name: string
  /** The rule that forbids it. */
  readonly rule: string
  readonly surgery: Surgery
  /** What is likely to show it; the rest of the faults stays. */
  readonly faults?: Partial<FaultWeights>
  /** It must be seen within so many seeds from 1 on: about three times what it took when it was planted. */
  readonly within: number
  /** By one of these checks. */
  readonly shows: readonly string[]
}

/** Storage that says `durable` as soon as it is asked. */
function hasty(storage: Storage): Storage {
  return wrapStorage(storage, (batch) => {
    storage.write(batch).catch(() => {})
    return Promise.resolve()
  })
}

function wrapStorage(storage: Storage, write: Storage['write']): Storage {
  return {
    incarnation: storage.incarnation,
    stored: storage.stored,
    write,
    setDurability: (durability) => storage.setDurability(durability),
    whenLost: (tell) => storage.whenLost(tell),
    close: () => storage.close(),
  }
}

/** A lock service that lets waiters in though somebody holds the lock. */
function generous(locks: LockService): LockService {
  return {
    hold: (name, options = {}) =>
      options.signal && !name.includes('found')
        ? Promise.resolve({ release() {}, onlost: null })
        : locks.hold(name, options),
  }
}

/** Time by the wall clock alone. */
function byTheWall(clock: Clock): Clock {
  return {
    now: () => {
      const { wall } = clock.now()
      return { monotonic: wall, wall }
    },
    after: (ms, run) => clock.after(ms, run),
  }
}

/** Clocks of a page that show half of the time that passes. */
function sleepy(clock: Clock): Clock {
  return {
    now: () => {
      const { monotonic, wall } = clock.now()
      return { monotonic: monotonic / 2, wall: wall / 2 }
    },
    after: (ms, run) => clock.after(ms, run),
  }
}

/** A page that is not told what it has lost. */
function unaware(port: HostPort): HostPort {
  return wrapPort(port, (event) => (event.type === 'lock.lost' ? null : event))
}

/** A page that is not told which permits it has lost. */
function unawareOfPermits(port: HostPort): HostPort {
  return wrapPort(port, (event) => (event.type === 'permit.lost' ? null : event))
}

/** A page that is not told when its `maxHold` is over, and counts on its lease alone. */
function unending(port: HostPort): HostPort {
  const call = async (call: Call) => {
    const reply = await port.call(call)
    return call.type === 'lock.request' && reply.ok && isGrant(reply.value)
      ? { ...reply, value: { ...reply.value, endsAt: null } }
      : reply
  }
  return wrapPort(
    port,
    (event) => (event.type === 'lock.granted' ? { ...event, endsAt: null } : event),
    call as HostPort['call'],
  )
}

function isGrant(value: unknown): value is LockGrant {
  return typeof value === 'object' && value !== null && 'token' in value && 'endsAt' in value
}

/** A page that is not told that its lock was asked back, and says that it has heard all the same. */
function undisturbed(port: HostPort): HostPort {
  return wrapPort(port, (event) => (event.type === 'lock.revoked' ? null : event))
}

/** A page that keeps the token of its share when it is exclusive. */
function keepingToken(port: HostPort): HostPort {
  const tokens = new Map<number, number>()
  const call = async (call: Call) => {
    const reply = await port.call(call)
    if (!reply.ok || !isToken(reply.value)) return reply
    if (call.type === 'lock.request') tokens.set(call.handle, reply.value.token)
    if (call.type !== 'lock.upgrade') return reply
    return { ...reply, value: { ...reply.value, token: tokens.get(call.handle) ?? reply.value.token } }
  }
  return wrapPort(
    port,
    (event) => {
      if (event.type === 'lock.granted') tokens.set(event.handle, event.token)
      return event
    },
    call as HostPort['call'],
  )
}

function isToken(value: unknown): value is { readonly token: number } {
  return typeof value === 'object' && value !== null && 'token' in value
}

/** A page that does not say whose request it is: whoever goes in again waits for itself. */
function ownerless(port: HostPort): HostPort {
  const call = (call: Call) =>
    port.call(call.type === 'lock.request' && call.beyond ? { ...call, beyond: { ...call.beyond, owner: null } } : call)
  return wrapPort(port, (event) => event, call as HostPort['call'])
}

/** A page that hears of a reset, and not of what it has lost by it. */
function forgetful(port: HostPort): HostPort {
  return wrapPort(port, (event) =>
    event.type === 'reset'
      ? { ...event, reset: { ...event.reset, store: [], deleted: [], counters: [], complete: true } }
      : event,
  )
}

/**
 * A page that keeps the last words with a vote though it says that it has others now (M2). Random runs show it once in a thousand:
 * it has a story of its own (test/scenario/two-browsers.test.ts).
 */
export function unforgetting(port: HostPort): HostPort {
  let withVote: Extract<HostEvent, { type: 'testament' }> | null = null
  return wrapPort(port, (event) => {
    if (event.type !== 'testament') return event
    if (event.goodbyes.some(({ frame }) => hasVote(frame))) withVote = event
    return withVote ? { ...event, goodbyes: withVote.goodbyes } : event
  })
}

function hasVote(data: Uint8Array): boolean {
  const decoded = decodeFrame(data)
  return decoded.ok && decoded.frame.items.some((item) => item.type === 'goodbye' && item.vote !== null)
}

type CompareAndSet = Extract<Call, { type: 'store.compareAndSet' }>
type Compared = Reply<Answers['store.compareAndSet']>

/** A store that reads, compares, and then writes: what everybody builds who has only `get` and `set`. */
async function readThenWrite(port: HostPort, call: CompareAndSet): Promise<Compared> {
  const found = await port.call({ type: 'store.get', key: call.key, consistency: 'linearizable' })
  if (!found.ok) return found
  const { revision, value } = found.value ?? { revision: 0, value: null }
  const { expected } = call
  const isExpected =
    'revision' in expected ? expected.revision === revision : value !== null && isSame(value, expected.value)
  return isExpected ? writeAnyway(port, call) : { ok: true, value: { revision, swapped: false } }
}

/** A store that does not compare at all. */
async function writeAnyway(port: HostPort, { key, next }: CompareAndSet): Promise<Compared> {
  const written = await port.call({ type: 'store.set', key, value: next, fence: null, ephemeral: false })
  return written.ok ? { ok: true, value: { ...written.value, swapped: true } } : written
}

/** A store that says that it has set what it has not, when it was not as expected. */
async function sayYes(port: HostPort, call: CompareAndSet): Promise<Compared> {
  const compared = await port.call(call)
  return compared.ok ? { ok: true, value: { ...compared.value, swapped: true } } : compared
}

type Add = Extract<Call, { type: 'counter.add' }>

/** A counter that is read, and then set. */
function adding(port: HostPort): HostPort {
  const add = async ({ name, by }: Add): Promise<Reply<Answers['counter.add']>> => {
    const found = await port.call({ type: 'counter.get', name })
    if (!found.ok) return found
    const next = found.value + by
    const written = await port.call({ type: 'counter.compareAndSet', name, expected: found.value, next })
    return written.ok ? { ok: true, value: { value: next, overflowed: false } } : written
  }
  const call = (call: Call) => (call.type === 'counter.add' ? add(call) : port.call(call))
  return wrapPort(port, (event) => event, call as HostPort['call'])
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}

/** Every page's `compareAndSet` is that one: as if the machine applied it so. */
function comparing(compareAndSet: (port: HostPort, call: CompareAndSet) => Promise<Compared>) {
  return (port: HostPort): HostPort => {
    const call = (call: Call) => (call.type === 'store.compareAndSet' ? compareAndSet(port, call) : port.call(call))
    return wrapPort(port, (event) => event, call as HostPort['call'])
  }
}

function wrapPort(
  port: HostPort,
  change: (event: HostEvent) => HostEvent | null,
  call: HostPort['call'] = (call) => port.call(call),
  notice: HostPort['notice'] = (notice) => port.notice(notice),
): HostPort {
  let listener: HostPort['onevent'] = null
  return {
    call,
    notice,
    close: () => port.close(),
    get onevent() {
      return listener
    },
    set onevent(given) {
      listener = given
      port.onevent = (event) => {
        const changed = change(event)
        if (changed) listener?.(changed)
      }
    },
  }
}

/** What a network does with frames on their way out and in. `back` gives the host a frame as if it had come. */
interface Tampering {
  out?(frame: Frame, back: (frame: Frame) => void): Frame
  in?(frame: Frame): Frame
}

function tampered(network: Network, tampering: Tampering): Network {
  return {
    close: () => network.close(),
    listen: (listener) => {
      const wrapped = new Map<Link, Link>()
      const wrap = (link: Link): Link => {
        const known = wrapped.get(link)
        if (known) return known
        const own: Link = {
          id: link.id,
          peerId: link.peerId,
          kind: link.kind,
          buffered: (lane) => link.buffered(lane),
          close: (reason) => link.close(reason),
          send: (lane, data) => {
            const back = (frame: Frame) => queueMicrotask(() => listener.frame(own, 'control', encodeFrame(frame)))
            link.send(
              lane,
              change(data, (frame) => tampering.out?.(frame, back) ?? frame),
            )
          },
        }
        wrapped.set(link, own)
        return own
      }
      network.listen({
        up: (link) => listener.up(wrap(link)),
        frame: (link, lane, data) =>
          listener.frame(
            wrap(link),
            lane,
            change(data, (frame) => tampering.in?.(frame) ?? frame),
          ),
        down: (link, reason) => listener.down(wrap(link), reason),
      })
    },
  }
}

function change(data: Uint8Array, run: (frame: Frame) => Frame): Uint8Array {
  const decoded = decodeFrame(data)
  return decoded.ok ? encodeFrame(run(decoded.frame)) : data
}

/** A leader that takes every heartbeat for answered. */
function selfConfirming(network: Network): Network {
  return tampered(network, {
    out(frame, back) {
      const { toIncarnation } = frame
      if (!toIncarnation) return frame
      const replies = frame.items.flatMap((item): Item[] => {
        if (item.type !== 'raft' || item.message.type !== 'heartbeat') return []
        const { from, to, term, round } = item.message
        return [{ ...item, message: { type: 'heartbeatReply', from: to, to: from, term, round } }]
      })
      const { from, fromIncarnation, to } = frame
      if (replies.length > 0)
        back({
          ...frame,
          from: to,
          fromIncarnation: toIncarnation,
          to: from,
          toIncarnation: fromIncarnation,
          items: replies,
        })
      return frame
    },
  })
}

/** A host that believes every frame to be of the present lives. */
function credulous(network: Network, self: Self): Network {
  const newest = new Map<string, Incarnation>()
  return tampered(network, {
    in(frame) {
      const known = newest.get(frame.from)
      const isNewer = !known || frame.fromIncarnation.counter > known.counter
      if (isNewer) newest.set(frame.from, frame.fromIncarnation)
      return {
        ...frame,
        fromIncarnation: newest.get(frame.from) ?? frame.fromIncarnation,
        toIncarnation: frame.toIncarnation && self.incarnation,
      }
    },
  })
}

/** A peer that sends each write twice, under two numbers. */
function stuttering(network: Network): Network {
  return tampered(network, {
    out: (frame) => ({
      ...frame,
      items: frame.items.map((item) =>
        item.type === 'submit' ? { ...item, instructions: item.instructions.flatMap(twice) } : item,
      ),
    }),
  })
}

function twice(data: Uint8Array): Uint8Array[] {
  const instruction = decodeInstruction(data)
  if (instruction?.type !== 'numbered' || instruction.command?.type !== 'store.set') return [data]
  return [data, encodeInstruction({ ...instruction, number: instruction.number + 1 })]
}

/** A follower that puts the commands of one append into its log in another order. */
function confused(network: Network): Network {
  return tampered(network, {
    in: (frame) => ({
      ...frame,
      items: frame.items.map((item): Item => {
        if (item.type !== 'raft' || item.message.type !== 'append') return item
        return { ...item, message: { ...item.message, entries: swapped(item.message.entries) } }
      }),
    }),
  })
}

function swapped(entries: readonly Entry[]): readonly Entry[] {
  const [first, second, ...rest] = entries
  if (first?.type !== 'command' || second?.type !== 'command') return entries
  return [{ ...first, data: second.data }, { ...second, data: first.data }, ...rest]
}

type Notice = Parameters<HostPort['notice']>[0]
type Changes = Extract<Extract<HostEvent, { type: 'watched' }>['value'], { type: 'changes' }>

/** A page that asks for something else than the place where a watch of changes is to go on. */
function resuming(elsewhere: (from: WatchPosition) => WatchPosition) {
  return (port: HostPort): HostPort => {
    const notice = (notice: Notice) => {
      if (notice.type !== 'watch' || notice.what.type !== 'changes') return notice
      const { from } = notice.what
      return from && from.revision > 0 ? { ...notice, what: { ...notice.what, from: elsewhere(from) } } : notice
    }
    return noticing(port, notice)
  }
}

/** A page that is told changes in another way than its host says them; one way for each life of a host. */
function telling(createChange: () => (changes: Changes) => Changes) {
  return (port: HostPort): HostPort => {
    const change = createChange()
    return wrapPort(port, (event) =>
      event.type === 'watched' && event.value.type === 'changes' ? { ...event, value: change(event.value) } : event,
    )
  }
}

/** A watch that does not tell what ends with its session. */
function withoutExpiry(): (changes: Changes) => Changes {
  const ephemeral = new Set<string>()
  return (told) => {
    const changes = told.changes.filter(({ key, now }) => {
      if (now?.ephemeral) ephemeral.add(key)
      else if (ephemeral.delete(key)) return now !== null
      return true
    })
    return { ...told, changes }
  }
}

/** A page that never says that it has used up what a watch was told. */
function insatiable(port: HostPort): HostPort {
  return noticing(port, (notice) => (notice.type === 'taken' ? null : notice))
}

function noticing(port: HostPort, change: (notice: Notice) => Notice | null): HostPort {
  const notice = (given: Notice) => {
    const changed = change(given)
    if (changed) port.notice(changed)
  }
  return wrapPort(
    port,
    (event) => event,
    (call) => port.call(call),
    notice,
  )
}

/** A page whose transactions do not say their fences: as if the machine did not compare them. */
function unfenced(port: HostPort): HostPort {
  const call = (call: Call) => port.call(call.type === 'store.transact' ? withoutFences(call) : call)
  return wrapPort(port, (event) => event, call as HostPort['call'])
}

type Transact = Extract<Call, { type: 'store.transact' }>

function withoutFences(call: Transact): Transact {
  const bare = (operations: Transact['success']) =>
    operations.map((operation) => (operation.type === 'get' ? operation : { ...operation, fence: null }))
  return { ...call, success: bare(call.success), failure: bare(call.failure), fence: null }
}

export const plantedBugs: readonly PlantedBug[] = [
  {
    name: 'an acknowledgement leaves before the disk has written',
    rule: 'B5',
    surgery: { storage: hasty },
    within: 3,
    shows: ['durability'],
  },
  {
    name: 'death is proven by locks that are still held',
    rule: 'L2',
    surgery: { locks: generous },
    within: 15,
    shows: ['belief', 'fence', 'liveness', 'leftovers'],
  },
  {
    name: 'leases and cluster time follow the wall clock',
    rule: 'C1 C2',
    surgery: { hostClock: byTheWall },
    faults: { wallClock: 20 },
    within: 3,
    shows: ['cluster-time'],
  },
  {
    name: 'a page counts its lease by half of the time',
    rule: 'S-4',
    surgery: { pageClock: sleepy },
    faults: { block: 30, isolate: 30 },
    within: 20,
    shows: ['belief', 'fence'],
  },
  {
    name: 'a page is not told of what it lost',
    rule: 'S-10',
    surgery: { port: unaware },
    faults: { isolate: 30, freeze: 30 },
    within: 12,
    shows: ['belief', 'fence'],
  },
  {
    name: 'a page is not told what is lost with its history',
    rule: 'N2 N3',
    surgery: { port: forgetful },
    within: 30,
    shows: ['lost-write'],
  },
  {
    name: 'a leader takes its rounds for confirmed',
    rule: 'S-5 R1',
    surgery: { network: selfConfirming },
    faults: { isolate: 60 },
    within: 100,
    shows: ['belief', 'fence', 'linearizability'],
  },
  {
    name: 'frames of earlier lives are believed',
    rule: 'F1',
    surgery: { network: credulous },
    faults: { mischief: 60, leave: 30 },
    within: 250,
    shows: [
      'belief',
      'fence',
      'election-safety',
      'leader-completeness',
      'state-machine-safety',
      'liveness',
      'leftovers',
    ],
  },
  {
    name: 'the commands of one append change places',
    rule: '5.3',
    surgery: { network: confused },
    within: 3,
    shows: ['log-matching', 'state-machine-safety'],
  },
  {
    name: 'a write is sent under two numbers',
    rule: 'S-2',
    surgery: { network: stuttering },
    within: 3,
    shows: ['at-most-once'],
  },
  {
    name: 'compareAndSet does not compare',
    rule: 'API',
    surgery: { port: comparing(writeAnyway) },
    within: 3,
    shows: ['linearizability'],
  },
  {
    name: 'compareAndSet reads, and then writes',
    rule: 'API',
    surgery: { port: comparing(readThenWrite) },
    within: 75,
    shows: ['linearizability'],
  },
  {
    name: 'compareAndSet says yes though it was not as expected',
    rule: 'API',
    surgery: { port: comparing(sayYes) },
    within: 3,
    shows: ['linearizability'],
  },
  {
    name: 'a page is not told of the permits that it lost',
    rule: 'S-10',
    surgery: { port: unawareOfPermits },
    within: 120,
    shows: ['belief'],
  },
  {
    name: 'a counter is read, and then set',
    rule: 'API',
    surgery: { port: adding },
    within: 90,
    shows: ['linearizability'],
  },
  {
    name: 'a page counts on its lease when a maxHold is over',
    rule: 'S-7',
    surgery: { port: unending },
    within: 30,
    shows: ['belief', 'fence'],
  },
  {
    name: 'the grace of a revoke begins before the page knows',
    rule: 'S-7',
    surgery: { port: undisturbed },
    within: 30,
    shows: ['belief', 'fence'],
  },
  {
    name: 'an upgrade keeps the token of the share',
    rule: 'T1 T2',
    surgery: { port: keepingToken },
    within: 20,
    shows: ['fence'],
  },
  {
    name: 'whoever goes in again waits for itself',
    rule: 'API',
    surgery: { port: ownerless },
    within: 20,
    shows: ['liveness', 'leftovers'],
  },
  {
    name: 'a watch goes on one entry too late',
    rule: 'S-10',
    surgery: { port: resuming(({ revision }) => ({ revision: revision + 1, place: 0 })) },
    within: 20,
    shows: ['watch', 'liveness'],
  },
  {
    name: 'a watch tells the last entry again when it goes on',
    rule: 'S-10',
    surgery: { port: resuming(({ revision }) => ({ revision: revision - 1, place: 0 })) },
    within: 20,
    shows: ['watch'],
  },
  {
    name: 'a watch goes on behind the whole of a transaction of which a part was told',
    rule: 'S-10',
    surgery: { port: resuming(({ revision, place }) => ({ revision: place > 0 ? revision + 1 : revision, place: 0 })) },
    within: 25,
    shows: ['watch', 'liveness'],
  },
  {
    name: 'a watch does not tell deletions',
    rule: 'API',
    surgery: { port: telling(() => (told) => ({ ...told, changes: told.changes.filter(({ now }) => now !== null) })) },
    within: 20,
    shows: ['watch', 'liveness'],
  },
  {
    name: 'a watch does not tell what ends with its session',
    rule: 'API',
    surgery: { port: telling(withoutExpiry) },
    within: 45,
    shows: ['watch', 'liveness'],
  },
  {
    name: 'a watch does not say that there was a gap',
    rule: 'S-10',
    surgery: { port: telling(() => (told) => ({ ...told, resync: false })) },
    within: 20,
    shows: ['watch'],
  },
  {
    name: 'a watch begins anew whenever it goes on',
    rule: 'S-10',
    surgery: { port: resuming(() => ({ revision: 0, place: 0 })) },
    within: 20,
    shows: ['watch'],
  },
  {
    name: 'a watch is told one message and no more',
    rule: 'API',
    surgery: { port: insatiable },
    within: 20,
    shows: ['liveness'],
  },
  {
    name: 'fences within a transaction are not compared',
    rule: 'T1 T2',
    surgery: { port: unfenced },
    within: 15,
    shows: ['fence'],
  },
]
