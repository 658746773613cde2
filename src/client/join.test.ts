import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { HostStatus } from '../host/page.js'
import { join } from './join.js'
import { quiet, TestPort } from './test-port.js'

const ready: HostStatus = { phase: 'ready', raftLeader: 'p', term: 1, role: 'leader', missing: [] }

/** A worker that lets a peer begin whenever it is asked to. */
class TestWorkerPort extends TestPort {
  isBegun = false

  async claim() {
    const incarnation = { counter: 1, nonce: 'n' }
    return { ok: true, value: { peerId: 'p', browserId: 'b', incarnation, storage: 'memory' } }
  }

  async begin() {
    this.isBegun = true
    setTimeout(() => this.tell({ type: 'status', status: ready }))
    return { ok: true, value: null }
  }

  whenLost() {}
}

const workers = vi.hoisted(() => ({ ports: [] as unknown[], start: async () => {} }))
/** The module keeps the browser's own from the moment it is loaded. */
const lives = vi.hoisted(() => {
  const lives = {
    held: 0,
    request: async (_name: string, hold: () => Promise<void>) => {
      lives.held += 1
      await hold()
      lives.held -= 1
    },
  }
  vi.stubGlobal('navigator', { locks: lives })
  return lives
})
vi.mock('../bridge/client.js', () => ({
  startWorker: async () => {
    await workers.start()
    const port = new TestWorkerPort()
    workers.ports.push(port)
    return { ok: true, value: port }
  },
}))

const ports = workers.ports as TestWorkerPort[]
const options = { storage: 'memory', linger: 0 } as const

beforeEach(() => {
  ports.length = 0
  workers.start = async () => {}
  const none = { addEventListener() {}, removeEventListener() {} }
  vi.stubGlobal('window', { isSecureContext: true })
  vi.stubGlobal('Worker', class {})
  vi.stubGlobal('matchMedia', () => ({ matches: false, ...none }))
  vi.stubGlobal('document', { visibilityState: 'visible', ...none })
  vi.stubGlobal('addEventListener', none.addEventListener)
  vi.stubGlobal('removeEventListener', none.removeEventListener)
  vi.stubGlobal('navigator', { locks: lives })
})

afterEach(() => vi.unstubAllGlobals())

describe('whoever joins while the peer of the page says goodbye', () => {
  it('gets a peer of its own, which begins when the other one is gone', async () => {
    const first = await join('one', options)
    const leaving = first.leave()
    await quiet()
    const joining = join('one', options)
    await quiet()
    expect(ports.map(({ isClosed }) => isClosed)).toEqual([false])
    await ports[0]?.answer('leave', null)
    await leaving
    const second = await joining
    expect([first.status, second.status]).toEqual(['left', 'ready'])
    expect(ports.map(({ isClosed }) => isClosed)).toEqual([true, false])
  })

  it('says for itself how: nothing contradicts a peer that goes', async () => {
    const first = await join('two', options)
    void first.leave()
    await quiet()
    const joining = join('two', { ...options, role: 'learner' })
    await ports[0]?.answer('leave', null)
    expect((await joining).status).toBe('ready')
  })

  it('shares that peer with those who join after', async () => {
    const first = await join('three', options)
    void first.leave()
    await quiet()
    const both = [join('three', options), join('three', options)]
    await quiet()
    await ports[0]?.answer('leave', null)
    expect((await Promise.all(both)).map(({ status }) => status)).toEqual(['ready', 'ready'])
    expect(ports).toHaveLength(2)
  })
})

it('a peer that is given up before its worker has started does not begin when it has', async () => {
  let started = () => {}
  workers.start = () =>
    new Promise((resolve) => {
      started = resolve
    })
  const before = lives.held
  vi.useFakeTimers()
  const controller = new AbortController()
  const given = join('four', { ...options, signal: controller.signal }).catch((error: unknown) => error)
  controller.abort()
  expect(await given).toMatchObject({ name: 'AbortError' })
  // As long as a goodbye may take.
  await vi.advanceTimersByTimeAsync(1_000)
  vi.useRealTimers()
  started()
  await quiet()
  expect(ports.map(({ isClosed, isBegun }) => [isClosed, isBegun])).toEqual([[true, false]])
  expect(lives.held).toBe(before)
})
