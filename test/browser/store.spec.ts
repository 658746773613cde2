import { expect, meetings, type Tab, test } from './kit.js'

const times = 25
const ways = ['revision', 'value'] as const

/** Adds one, again and again, until it has been done so often; resolves with how often it was tried. */
function count(tab: Tab, key: string, by: (typeof ways)[number]): Promise<number> {
  return tab.page.evaluate(
    async ({ key, by, times }) => {
      const { store } = window.kit.room
      let tries = 0
      for (let done = 0; done < times; tries += 1) {
        const found = await store.get<number>(key)
        const { revision, value } = found ?? { revision: 0, value: 0 }
        const expected = found && by === 'value' ? { value } : { revision }
        if (await store.compareAndSet(key, expected, value + 1)) done += 1
      }
      return tries
    },
    { key, by, times },
  )
}

for (const meeting of meetings) {
  test(`${meeting}: three tabs count by compareAndSet at the same time, and no update is lost`, async ({ meet }) => {
    const meadow = await meet(meeting)
    const tabs = await meadow.openAll(3)
    const counts = tabs.flatMap((tab) => ways.map((by) => count(tab, 'counter', by)))
    const tries = (await Promise.all(counts)).reduce((sum, tries) => sum + tries, 0)
    const total = times * counts.length
    for (const tab of tabs) expect(await tab.get('counter')).toBe(total)
    // They were in each other's way, or this would show nothing.
    expect(tries).toBeGreaterThan(total)
  })
}

test('compareAndSet in a tab: what is not there, what is, and what only looks like it', async ({ meet }) => {
  const meadow = await meet('one browser')
  const tab = await meadow.open()
  const answers = await tab.page.evaluate(async () => {
    const { store } = window.kit.room
    const answers: unknown[] = []
    const note = async (answer: Promise<unknown>) => answers.push(await answer)
    await note(store.compareAndSet('k', { value: undefined }, 'never'))
    await note(store.compareAndSet('k', { revision: 0 }, undefined))
    await note(store.compareAndSet('k', { revision: 0 }, 'never'))
    await note(store.compareAndSet('k', { value: undefined }, { a: 1, b: new Map([['x', [2n]]]) }))
    await note(store.compareAndSet('k', { value: { a: 1, b: [] } }, 'never'))
    await note(store.compareAndSet('k', { value: { b: new Map([['x', [2n]]]), a: 1 } }, 'last'))
    const found = await store.get('k')
    await store.delete('k')
    await note(store.compareAndSet('k', { revision: found?.revision ?? 0 }, 'never'))
    await note(store.get('k'))
    return [...answers, found?.value]
  })
  expect(answers).toEqual([false, true, false, true, false, true, false, undefined, 'last'])
})
