import { MeshManager } from '../../../src/network/mesh.js'
import { handOver } from '../../../src/network/webrtc.js'
import type { FromWorker, Report, TabApi, TabOptions, TextFrame, ToWorker } from './protocol.js'

declare global {
  interface Window {
    tab: TabApi
    report(report: Report): Promise<void>
  }
}

interface SignalMessage {
  readonly from: string
  readonly to: string
  readonly data: string
}

const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' })
const connectionIds = new Set<string>()
let mesh: MeshManager | undefined
let spoils = 0

function toWorker(message: ToWorker, transfer: Transferable[] = []): void {
  worker.postMessage(message, transfer)
}

function fromBase64(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
}

function toBase64(bytes: Uint8Array): string {
  let text = ''
  for (let at = 0; at < bytes.byteLength; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192))
  return btoa(text)
}

worker.onmessage = (event: MessageEvent<FromWorker>) => {
  const message = event.data
  if (message.type === 'ended') mesh?.closeConnection(message.connectionId)
  if (message.type === 'frame') {
    const { linkId, lane, frame } = message
    void window.report({ type: 'frame', linkId, lane, base64: toBase64(frame) })
  } else {
    void window.report(message)
  }
}

function startMesh(options: TabOptions): void {
  const channel = new BroadcastChannel(`signal:${options.room}`)
  const manager = new MeshManager({
    peerId: options.peerId,
    sendSignal: (to, data) => {
      const isSpoiled = spoils > 0
      if (isSpoiled) spoils -= 1
      const sent = isSpoiled ? data.replace(/v=0\\r\\n/, 'v=nonsense\\r\\n') : data
      channel.postMessage({ from: options.peerId, to, data: sent } satisfies SignalMessage)
    },
    events: {
      onConnection: ({ peerId, connectionId, control, bulk }) => {
        connectionIds.add(connectionId)
        handOver(
          control,
          bulk,
          (handed, transfer) => toWorker({ type: 'connection', peerId, connectionId, handed }, transfer),
          options.mode === 'relayed' ? 'never' : 'auto',
        )
      },
      onClosed: ({ connectionId, reason }) => {
        connectionIds.delete(connectionId)
        toWorker({ type: 'closed', connectionId, reason })
      },
      onState: (peerId, state) => void window.report({ type: 'state', peerId, state }),
      onPageFrame: (from, bytes) => void window.report({ type: 'page-frame', from, base64: toBase64(bytes) }),
    },
  })
  mesh = manager
  channel.onmessage = (event: MessageEvent<SignalMessage>) => {
    if (event.data.to === options.peerId) manager.receiveSignal(event.data.from, event.data.data)
  }
  manager.setPeers(options.peers.map((peerId) => ({ peerId })))
}

window.tab = {
  start(options) {
    toWorker({ type: 'start', options })
    if (options.mode !== 'broadcast') startMesh(options)
  },
  toWorker: (message) => toWorker(message),
  send: (frames) => {
    const bytesOf = (content: TextFrame['content']) =>
      'zeros' in content ? new Uint8Array(content.zeros) : fromBase64(content.base64)
    const sent = frames.map(({ linkId, lane, content }) => ({ linkId, lane, frame: bytesOf(content) }))
    toWorker({ type: 'send', frames: sent })
  },
  sendPageFrame: (to, base64) => mesh?.sendPageFrame(to, fromBase64(base64)) ?? false,
  setPeers: (peers) => mesh?.setPeers(peers.map((peerId) => ({ peerId }))),
  closeConnections: () => {
    for (const connectionId of connectionIds) mesh?.closeConnection(connectionId)
  },
  destroyMesh: () => mesh?.destroy(),
  sayGoodbyeOnHide: (base64) => {
    addEventListener('pagehide', () => {
      for (const peerId of ['peer-a', 'peer-b']) mesh?.sendPageFrame(peerId, fromBase64(base64))
      mesh?.destroy()
      worker.terminate()
    })
  },
  spoilSignals: (count) => {
    spoils = count
  },
  fingerprints: () => [...connectionIds].map((connectionId) => mesh?.fingerprints(connectionId)),
  block: (ms) => {
    const from = Date.now()
    while (Date.now() < from + ms);
    return { from, until: Date.now() }
  },
}
