/** The page's end of the worker boundary: starts the worker, and speaks with the peer in it. */
import { proxy, type Remote, wrap } from 'comlink'
import type { HostEvent, Notice, Reply } from '../host/page.js'
import type { Failure } from '../shared/failure.js'
import {
  type BeginRequest,
  bridgeVersion,
  type Claimed,
  type ClaimRequest,
  type Handover,
  type HostPort,
  type PageMessage,
  type RegistrarApi,
  type WorkerApi,
  type WorkerMessage,
} from './protocol.js'

/** A worker that has not said hello by then is blocked or broken, ms. */
const helloWithin = 10_000

/** How the worker gets started; a failure says which directive may stand in the way. */
export async function startWorker(make?: () => Worker): Promise<Reply<WorkerPort>> {
  if (make) return greet(make)
  const source = await loadSource()
  if (!source.ok) return source
  const fromBlob = await greet(() => workerFromSource(source.value))
  if (fromBlob.ok) return fromBlob
  // A strict policy refuses blobs: then the worker may still be allowed as a file of its own (PLATFORM, later probes).
  const fromFile = await greet(() => new Worker(new URL('../worker.js', import.meta.url), { type: 'module' }))
  return fromFile.ok ? fromFile : fromBlob
}

async function loadSource(): Promise<Reply<string>> {
  try {
    return { ok: true, value: (await import('./worker-source.js')).default }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return { ok: false, failure: { ...blocked(reason), message: `the worker's code could not be loaded: ${reason}` } }
  }
}

function workerFromSource(source: string): Worker {
  const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }))
  try {
    return new Worker(url, { type: 'module', name: 'comity' })
  } finally {
    // The fetch of the script has begun by the constructor's return; browsers keep the blob for it.
    setTimeout(() => URL.revokeObjectURL(url), helloWithin)
  }
}

function greet(make: () => Worker): Promise<Reply<WorkerPort>> {
  return new Promise((resolve) => {
    let worker: Worker
    try {
      worker = make()
    } catch (error) {
      resolve({ ok: false, failure: blocked(error instanceof Error ? error.message : String(error)) })
      return
    }
    const settle = (reply: Reply<WorkerPort>) => {
      clearTimeout(timer)
      worker.removeEventListener('message', onMessage)
      worker.removeEventListener('error', onError)
      if (!reply.ok) worker.terminate()
      resolve(reply)
    }
    const onMessage = ({ data }: MessageEvent<WorkerMessage>) => {
      if (data?.comity !== 'hello') return
      if (data.version === bridgeVersion) settle({ ok: true, value: new WorkerPort(worker) })
      else settle({ ok: false, failure: ofAnotherBuild(data.version) })
    }
    const onError = (event: ErrorEvent) => {
      event.preventDefault()
      settle({ ok: false, failure: blocked(event.message || 'the browser refused to run it') })
    }
    const timer = setTimeout(
      () => settle({ ok: false, failure: blocked(`no hello within ${helloWithin} ms`) }),
      helloWithin,
    )
    worker.addEventListener('message', onMessage)
    worker.addEventListener('error', onError)
  })
}

/** Page and worker of two deployments: no policy is to blame, and no retry helps. */
function ofAnotherBuild(version: number): Failure {
  return {
    code: 'worker-blocked',
    message: `the worker is of another build than the page (version ${version}, expected ${bridgeVersion}): reload the page, or deploy both together`,
    details: { directive: 'worker-src' },
  }
}

function blocked(reason: string): Failure {
  return {
    code: 'worker-blocked',
    message: `the worker did not start (${reason}): allow it by the policy "worker-src 'self' blob:", or pass your own by join({ worker })`,
    details: { directive: 'worker-src' },
  }
}

/**
 * Comlink tells the other end when a proxy is collected, and makes one for each access to a function: were it collected while the
 * page is in the back/forward cache, that telling would throw the page out of it. So a port has its proxies once, for ever.
 */
const proxiesForEver: unknown[] = []

export class WorkerPort implements HostPort {
  readonly #worker: Worker
  readonly #claim: Remote<WorkerApi>['claim']
  readonly #begin: Remote<WorkerApi>['begin']
  readonly #call: Remote<WorkerApi>['call']
  #onevent: ((event: HostEvent) => void) | null = null
  /** Events that came before anyone listened. */
  #early: HostEvent[] = []
  /** The worker says that this connection's link has ended. */
  onended: ((connectionId: string) => void) | null = null
  #isLost = false
  #onlost: () => void = () => {}
  #closed = false

  constructor(worker: Worker) {
    this.#worker = worker
    const api = wrap<WorkerApi>(worker)
    this.#claim = api.claim
    this.#begin = api.begin
    this.#call = api.call
    proxiesForEver.push(api, this.#claim, this.#begin, this.#call)
    worker.addEventListener('message', ({ data }: MessageEvent<WorkerMessage>) => {
      if (this.#closed) return
      if (data?.comity === 'event') this.#tell(data.event)
      else if (data?.comity === 'ended') this.onended?.(data.connectionId)
      else if (data?.comity === 'lost') this.#lose()
    })
  }

  get onevent(): ((event: HostEvent) => void) | null {
    return this.#onevent
  }

  set onevent(listener: ((event: HostEvent) => void) | null) {
    this.#onevent = listener
    const early = this.#early
    this.#early = []
    for (const event of early) this.#tell(event)
  }

  /** L3. Told once, at once if it has happened already: the worker has no right to its identity any more, and has stopped. */
  whenLost(tell: () => void): void {
    this.#onlost = tell
    if (this.#isLost) tell()
  }

  claim(request: ClaimRequest): Promise<Reply<Claimed>> {
    return this.#claim(request)
  }

  begin(request: BeginRequest, registrar: RegistrarApi | null): Promise<Reply<null>> {
    return this.#begin(request, registrar && proxy(registrar)) as Promise<Reply<null>>
  }

  call: HostPort['call'] = (call) => this.#call(call) as never

  notice(notice: Notice): void {
    this.#post({ comity: 'notice', notice })
  }

  /** Throws DataCloneError where channels cannot be transferred: in the very task, so that relays can take their place. */
  connect(handover: Handover): void {
    this.#post({ comity: 'connect', handover }, [handover.control, handover.bulk])
  }

  disconnect(connectionId: string, reason: 'local' | 'remote' | 'lost'): void {
    this.#post({ comity: 'disconnect', connectionId, reason })
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#worker.terminate()
  }

  #lose(): void {
    this.#isLost = true
    this.#onlost()
  }

  #tell(event: HostEvent): void {
    if (this.#onevent) this.#onevent(event)
    else this.#early.push(event)
  }

  #post(message: PageMessage, transferred: Transferable[] = []): void {
    if (!this.#closed) this.#worker.postMessage(message, transferred)
  }
}
