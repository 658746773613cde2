/**
 * Frames of one page, each a peer of the room: what the public suite asks of frames, windows and workers that hold locks and go away, and of
 * documents that are gone.
 */
import { test as base, expect, type Page } from '@playwright/test'
import type { Kit } from './pages/room.js'

declare global {
  interface Window {
    /** Adds a frame that has joined the room. */
    addFrame(): Promise<{ readonly frame: HTMLIFrameElement; readonly kit: Kit }>
  }
}

const test = base.extend<{ top: Page }>({
  top: async ({ page }, use, info) => {
    await page.goto('/test/browser/pages/room.html')
    await page.waitForFunction(() => 'kit' in window)
    await page.evaluate(async (room) => {
      await window.kit.join(room)
      window.addFrame = async () => {
        const frame = document.createElement('iframe')
        frame.src = location.href
        const loaded = new Promise((resolve) => frame.addEventListener('load', resolve, { once: true }))
        document.body.append(frame)
        await loaded
        const { kit } = frame.contentWindow as Window
        await kit.join(room)
        return { frame, kit }
      }
    }, `frames ${info.testId}`)
    await use(page)
  },
})

type Going = 'removed' | 'navigated'
const goings: readonly Going[] = ['removed', 'navigated']

test('a lock that a frame holds is not to be had in the page, and each frame is a client of its own', async ({
  top,
}) => {
  const seen = await top.evaluate(async () => {
    const { kit } = window
    const { kit: inner } = await window.addFrame()
    const held = await inner.room.locks.acquire('held', { mode: 'shared' })
    const share = await kit.room.locks.acquire('held', { mode: 'shared' })
    const taken = await kit.room.locks.request('held', { ifAvailable: true }, (lock) => lock)
    const clients = (await kit.room.locks.query()).held.map(({ clientId }) => clientId)
    await Promise.all([held.release(), share.release()])
    return { taken, clients: new Set(clients).size, free: (await inner.room.locks.query()).held }
  })
  expect(seen).toEqual({ taken: null, clients: 2, free: [] })
})

for (const going of goings) {
  test(`a frame that is ${going} gives back what it holds, and leaves the queue`, async ({ top }) => {
    const seen = await top.evaluate(async (going) => {
      const { locks } = window.kit.room
      const { frame, kit: inner } = await window.addFrame()
      const calls: string[] = []
      const here = await locks.acquire('queued for')
      void inner.room.locks.request('held', () => new Promise(() => {}))
      const waiting = inner.room.locks.request('queued for', () => void calls.push('the frame'))
      // Its realm is going away: nobody may ever hear of it.
      waiting.catch(() => {})
      while ((await locks.query()).pending.length === 0);
      const next = locks.request('held', () => 'got it')
      const behind = locks.request('queued for', () => void calls.push('the page'))
      if (going === 'removed') frame.remove()
      else frame.src = 'about:blank'
      const held = await next
      while ((await locks.query()).pending.length > 1);
      await here.release()
      await behind
      const { held: stillHeld, pending } = await locks.query()
      return { held, calls, stillHeld, pending }
    }, going)
    expect(seen).toEqual({ held: 'got it', calls: ['the page'], stillHeld: [], pending: [] })
  })

  test(`request and query in a frame that was ${going} are refused before all else, and nobody is called`, async ({
    top,
  }) => {
    const seen = await top.evaluate(async (going) => {
      const { frame, kit: inner } = await window.addFrame()
      const { locks } = inner.room
      const { DOMException: TheirException } = frame.contentWindow as Window & typeof globalThis
      if (going === 'removed') frame.remove()
      else {
        const loaded = new Promise((resolve) => frame.addEventListener('load', resolve, { once: true }))
        frame.src = 'about:blank'
        await loaded
      }
      // Reactions of a realm that is gone never run: ours hear of its promises.
      const failure = (promise: Promise<unknown>) =>
        new Promise((resolve) => {
          Promise.prototype.then.call(
            promise,
            () => resolve('resolved'),
            (error: unknown) => resolve(error instanceof TheirException ? error.name : String(error)),
          )
        })
      let calls = 0
      const callback = () => {
        calls += 1
      }
      const seen = [
        await failure(locks.request('free', callback)),
        await failure(locks.request('-', callback)),
        await failure(locks.request('free', { steal: true, ifAvailable: true }, callback)),
        await failure(locks.request('free', { signal: AbortSignal.abort('mine') }, callback)),
        await failure(locks.query()),
      ]
      return { seen, calls, held: (await window.kit.room.locks.query()).held }
    }, going)
    expect(seen).toEqual({ seen: Array(5).fill('InvalidStateError'), calls: 0, held: [] })
  })
}

for (const going of ['closed', 'reloaded'] as const) {
  test(`a window that is ${going} gives back what it holds`, async ({ top }, info) => {
    const seen = await top.evaluate(
      async ({ room, going }) => {
        const { locks } = window.kit.room
        const other = window.open(location.href)
        if (!other) throw new Error('no window')
        await new Promise((resolve) => other.addEventListener('load', resolve, { once: true }))
        await other.kit.join(room)
        await other.kit.acquire('held')
        const blocked = locks.request('held', () => 'got it')
        const available = await locks.request('held', { ifAvailable: true }, (lock) => lock)
        if (going === 'closed') other.close()
        else other.location.reload()
        return { available, blocked: await blocked }
      },
      { room: `frames ${info.testId}`, going },
    )
    expect(seen).toEqual({ available: null, blocked: 'got it' })
  })
}
