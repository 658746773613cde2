/** The page's side of its probe worker. */
import type { FromProbe, ProbeId, ToProbe } from './protocol.js'

type Question = ToProbe extends infer M ? (M extends ToProbe ? Omit<M, 'id'> : never) : never

export class Probe {
  readonly #worker = new Worker('/probe-worker.js', { type: 'module' })
  readonly #waiting = new Map<number, (samples: number[]) => void>()
  readonly #connections = new Map<ProbeId, RTCPeerConnection>()
  #lastId = 0
  #onturn: () => void = () => {}
  /** The channel's own answer: its worker tells when it is open. */
  #opened: Promise<unknown> = Promise.resolve()

  constructor() {
    this.#worker.onmessage = ({ data }: MessageEvent<FromProbe>) => {
      if ('turn' in data) {
        this.#onturn()
        return
      }
      this.#waiting.get(data.id)?.(data.samples)
      this.#waiting.delete(data.id)
    }
  }

  ask(question: Question, transferred: Transferable[] = []): Promise<number[]> {
    this.#lastId += 1
    const message = { ...question, id: this.#lastId } as ToProbe
    const answer = new Promise<number[]>((resolve) => this.#waiting.set(message.id, resolve))
    this.#worker.postMessage(message, transferred)
    return answer
  }

  /** When this page had its turns; it keeps none of them. */
  async passTurns(me: ProbeId, count: number, clock: () => number): Promise<number[]> {
    const times: number[] = []
    this.#onturn = () => {
      times.push(clock())
      void this.ask({ type: 'passOn' })
    }
    await this.ask({ type: 'passTurns', me, count })
    return times
  }

  async offer(to: ProbeId): Promise<string> {
    const connection = this.#connect(to)
    return describe(connection, await connection.createOffer())
  }

  async answer(to: ProbeId, offer: string): Promise<string> {
    const connection = this.#connect(to)
    await connection.setRemoteDescription(JSON.parse(offer) as RTCSessionDescriptionInit)
    return describe(connection, await connection.createAnswer())
  }

  async accept(to: ProbeId, answer: string): Promise<void> {
    await this.#connections.get(to)?.setRemoteDescription(JSON.parse(answer) as RTCSessionDescriptionInit)
    await this.#opened
  }

  /** A connection like the library's: one negotiated channel, handed to the worker in the task that makes it. */
  #connect(to: ProbeId): RTCPeerConnection {
    const connection = new RTCPeerConnection()
    const channel = connection.createDataChannel('probe', { negotiated: true, id: 101, ordered: true })
    this.#opened = this.ask({ type: 'channel', to, channel }, [channel])
    this.#connections.set(to, connection)
    return connection
  }
}

async function describe(connection: RTCPeerConnection, description: RTCSessionDescriptionInit): Promise<string> {
  const gathered = new Promise<void>((resolve) => {
    connection.onicegatheringstatechange = () => {
      if (connection.iceGatheringState === 'complete') resolve()
    }
  })
  await connection.setLocalDescription(description)
  await gathered
  return JSON.stringify(connection.localDescription)
}
