/**
 * What the machine itself gives, from where the library stands: a worker. No library in between, so the distance to these
 * numbers is what the library costs.
 */
import type { FromProbe, ProbeId, ToProbe } from './protocol.js'

/** About what one small command makes on the wire and in the log. */
const payloadBytes = 200

interface Line {
  send(data: Uint8Array<ArrayBuffer>): void
}

/** What the first byte says. Of turns the second byte is the round, and their number follows. */
const kinds = { ask: 0, answer: 1, passOn: 2, append: 3, acknowledge: 4, turn: 5 } as const

const lines = new Map<ProbeId, Line>()
let answered: (() => void) | undefined
let passing: Passing | undefined
/** Of passing turns: what is late belongs to an earlier one. */
let rounds = 0
let database: Promise<IDBDatabase> | undefined
let written = 0

function hear(from: ProbeId, data: Uint8Array<ArrayBuffer>): void {
  const [kind] = data
  if (kind === kinds.answer) answered?.()
  else if (kind === kinds.ask) {
    const echo = data.slice()
    echo[0] = kinds.answer
    lines.get(from)?.send(echo)
  } else if (data[1] === rounds) passing?.hear(from, kind ?? 0, numberIn(data))
}

function numberIn(data: Uint8Array): number {
  return new DataView(data.buffer, data.byteOffset).getUint32(4)
}

function broadcastLine(from: ProbeId, name: string): Line {
  const channel = new BroadcastChannel(name)
  channel.onmessage = ({ data }: MessageEvent<Uint8Array<ArrayBuffer>>) => hear(from, data)
  return { send: (data) => channel.postMessage(data) }
}

async function channelLine(from: ProbeId, channel: RTCDataChannel): Promise<Line> {
  // In the first task: a message may come before `open` does (PLATFORM 5).
  channel.binaryType = 'arraybuffer'
  channel.onmessage = ({ data }: MessageEvent<ArrayBuffer>) => hear(from, new Uint8Array(data))
  await new Promise<void>((resolve) => {
    if (channel.readyState === 'open') resolve()
    else channel.onopen = () => resolve()
  })
  return { send: (data) => channel.send(data) }
}

/** Whoever has slept must be woken, in every process on the way: on a busy machine that takes as long as the work. */
function pause(rest: number): Promise<void> {
  return rest === 0 ? Promise.resolve() : new Promise((resolve) => setTimeout(resolve, rest))
}

async function roundTrips(to: ProbeId, count: number, rest: number): Promise<number[]> {
  const samples: number[] = []
  while (samples.length < count) {
    await pause(rest)
    const begun = performance.now()
    await new Promise<void>((resolve) => {
      answered = resolve
      lines.get(to)?.send(new Uint8Array(payloadBytes))
    })
    samples.push(performance.now() - begun)
  }
  return samples
}

/** A database of this worker's own, as each peer has its own. */
function open(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(`probe ${crypto.randomUUID()}`, 1)
    request.onupgradeneeded = () => request.result.createObjectStore('log')
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}

/** One transaction with one put. */
async function write(): Promise<void> {
  database ??= open()
  const log = await database
  await new Promise<void>((resolve, reject) => {
    const transaction = log.transaction('log', 'readwrite', { durability: 'strict' })
    written += 1
    transaction.objectStore('log').put({ index: written, data: new Uint8Array(payloadBytes) }, written)
    transaction.oncomplete = () => resolve()
    transaction.onabort = () => reject(transaction.error)
    transaction.commit()
  })
}

async function writes(count: number, rest: number): Promise<number[]> {
  const samples: number[] = []
  database ??= open()
  await database
  while (samples.length < count) {
    await pause(rest)
    const begun = performance.now()
    await write()
    samples.push(performance.now() - begun)
  }
  return samples
}

/**
 * A contended lock without a library: whoever has had its turn tells the leader, which writes that down and has the two others write it
 * down; once it stands on two disks the next one has its turn.
 */
class Passing {
  readonly #me: ProbeId
  readonly #count: number
  /** On how many disks each turn's end stands. */
  readonly #copies = new Map<number, number>()
  #turn = 0
  #done: () => void = () => {}
  readonly whenDone = new Promise<void>((resolve) => {
    this.#done = resolve
  })

  constructor(me: ProbeId, count: number) {
    this.#me = me
    this.#count = count
  }

  begin(): void {
    if (this.#me === 0) this.hear(0, kinds.turn, 0)
  }

  passOn(): void {
    this.#say(0, kinds.passOn, this.#turn)
    if (this.#turn + 3 >= this.#count) this.#done()
  }

  hear(from: ProbeId, kind: number, turn: number): void {
    switch (kind) {
      case kinds.turn:
        this.#turn = turn
        postMessage({ turn } satisfies FromProbe)
        break
      case kinds.passOn:
        if (turn + 1 === this.#count) break
        for (const other of [1, 2] as const) this.#say(other, kinds.append, turn)
        void write().then(() => this.#stands(turn))
        break
      case kinds.append:
        void write().then(() => this.#say(from, kinds.acknowledge, turn))
        break
      case kinds.acknowledge:
        this.#stands(turn)
    }
  }

  #stands(turn: number): void {
    const copies = (this.#copies.get(turn) ?? 0) + 1
    this.#copies.set(turn, copies)
    if (copies === 2) this.#say(((turn + 1) % 3) as ProbeId, kinds.turn, turn + 1)
  }

  #say(to: ProbeId, kind: number, turn: number): void {
    if (to === this.#me) {
      this.hear(to, kind, turn)
      return
    }
    const data = new Uint8Array(payloadBytes)
    data.set([kind, rounds])
    new DataView(data.buffer).setUint32(4, turn)
    lines.get(to)?.send(data)
  }
}

async function passTurns(me: ProbeId, count: number): Promise<number[]> {
  rounds += 1
  passing = new Passing(me, count)
  passing.begin()
  await passing.whenDone
  return []
}

async function perform(message: ToProbe): Promise<number[]> {
  switch (message.type) {
    case 'broadcast':
      lines.set(message.to, broadcastLine(message.to, message.name))
      return []
    case 'channel':
      lines.set(message.to, await channelLine(message.to, message.channel))
      return []
    case 'roundTrips':
      return roundTrips(message.to, message.count, message.rest)
    case 'writes':
      return writes(message.count, message.rest)
    case 'passTurns':
      return passTurns(message.me, message.count)
    case 'passOn':
      passing?.passOn()
      return []
  }
}

addEventListener('message', ({ data }: MessageEvent<ToProbe>) => {
  void perform(data).then((samples) => postMessage({ id: data.id, samples } satisfies FromProbe))
})
