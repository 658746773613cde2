/** The worker's entry: wires a peer to the browser's storage, locks and channels, and exposes it to its page. */
import { expose } from 'comlink'
import { bridgeVersion, type PageMessage, type WorkerMessage } from './protocol.js'
import { WorkerPeer } from './worker-peer.js'

const post = (message: WorkerMessage) => self.postMessage(message)
const peer = new WorkerPeer(post)
// Before anything else: a transferred channel's first message may come with the next task (PLATFORM 5).
self.addEventListener('message', ({ data }: MessageEvent<PageMessage | undefined>) => {
  if (data?.comity === 'notice') peer.notice(data.notice)
  else if (data?.comity === 'connect') peer.connect(data.handover)
  else if (data?.comity === 'disconnect') peer.disconnect(data.connectionId, data.reason)
})
expose(peer)
post({ comity: 'hello', version: bridgeVersion })
