import { describe, expect, it } from 'vitest'
import type { Abilities } from '../../src/host/abilities.js'
import { type Dialect, protocol } from '../../src/host/dialect.js'
import type { Self } from '../../src/host/peers.js'
import { encodeInstruction } from '../../src/machine/instruction.js'
import { machineVersion, versionNeeded } from '../../src/machine/version.js'
import { readByte, readTime, writeByte, writeTime } from '../../src/shared/bytes.js'
import type { SimBrowser } from '../../src/simulation/browser.js'
import type { SimTab } from '../../src/simulation/tab.js'
import { Story, withLease } from './story.js'

const lease = 5_000
const abroad = { ...withLease(lease), registrar: true }
const [three] = protocol

/** Of the next version: heartbeats have a mood, and pings are another kind of item, which version 3 takes for garbage. */
class Four implements Dialect {
  readonly version = 4
  waves = 0
  moods = 0

  knows(): boolean {
    return true
  }

  writeItem: Dialect['writeItem'] = (writer, item) => {
    if (item.type === 'ping') {
      writeByte(writer, 200)
      writeTime(writer, item.time)
      return
    }
    three.writeItem(writer, item)
    if (item.type === 'raft' && item.message.type === 'heartbeat') writeByte(writer, 7)
  }

  readItem: Dialect['readItem'] = (reader, from, to) => {
    if (reader.arr[reader.pos] === 200) {
      readByte(reader)
      this.waves += 1
      return { type: 'ping', time: readTime(reader) }
    }
    const item = three.readItem(reader, from, to)
    if (item.type === 'raft' && item.message.type === 'heartbeat' && readByte(reader) === 7) this.moods += 1
    return item
  }
}

