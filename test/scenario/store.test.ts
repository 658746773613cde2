import { describe, expect, it } from 'vitest'
import type { Abilities } from '../../src/host/abilities.js'
import type { Change, WatchPosition } from '../../src/index.js'
import type { SimTab } from '../../src/simulation/tab.js'
import { abroad, allInOne, lease, resetsOf, set } from './apart.js'
import { Story, withLease } from './story.js'

/** All that a watch of that tab tells, as it comes; `copy`: what a page makes of it. */
class Watcher {
  readonly told: string[] = []
  readonly copy = new Map<string, unknown>()
  position: WatchPosition | null = null
  hasEnded = false

  /** `most`: after so many it takes no more. */
  constructor(tab: SimTab, prefix: string, from?: WatchPosition | number, most = Number.POSITIVE_INFINITY) {
    void this.#read(tab.page.room.store.watch(prefix, from === undefined ? {} : { from }), most)
  }

  async #read(watch: AsyncIterable<Change>, most: number): Promise<void> {
    for await (const change of watch) {
      this.#hear(change)
      if (this.told.length >= most) break
    }
    this.hasEnded = true
  }

  #hear({ type, key, value, resync, position, last }: Change): void {
    this.told.push([resync && 'resync', type, key, value, last && 'last'].filter(Boolean).join(' '))
    this.position = position
    if (type === 'resync') this.copy.clear()
    else if (type === 'set') this.copy.set(key, value)
    else this.copy.delete(key)
  }
}

async function copies(story: Story, watcher: Watcher, expected: Record<string, unknown>): Promise<void> {
  const isSame = () => JSON.stringify([...watcher.copy].sort()) === JSON.stringify(Object.entries(expected).sort())
  await story.until(isSame, 20_000, `a copy of ${JSON.stringify(expected)}`)
}

