/** Nothing here waits without a bound. */

/** Rejects with what did not happen in time; what comes later is ignored. */
export async function within<T>(ms: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${ms} ms`)), ms)
  })
  promise.catch(() => {})
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Asks again and again until the answer is not null. */
export async function until<T>(what: string, ask: () => Promise<T | null>, ms = 20_000): Promise<T> {
  const deadline = performance.now() + ms
  for (;;) {
    const found = await ask()
    if (found !== null) return found
    if (performance.now() > deadline) throw new Error(`${what}: not within ${ms} ms`)
    await sleep(20)
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** This process's time on the scale of the pages' `performance.timeOrigin + performance.now()`. */
export function clock(): number {
  return performance.timeOrigin + performance.now()
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? (error.message.split('\n')[0] ?? error.name) : String(error)
}