/** What the code of each browser can do; everything is as it is now where nothing is said. */
class Codes {
  readonly #codes = new Map<string, Partial<Abilities>>()
  readonly options = { ...abroad, surgery: { abilities: (self: Self) => this.#codes.get(self.browserId) ?? {} } }

  install(browser: SimBrowser, code: Partial<Abilities>): void {
    this.#codes.set(browser.id, code)
  }

  /** Tabs with code of their own, one browser each; the first one founds the room. */
  async open(story: Story, ...codes: readonly Partial<Abilities>[]): Promise<SimTab[]> {
    const tabs: SimTab[] = []
    for (const code of codes) {
      const tab = this.openTab(story, code)
      tabs.push(tab)
      await story.until(() => tab.page.room.status === 'ready', 10_000, `${tab.name} ready`)
    }
    await story.pass(3_000)
    return tabs
  }

  openTab(story: Story, code: Partial<Abilities>): SimTab {
    const browser = story.sim.createBrowser()
    this.install(browser, code)
    return story.sim.openTab(browser)
  }
}

/** The codes of the errors that a room has told. */
function errorsOf(tab: SimTab): string[] {
  const codes: string[] = []
  tab.page.room.addEventListener('error', (event) => {
    const { detail } = event as CustomEvent<{ readonly code: string }>
    codes.push(detail.code)
  })
  return codes
}

async function lockEach(story: Story, tabs: readonly SimTab[]): Promise<void> {
  const held = tabs.map((tab, i) => story.ask(tab, `doc ${i}`))
  await story.until(() => held.every(({ value }) => value?.state === 'held'), 10_000, 'a lock for everyone')
  for (const tab of tabs) story.ask(tab, 'all', { mode: 'shared' })
  for (const { value } of held) await story.settle(value?.release() ?? Promise.resolve())
}

describe('[F1] neighbouring versions', () => {
  it('share a room, and speak with each other as both can', async () => {
    const codes = new Codes()
    const story = new Story('3 and 4', codes.options)
    const dialects = [new Four(), new Four(), new Four()] as const
    const both = dialects.map((four) => ({ protocol: [three, four] }) as const)
    const [a = {}, b = {}, c = {}] = both
    // The third one is alone with the old one at first.
    const tabs = await codes.open(story, {}, a)
    await story.pass(3_000)
    expect(dialects[0].waves + dialects[0].moods).toBe(0)
    const more = await codes.open(story, b, c)
    await lockEach(story, [...tabs, ...more])
    await story.pass(3_000)
    for (const { waves } of dialects) expect(waves).toBeGreaterThan(4)
    // Whoever leads, the old one has heard nothing that it takes for garbage, nor has anybody else.
    for (const tab of [...tabs, ...more]) {
      const { refused } = await story.settle(tab.page.room.metrics())
      expect([refused.malformed, refused.version]).toEqual([0, 0])
    }
    const [old] = tabs
    old?.close()
    await story.until(() => dialects.filter(({ moods }) => moods > 4).length >= 2, 3 * lease, 'heartbeats of version 4')
    await lockEach(story, [...tabs.slice(1), ...more])
  })

  it('whoever joins a room that speaks no version of its own fails with an error of its type, and harms nobody', async () => {
    const four: Partial<Abilities> = { protocol: [new Four()] }
    for (const [room, comes] of [
      [{}, four],
      [four, {}],
    ] as const) {
      const codes = new Codes()
      const story = new Story('too far apart', codes.options)
      const tabs = await codes.open(story, room, room)
      const told = tabs.map(errorsOf)
      const late = codes.openTab(story, comes)
      const ready = story.watch(late.page.room.ready)
      await story.until(() => late.page.room.status === 'failed', 10_000, 'a typed end')
      expect(late.page.room.error).toMatchObject({ name: 'IncompatiblePeerError', code: 'incompatible-peer' })
      expect(late.page.room.error?.message).toMatch(/version 3.*4|version 4.*3/)
      expect(ready.error).toBe(late.page.room.error)
      for (const codes of told) expect(codes).toEqual(['incompatible-peer'])
      expect(tabs.map(({ page }) => page.room.status)).toEqual(['ready', 'ready'])
      await lockEach(story, tabs)
    }
  })

  it('a tab that reloads with newer code beside one with old code is told, and the old one goes on', async () => {
    const codes = new Codes()
    const story = new Story('deployed', codes.options)
    const [old] = await codes.open(story, {})
    if (!old) throw new Error('a tab')
    const other = story.sim.openTab(old.browser)
    await story.until(() => other.page.room.status === 'ready')
    await story.pass(3_000)
    codes.install(old.browser, { protocol: [new Four()] })
    other.reload()
    await story.until(() => other.page.room.status === 'failed', 15_000, 'a typed end')
    expect(other.page.room.error?.code).toBe('incompatible-peer')
    await story.until(() => old.page.room.status === 'ready', 3 * lease, 'the old one alone')
    await lockEach(story, [old])
  })

  it('one that meets members that it can speak with, and one that it cannot, gets in', async () => {
    const codes = new Codes()
    const story = new Story('between', codes.options)
    const wide = { protocol: [three, new Four()] as const }
    const tabs = await codes.open(story, wide, {})
    const told = tabs.map(errorsOf)
    const late = codes.openTab(story, { protocol: [new Four()] })
    const seen = errorsOf(late)
    await story.until(() => late.page.room.status === 'ready', 10_000, 'the newest ready')
    await story.pass(2 * lease)
    expect([late.page.room.status, told, seen]).toEqual(['ready', [[], ['incompatible-peer']], ['incompatible-peer']])
  })
})

const next = machineVersion + 1

const swapNeedsNext: Partial<Abilities> = {
  canApply: next,
  versionNeeded: (command) => (command.type === 'store.compareAndSet' ? next : versionNeeded(command)),
}

describe('[F5] the version of the machine', () => {
  const versionOf = ({ sim }: Story) => sim.leader?.host.machine.version

  it('stays where every member can follow, and rises when the last one that cannot has left', async () => {
    const codes = new Codes()
    const story = new Story('mixed', codes.options)
    const tabs = await codes.open(story, {}, swapNeedsNext, swapNeedsNext, swapNeedsNext)
    const [old, other] = tabs
    if (!old || !other) throw new Error('four tabs')
    expect(versionOf(story)).toBe(machineVersion)
    const early = story.watch(other.page.room.store.compareAndSet('k', { revision: 0 }, 1))
    await story.until(() => early.at !== null)
    expect(early.error).toMatchObject({ code: 'incompatible-peer' })
    await story.settle(other.page.room.store.set('k', 1))
    // Away is not gone: it may be back with the code that it had.
    old.crash()
    await story.pass(lease / 2)
    expect(versionOf(story)).toBe(machineVersion)
    await story.until(() => versionOf(story) === next, 4 * lease, 'the machine raised')
    const { revision = 0 } = (await story.settle(other.page.room.store.get('k'))) ?? {}
    expect(await story.settle(other.page.room.store.compareAndSet('k', { revision }, 2))).toBe(true)
    expect((await story.settle(other.page.room.metrics())).machineVersion).toBe(next)
    // And once it has risen, the old code does not come in, with what it has on its disk or without.
    old.reload()
    const young = codes.openTab(story, {})
    for (const tab of [old, young]) {
      await story.until(() => tab.page.room.status === 'failed', 15_000, 'a typed end')
      expect(tab.page.room.error?.code).toBe('incompatible-peer')
    }
    const left = tabs.filter((tab) => tab !== old)
    expect(left.map(({ page }) => page.room.status)).toEqual(['ready', 'ready', 'ready'])
    codes.install(old.browser, swapNeedsNext)
    old.reload()
    await story.until(() => old.page.room.status === 'ready', 15_000, 'updated, and back')
    await lockEach(story, tabs)
  })

  it('of an updated member rises while it is there, over a reload of each', async () => {
    const codes = new Codes()
    const story = new Story('updated', codes.options)
    const tabs = await codes.open(story, {}, {}, {})
    for (const tab of tabs) {
      expect(versionOf(story)).toBe(machineVersion)
      codes.install(tab.browser, { canApply: next })
      tab.reload()
      await story.until(() => tab.page.room.status === 'ready', 15_000, `${tab.name} ready`)
    }
    await story.until(() => versionOf(story) === next, 2 * lease, 'the machine raised')
    await lockEach(story, tabs)
  })

  it.each([
    ['an entry', 1_000],
    ['a snapshot', 4],
  ])('older code that finds %s of a newer machine on its own disk stops, and touches nothing', async (_what, every) => {
    const codes = new Codes()
    const base = { ...codes.options, ...withLease(lease, every), surgery: codes.options.surgery }
    const story = new Story(`downgrade ${every}`, base)
    const [tab] = await codes.open(story, { canApply: next })
    if (!tab) throw new Error('a tab')
    await story.until(() => versionOf(story) === next)
    for (let i = 0; i < 8; i++) await story.settle(tab.page.room.store.set('k', i))
    await story.pass(1_000)
    tab.close()
    codes.install(tab.browser, {})
    tab.reload()
    await story.until(() => tab.page.room.status === 'failed', 10_000, 'a typed end')
    expect(tab.page.room.error).toMatchObject({ code: 'incompatible-peer' })
    codes.install(tab.browser, { canApply: next })
    tab.reload()
    await story.until(() => tab.page.room.status === 'ready', 10_000, 'ready again')
    expect((await story.settle(tab.page.room.store.get('k')))?.value).toBe(7)
  })

  it('is not raised by anybody but the leader', async () => {
    const story = new Story('a liar raises', withLease(lease))
    const tabs = await story.open(2)
    const leader = story.leaderOf(tabs)
    const liar = tabs.find((tab) => tab !== leader)
    const { refused } = await story.settle(leader.page.room.metrics())
    const raise = encodeInstruction({ type: 'raise', version: 1_000 })
    if (!liar) throw new Error('two tabs')
    story.say(liar, leader, [{ type: 'submit', instructions: [raise, Uint8Array.of(1, 2, 3)] }])
    await story.pass(1_000)
    const after = await story.settle(leader.page.room.metrics())
    expect([after.machineVersion, after.refused.instruction - refused.instruction]).toEqual([machineVersion, 2])
    await lockEach(story, tabs)
  })
})