describe('store.watch', () => {
  it('[S-10] resumed over a reload goes on without a gap, while another tab writes', async () => {
    const story = new Story('watch over a reload', withLease(30_000))
    const [reader, writer] = await story.open(2)
    if (!reader || !writer) throw new Error('two tabs')
    // In the middle of a transaction.
    const before = new Watcher(reader, 'k', undefined, 5)
    await story.pass(50)
    const values = Array.from({ length: 12 }, (_, i) => i + 1)
    const writing = (async () => {
      for (const i of values) {
        await writer.page.room.store.transact({
          then: [
            { set: 'k1', value: i },
            { set: 'other', value: i },
            { set: 'k2', value: i },
          ],
        })
      }
    })()
    await story.until(() => before.hasEnded, 10_000, 'some changes')
    reader.reload()
    const { position } = before
    if (!position) throw new Error('a position')
    const after = new Watcher(reader, 'k', JSON.parse(JSON.stringify(position)) as WatchPosition)
    await story.settle(writing, 30_000)
    const all = values.flatMap((i) => [`set k1 ${i}`, `set k2 ${i} last`])
    await story.until(() => before.told.length + after.told.length >= all.length, 20_000, 'the rest')
    await story.pass(1_000)
    expect([...before.told, ...after.told]).toEqual(all)
  })

  it('[S-10] a peer that got a snapshot tells how things are, once, with what it knows to be deleted', async () => {
    const story = new Story('watch over a snapshot', {
      ...withLease(60_000, 20),
      snapshotSizes: { tailEntries: 4, chunkBytes: 64 * 1024 },
    })
    const tabs = await story.open(3)
    const leader = story.leaderOf(tabs)
    const [away, other] = tabs.filter((tab) => tab !== leader)
    if (!away || !other) throw new Error('three tabs')
    const { store } = other.page.room
    await story.settle(store.transact({ then: ['a', 'b', 'c'].map((key) => ({ set: key, value: 'old' })) }))
    const watcher = new Watcher(away, '', 0)
    await copies(story, watcher, { a: 'old', b: 'old', c: 'old' })
    const soFar = watcher.told.length
    for (const peer of [leader, other]) story.sim.ether.breakLinks(story.peerOf(away), story.peerOf(peer))
    story.cutOff(away, [leader, other])
    await story.settle(store.delete('a'))
    for (let i = 0; i < 60; i += 1) await story.settle(store.set('b', i))
    story.heal()
    await copies(story, watcher, { b: 59, c: 'old' })
    await story.settle(store.set('d', 'live'))
    await copies(story, watcher, { b: 59, c: 'old', d: 'live' })
    const since = watcher.told.slice(soFar)
    expect(since.slice(0, 2)).toEqual(['resync resync', 'resync delete a'])
    expect(since.filter((text) => text === 'resync resync')).toHaveLength(1)
    expect(since.at(-1)).toBe('set d live last')
  })

  it('goes on over the back/forward cache, with what it missed', async () => {
    const story = new Story('watch put aside', withLease(30_000))
    const [reader, writer] = await story.open(2)
    if (!reader || !writer) throw new Error('two tabs')
    const watcher = new Watcher(reader, '')
    await set(story, writer, 'k', 'before')
    await copies(story, watcher, { k: 'before' })
    reader.page.hide(true)
    await set(story, writer, 'k', 'meanwhile')
    await set(story, writer, 'more', 'meanwhile')
    reader.page.show()
    await copies(story, watcher, { k: 'meanwhile', more: 'meanwhile' })
    await set(story, writer, 'k', 'after')
    await copies(story, watcher, { k: 'after', more: 'meanwhile' })
    const changes = watcher.told.filter((text) => !text.startsWith('resync'))
    expect(changes).toEqual([
      'set k before last',
      'set k meanwhile last',
      'set more meanwhile last',
      'set k after last',
    ])
  })

  it('[N2] tells everything anew where another history goes on, and ends with its handle', async () => {
    const story = new Story('watch over a merge', withLease(lease))
    const elder = story.sim.openTab(story.sim.createBrowser())
    await story.until(() => elder.page.room.status === 'ready', 10_000, 'the elder')
    await story.pass(2_000)
    const younger = story.sim.openTab(story.sim.createBrowser())
    await story.until(() => younger.page.room.status === 'ready', 10_000, 'the younger')
    const resets = resetsOf(younger)
    await set(story, elder, 'both', 'elder')
    await set(story, elder, 'one', 'elder')
    await set(story, younger, 'both', 'younger')
    const watcher = new Watcher(younger, '', 0)
    await copies(story, watcher, { both: 'younger' })
    story.sim.ether.signaling = () => true
    await allInOne(story, [elder, younger])
    expect(resets).toHaveLength(1)
    await copies(story, watcher, { both: 'elder', one: 'elder' })
    expect(watcher.told.filter((text) => text.startsWith('resync resync'))).toHaveLength(2)
    void younger.page.room.leave()
    await story.until(() => watcher.hasEnded, 1_000, 'its end')
  })
})

describe('what is observed', () => {
  it('stays as it was shown over the back/forward cache, until this peer knows how it is', async () => {
    const story = new Story('observed and put aside', withLease(30_000))
    const [reader, writer] = await story.open(3)
    if (!reader || !writer) throw new Error('three tabs')
    await set(story, writer, 'k', 'before')
    await story.acquire(writer, 'doc')
    const seen: unknown[] = []
    reader.page.room.store.observe('k').subscribe((revised) => seen.push(revised?.value))
    reader.page.room.locks.observe('doc').subscribe(({ holder }) => seen.push(holder))
    await story.until(() => seen.includes('before') && seen.includes(story.peerOf(writer)))
    seen.length = 0
    reader.page.hide(true)
    await story.pass(500)
    await set(story, writer, 'k', 'meanwhile')
    reader.page.show()
    await story.until(() => seen.includes('meanwhile'))
    await story.pass(2_000)
    expect(new Set(seen)).toEqual(new Set(['meanwhile', story.peerOf(writer)]))
  })
})

