/**
 * What the machine itself gives, from where the library stands: a worker. No library in between, so the distance to these
 * numbers is what the library costs.
 */
import type { FromProbe, ToProbe } from './protocol.js'

/** About what one small command makes on the wire and in the log. */
const payloadBytes = 200

interface Line {
  send(data: Uint8Array<ArrayBuffer>): void
}

let line: Line | undefined
let answered: (() => void) | undefined
let database: Promise<IDBDatabase> | undefined
let written = 0

/** The first byte says whether it asks or answers. */
function hear(data: Uint8Array<ArrayBuffer>): void {
  if (data[0] === 1) answered?.()
  else {
    const echo = data.slice()
    echo[0] = 1
    line?.send(echo)
  }
}

function broadcastLine(name: string): Line {
  const channel = new BroadcastChannel(name)
  channel.onmessage = ({ data }: MessageEvent<Uint8Array<ArrayBuffer>>) => hear(data)
  return { send: (data) => channel.postMessage(data) }
}

async function channelLine(channel: RTCDataChannel): Promise<Line> {
  // In the first task: a message may come before `open` does (PLATFORM 5).
  channel.binaryType = 'arraybuffer'
  channel.onmessage = ({ data }: MessageEvent<ArrayBuffer>) => hear(new Uint8Array(data))
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

async function roundTrips(count: number, rest: number): Promise<number[]> {
  const samples: number[] = []
  while (samples.length < count) {
    await pause(rest)
    const begun = performance.now()
    await new Promise<void>((resolve) => {
      answered = resolve
      line?.send(new Uint8Array(payloadBytes))
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

async function writes(count: number, rest: number): Promise<number[]> {
  database ??= open()
  const log = await database
  const samples: number[] = []
  while (samples.length < count) {
    await pause(rest)
    const begun = performance.now()
    await new Promise<void>((resolve, reject) => {
      const transaction = log.transaction('log', 'readwrite', { durability: 'strict' })
      written += 1
      transaction.objectStore('log').put({ index: written, data: new Uint8Array(payloadBytes) }, written)
      transaction.oncomplete = () => resolve()
      transaction.onabort = () => reject(transaction.error)
      transaction.commit()
    })
    samples.push(performance.now() - begun)
  }
  return samples
}

async function perform(message: ToProbe): Promise<number[]> {
  switch (message.type) {
    case 'broadcast':
      line = broadcastLine(message.name)
      return []
    case 'channel':
      line = await channelLine(message.channel)
      return []
    case 'roundTrips':
      return roundTrips(message.count, message.rest)
    case 'writes':
      return writes(message.count, message.rest)
  }
}

addEventListener('message', ({ data }: MessageEvent<ToProbe>) => {
  void perform(data).then((samples) => postMessage({ id: data.id, samples } satisfies FromProbe))
})
