import { expect, it } from 'vitest'
import { identityLockName, lifeLockName } from '../shared/life.js'
import type { HeldLock } from './browser.js'
import { DeathWatch } from './death-watch.js'
import { ManualClock, TestLocks } from './test-locks.js'

const incarnation = { counter: 3, nonce: 'n' }
const life = { peerId: 'p', incarnation }
const names = { life: lifeLockName('p', incarnation), identity: identityLockName('room', 'p') }

/** A tab watches the other one, which lives: its page holds the life lock, its worker the identity. */
async function watching() {
  const clock = new ManualClock()
  const locks = new TestLocks()
  const take = async (name: string): Promise<HeldLock> => {
    const lock = await locks.hold(name)
    if (!lock) throw new Error(`${name} is not free`)
    return lock
  }
  const page = await take(names.life)
  const worker = await take(names.identity)
  const dead: unknown[] = []
  const watch = new DeathWatch('room', locks, clock, (one) => dead.push(one))
  watch.watch(life)
  const pass = async (ms = 5_000) => {
    for (let i = 0; i < ms; i += 100) await clock.pass(100)
  }
  await pass()
  return { watch, locks, page, worker, dead, pass, take }
}

it('[L2] a page and its worker that are both gone are dead, in that life', async () => {
  const { page, worker, dead, pass, locks } = await watching()
  expect(dead).toEqual([])
  page.release()
  worker.release()
  await pass()
  expect(dead).toEqual([life])
  expect(
    [names.life, names.identity].filter((name) => locks.isHeld(name)),
    'a reload gets its identity back',
  ).toEqual([])
})

it('[L2] a free life lock proves nothing while the worker lives: WebKit frees the locks of a page that is put aside', async () => {
  const { page, dead, pass } = await watching()
  page.release()
  await pass()
  expect(dead).toEqual([])
})

it('[L2] a free identity proves nothing while the page lives: a worker can die alone', async () => {
  const { worker, dead, pass } = await watching()
  worker.release()
  await pass()
  expect(dead).toEqual([])
})

it('[L2] nor both, one after the other: they must be held together', async () => {
  const { page, worker, dead, pass, take } = await watching()
  page.release()
  const again = take(names.life)
  await pass(1_000)
  worker.release()
  await again
  await pass()
  expect(dead).toEqual([])
})

it('[L2] a worker that outlives its page for a moment is waited for', async () => {
  const { page, worker, dead, pass } = await watching()
  page.release()
  await pass(1_000)
  expect(dead).toEqual([])
  worker.release()
  await pass(1_000)
  expect(dead).toEqual([life])
})

it('[L2][M1] who said goodbye needs no proof any more', async () => {
  const { watch, page, worker, dead, pass } = await watching()
  watch.unwatch(life)
  page.release()
  worker.release()
  await pass()
  expect(dead).toEqual([])
})
