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

/** False when there was none. */
export function endWorkers(): boolean {
  const ended = [...alive]
  for (const worker of ended) worker.terminate()
  return ended.length > 0
}
