/** What the network layer needs of time. Injected, so that tests own it; a hidden page's timers are late (PLATFORM 8). */
export interface Timers {
  after(ms: number, run: () => void): { cancel(): void }
}

export const systemTimers: Timers = {
  after(ms, run) {
    const timer = setTimeout(run, ms)
    return { cancel: () => clearTimeout(timer) }
  },
}