describe('an ephemeral key', () => {
  it.each<[string, number, (tab: SimTab) => void]>([
    ['closes', 1_000, (tab) => tab.close()],
    ['reloads', 1_000, (tab) => tab.reload()],
    ['crashes', 20_000, (tab) => tab.crash()],
  ])('[S-3] is gone when its tab %s, and others see it go', async (how, within, end) => {
    const story = new Story(`ephemeral ${how}`, { ...withLease(3_000), registrar: true })
    const [stays, goes] = await story.open(1, 1, 1)
    if (!stays || !goes) throw new Error('tabs')
    const ephemeral = true
    await story.settle(goes.page.room.store.set('set', 1, { ephemeral }))
    await story.settle(goes.page.room.store.transact({ then: [{ set: 'transacted', value: 1, ephemeral }] }))
    await story.settle(goes.page.room.store.set('mine', 1, { ephemeral }))
    await story.settle(stays.page.room.store.set('mine', 2))
    const shown = await story.settle(stays.page.room.store.entries())
    expect(shown.map(({ key, ephemeral }) => [key, ephemeral])).toEqual([
      ['mine', false],
      ['set', true],
      ['transacted', true],
    ])
    const watcher = new Watcher(stays, '', shown.revision)
    end(goes)
    await story.until(() => watcher.told.length === 2, within, 'their end')
    expect(watcher.told).toEqual(['delete set', 'delete transacted last'])
    expect(await story.settle(stays.page.room.store.get('mine'))).toMatchObject({ value: 2 })
  })
})

describe('store.transact', () => {
  it('[T2] of a zombie is refused whole', async () => {
    const story = new Story('zombie transaction', { ...withLease(3_000), registrar: true })
    const [zombie, next] = await story.open(1, 1, 1)
    if (!zombie || !next) throw new Error('tabs')
    const lock = await story.acquire(zombie, 'doc')
    const thief = await story.acquire(next, 'doc', { steal: true })
    const write = story.watch(
      zombie.page.room.store.transact({
        then: [
          { set: 'free', value: 1 },
          { set: 'doc', value: 'old', fence: lock },
        ],
      }),
    )
    await story.until(() => write.at !== null)
    expect(write.error).toMatchObject({ name: 'StaleFenceError', current: thief.token, op: 'then[1]' })
    expect(await story.settle(next.page.room.store.entries())).toMatchObject([])
    const fenced = next.page.room.store.transact({ then: [{ set: 'doc', value: 'new' }] }, { fence: thief })
    expect(await story.settle(fenced)).toMatchObject({ succeeded: true })
  })

  it('[S-2] that is retried across a change of leaders says what it did at first', async () => {
    const story = new Story('retried transaction', withLease(30_000))
    const tabs = await story.open(3)
    const leader = story.leaderOf(tabs)
    const [writer] = tabs.filter((tab) => tab !== leader)
    if (!writer) throw new Error('three tabs')
    story.sim.ether.block(story.peerOf(leader), story.peerOf(writer), false)
    const create = { compare: [{ key: 'k', exists: false }], then: [{ set: 'k', value: 1 }], else: [{ get: 'k' }] }
    const write = story.watch(writer.page.room.store.transact(create))
    await story.until(() => story.sim.log.versionsOf('k').length === 1)
    expect(write.at).toBeNull()
    leader.crash()
    await story.until(() => write.at !== null)
    expect(write.value).toMatchObject({ succeeded: true })
    expect(story.sim.log.versionsOf('k')).toHaveLength(1)
  })

  const old: Partial<Abilities> = { canApply: 1 }
  it('[F5] beside a member of older code is refused by its name, while watches and entries go on', async () => {
    const story = new Story('older code', { ...abroad, surgery: { abilities: () => old } })
    const [tab] = await story.open(1)
    if (!tab) throw new Error('a tab')
    const watcher = new Watcher(tab, '')
    await set(story, tab, 'k', 'v')
    const refused = story.watch(tab.page.room.store.transact({ then: [{ set: 'k', value: 1 }] }))
    await story.until(() => refused.at !== null)
    expect(refused.error).toMatchObject({ code: 'incompatible-peer' })
    await copies(story, watcher, { k: 'v' })
    expect(await story.settle(tab.page.room.store.entries())).toMatchObject([{ key: 'k', value: 'v' }])
  })

  it('[F5] of a page that has only just come is not taken for one in an older room', async () => {
    const story = new Story('early transaction', abroad)
    const [first] = await story.open(1)
    if (!first) throw new Error('a tab')
    for (let i = 0; i < 5; i += 1) await set(story, first, 'k', `${i}`)
    const late = story.sim.openTab(story.sim.createBrowser())
    // Before it is ready: it knows nothing of the room yet, not how new its machine is.
    const early = story.watch(late.page.room.store.transact({ then: [{ get: 'k' }] }))
    await story.until(() => early.at !== null, 20_000, 'its answer')
    expect(early.error).toBeUndefined()
    expect(early.value).toMatchObject({ succeeded: true, results: [{ get: 'k', found: { value: '4' } }] })
  })
})
