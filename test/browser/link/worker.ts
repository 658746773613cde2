import { BroadcastNetwork } from '../../../src/network/broadcast-channel.js'
import { DataChannelNetwork } from '../../../src/network/data-channel.js'
import type { Link, LinkListener, Network } from '../../../src/network/link.js'
import type { FromWorker, ToWorker } from './protocol.js'
import { Trips } from './trips.js'

const links = new Map<string, Link>()
let network: Network | undefined
let dataChannels: DataChannelNetwork | undefined
let isEcho = false
const trips = new Trips(tell)

function tell(message: FromWorker): void {
  postMessage(message)
}

const listener: LinkListener = {
  up(link) {
    links.set(link.id, link)
    tell({ type: 'up', linkId: link.id, peerId: link.peerId, kind: link.kind })
  },
  frame(link, lane, frame) {
    const probe = probeOf(frame)
    if (probe === undefined) tell({ type: 'frame', linkId: link.id, lane, frame: frame.slice() })
    else if (isEcho) link.send('control', frame.slice())
    else trips.answered(probe)
  },
  down(link, reason) {
    tell({ type: 'down', linkId: link.id, reason })
  },
}

const probeMark = 0xc0ffee

function frameOf(probe: number): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(8)
  const view = new DataView(frame.buffer)
  view.setUint32(0, probeMark)
  view.setUint32(4, probe)
  return frame
}

function probeOf(frame: Uint8Array): number | undefined {
  if (frame.byteLength !== 8) return undefined
  const view = new DataView(frame.buffer, frame.byteOffset)
  return view.getUint32(0) === probeMark ? view.getUint32(4) : undefined
}

addEventListener('message', (event: MessageEvent<ToWorker>) => {
  const message = event.data
  switch (message.type) {
    case 'start': {
      const { mode, room, peerId } = message.options
      if (mode === 'broadcast') {
        network = new BroadcastNetwork({ room, peerId, life: crypto.randomUUID() })
      } else {
        dataChannels = new DataChannelNetwork({ onEnded: (connectionId) => tell({ type: 'ended', connectionId }) })
        network = dataChannels
      }
      network.listen(listener)
      return
    }
    case 'connection': {
      const { control, bulk, kind } = message.handed
      dataChannels?.add(message.peerId, message.connectionId, control, bulk, kind)
      return
    }
    case 'closed':
      dataChannels?.closeConnection(message.connectionId, message.reason)
      return
    case 'send':
      for (const { linkId, lane, frame } of message.frames) links.get(linkId)?.send(lane, frame)
      return
    case 'close':
      links.get(message.linkId)?.close('the test says so')
      return
    case 'close-network':
      network?.close()
      return
    case 'echo':
      isEcho = true
      return
    case 'measure': {
      const link = links.get(message.linkId)
      if (link) trips.measure((probe) => link.send('control', frameOf(probe)), message.everyMs, message.forMs)
    }
  }
})
