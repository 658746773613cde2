/** The page's side of its probe worker. */
import type { FromProbe, ToProbe } from './protocol.js'

type Question = ToProbe extends infer M ? (M extends ToProbe ? Omit<M, 'id'> : never) : never

export class Probe {
  readonly #worker = new Worker('/probe-worker.js', { type: 'module' })
  readonly #waiting = new Map<number, (samples: number[]) => void>()
  #lastId = 0
  #connection: RTCPeerConnection | null = null
  /** The channel's own answer: its worker tells when it is open. */
  #opened: Promise<unknown> = Promise.resolve()

  constructor() {
    this.#worker.onmessage = ({ data }: MessageEvent<FromProbe>) => {
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

  async offer(): Promise<string> {
    const connection = this.#connect()
    return describe(connection, await connection.createOffer())
  }

  async answer(offer: string): Promise<string> {
    const connection = this.#connect()
    await connection.setRemoteDescription(JSON.parse(offer) as RTCSessionDescriptionInit)
    return describe(connection, await connection.createAnswer())
  }

  async accept(answer: string): Promise<void> {
    await this.#connection?.setRemoteDescription(JSON.parse(answer) as RTCSessionDescriptionInit)
    await this.#opened
  }

  /** A connection like the library's: one negotiated channel, handed to the worker in the task that makes it. */
  #connect(): RTCPeerConnection {
    const connection = new RTCPeerConnection()
    const channel = connection.createDataChannel('probe', { negotiated: true, id: 101, ordered: true })
    this.#opened = this.ask({ type: 'channel', channel }, [channel])
    this.#connection = connection
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
