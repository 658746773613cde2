import { whenAborted } from './aborted.js'

/** Ends with `dispose()`, or with `using` where the platform has it. */
export interface Subscription extends Disposable {
  dispose(): void
}

/** Readable now, subscribable, iterable: the one reactive idiom of the API. */
export interface Observable<T> {
  /** The present value. */
  readonly current: T
  /** Calls the listener with the present value (in a microtask) and then with each new one, until disposed or aborted. */
  subscribe(listener: (value: T) => void, options?: { signal?: AbortSignal }): Subscription
  /** The present value first, then each new one; values that come faster than they are taken are skipped but the last. */
  [Symbol.asyncIterator](): AsyncIterator<T>
}

/** The writable side of an observable. */
export class ObservableValue<T> implements Observable<T> {
  #current: T
  #ended = false
  readonly #listeners = new Set<(value: T) => void>()
  readonly #enders = new Set<() => void>()

  constructor(initial: T) {
    this.#current = initial
  }

  get current(): T {
    return this.#current
  }

  set(value: T): void {
    if (this.#ended) return
    this.#current = value
    for (const listener of [...this.#listeners]) tell(listener, value)
  }

  /** No further values: iterations end, subscriptions fall silent. */
  end(): void {
    this.#ended = true
    this.#listeners.clear()
    for (const end of [...this.#enders]) end()
    this.#enders.clear()
  }

  subscribe(listener: (value: T) => void, options: { signal?: AbortSignal } = {}): Subscription {
    if (typeof listener !== 'function') throw new TypeError('listener: expected a function')
    // A wrapper of its own, so that one function may subscribe twice.
    const own = (value: T) => listener(value)
    let stop = () => {}
    const dispose = () => {
      this.#listeners.delete(own)
      stop()
    }
    if (!this.#ended && !options.signal?.aborted) {
      this.#listeners.add(own)
      if (options.signal) stop = whenAborted(options.signal, dispose)
      queueMicrotask(() => {
        if (this.#listeners.has(own)) tell(own, this.#current)
      })
    }
    return disposable(dispose)
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    let fresh = true
    let wake: () => void = () => {}
    const listener = () => {
      fresh = true
      wake()
    }
    const end = () => wake()
    this.#listeners.add(listener)
    this.#enders.add(end)
    try {
      while (true) {
        if (fresh) {
          fresh = false
          yield this.#current
        } else if (this.#ended) return
        else
          await new Promise<void>((resolve) => {
            wake = resolve
          })
      }
    } finally {
      this.#listeners.delete(listener)
      this.#enders.delete(end)
    }
  }
}

/** An error in a listener is the page's affair: reported as an uncaught one, and no other listener suffers. */
function tell<T>(listener: (value: T) => void, value: T): void {
  try {
    listener(value)
  } catch (error) {
    report(error)
  }
}

/** As `reportError`, where that exists. */
export function report(error: unknown): void {
  if (typeof reportError === 'function') reportError(error)
  else
    queueMicrotask(() => {
      throw error
    })
}

/** With a method under `Symbol.dispose` where the platform has that symbol (PLATFORM 47: not in Safari). */
export function disposable(dispose: () => void): Subscription {
  const object = { dispose }
  if (typeof Symbol.dispose === 'symbol') Object.defineProperty(object, Symbol.dispose, { value: dispose })
  return object as Subscription
}
