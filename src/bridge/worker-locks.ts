import type { HeldLock, LockService } from '../host/browser.js'

/** The browser's Web Locks as the host sees them. */
export class BrowserLocks implements LockService {
  /** Of every tab of the origin. */
  async heldNames(): Promise<readonly string[]> {
    const { held = [] } = await navigator.locks.query()
    return held.flatMap(({ name }) => (name === undefined ? [] : [name]))
  }

  hold(
    name: string,
    options: { readonly ifAvailable?: boolean; readonly signal?: AbortSignal } = {},
  ): Promise<HeldLock | null> {
    return new Promise((resolve, reject) => {
      let held: HeldLock | null = null
      let released = false
      const request: LockOptions = options.ifAvailable
        ? { ifAvailable: true }
        : { ...(options.signal && { signal: options.signal }) }
      navigator.locks
        .request(name, request, (lock) => {
          if (!lock) {
            resolve(null)
            return
          }
          return new Promise<void>((release) => {
            held = {
              release() {
                released = true
                release()
              },
              onlost: null,
            }
            resolve(held)
          })
        })
        .catch((error: unknown) => {
          // L3: a rejection after the grant means that the browser has taken the lock away.
          if (held && !released) held.onlost?.()
          reject(error)
        })
    })
  }
}
