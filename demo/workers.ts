/** Remembers the workers that this page starts, so that one can be ended as a crash would end it. Imported before `join`. */

const alive = new Set<Worker>()

class RememberedWorker extends Worker {
  constructor(url: string | URL, options?: WorkerOptions) {
    super(url, options)
    alive.add(this)
  }

  override terminate(): void {
    alive.delete(this)
    super.terminate()
  }
}

export function rememberWorkers(): void {
  globalThis.Worker = RememberedWorker
}

let ended = false

/** Whether this page's peer was ended that way. */
export function workersEnded(): boolean {
  return ended
}

/** False when there was none. */
export function endWorkers(): boolean {
  ended = alive.size > 0
  for (const worker of [...alive]) worker.terminate()
  return ended
}
