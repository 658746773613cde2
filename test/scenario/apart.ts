/** For stories of rooms that come apart into several histories and meet again (N2, N3). */
import type { RoomReset } from '../../src/client/room.js'
import type { SimTab } from '../../src/simulation/tab.js'
import { type Story, withLease } from './story.js'

export const lease = 5_000
export const abroad = { ...withLease(lease), registrar: true }
export const accepted = { acceptDataLoss: true } as const

/** Filled as its page hears of them. */
export function resetsOf(tab: SimTab): RoomReset[] {
  const heard: RoomReset[] = []
  tab.page.room.addEventListener('reset', (event) => heard.push((event as CustomEvent<RoomReset>).detail))
  return heard
}

export function lineageOf(tab: SimTab) {
  return tab.page.worker?.record?.host.lineage ?? null
}

/** As many as there are histories among them. */
export function lineagesOf(tabs: readonly SimTab[]): Set<string> {
  return new Set(tabs.map((tab) => JSON.stringify(lineageOf(tab))))
}

export async function allInOne(story: Story, tabs: readonly SimTab[]): Promise<void> {
  const isOne = () => lineagesOf(tabs).size === 1 && tabs.every((tab) => tab.page.room.status === 'ready')
  await story.until(isOne, 60_000, 'one history, and everybody ready in it')
}

export async function set(story: Story, tab: SimTab, key: string, value: string): Promise<void> {
  await story.settle(tab.page.room.store.set(key, value), 20_000)
}

export async function get(story: Story, tab: SimTab, key: string): Promise<unknown> {
  return (await story.settle(tab.page.room.store.get(key), 20_000))?.value
}
