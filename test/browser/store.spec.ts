import { expect, meetings, type Tab, test, until } from './kit.js'

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

/** Keeps what a watch tells where a reload leaves it: each change, and the position after it. */
function follow(tab: Tab, prefix: string): Promise<void> {
  return tab.page.evaluate(async (prefix) => {
    const { store } = window.kit.room
    const kept = JSON.parse(sessionStorage.getItem('kept') ?? '{"told":[],"position":0}')
    const watch = store.watch<number>(prefix, { from: kept.position })
    void (async () => {
      for await (const { type, key, value, position } of watch) {
        if (type !== 'resync') kept.told.push(`${type} ${key} ${value}`)
        kept.position = position
        sessionStorage.setItem('kept', JSON.stringify(kept))
      }
    })()
  }, prefix)
}

const toldTo = (tab: Tab): Promise<string[]> =>
  tab.page.evaluate(() => JSON.parse(sessionStorage.getItem('kept') ?? '{"told":[]}').told)

test('[S-10] a watch that is resumed over a reload has no gap, while another tab writes', async ({ meet }) => {
  const meadow = await meet('one browser')
  const [reader, writer] = (await meadow.openAll(3)) as [Tab, Tab, Tab]
  await follow(reader, 'k')
  const last = 200
  const writing = writer.page.evaluate(async (last) => {
    const { store } = window.kit.room
    for (let i = 1; i <= last; i += 1)
      await store.transact({
        then: [
          { set: 'k1', value: i },
          { set: 'other', value: i },
          { set: 'k2', value: i },
        ],
      })
  }, last)
  for (const count of [20, 120]) {
    await until(`${count} changes`, async () => (await toldTo(reader)).length >= count)
    await reader.reload(meadow.room, meadow.options)
    await follow(reader, 'k')
  }
  await writing
  const all = Array.from({ length: last }, (_, i) => [`set k1 ${i + 1}`, `set k2 ${i + 1}`]).flat()
  await until('all of them', async () => (await toldTo(reader)).length >= all.length)
  expect(await toldTo(reader)).toEqual(all)
})

for (const how of ['close', 'crash'] as const) {
  test(`[S-3] an ephemeral key is gone after ${how}, and who watches is told`, async ({ meet }) => {
    const meadow = await meet('one browser', { timing: { lease: 2_000 } })
    const [reader, , goes] = (await meadow.openAll(3)) as [Tab, Tab, Tab]
    await follow(reader, 'here/')
    await goes.page.evaluate(async () => {
      const { store } = window.kit.room
      await store.set('here/one', 1, { ephemeral: true })
      await store.transact({ then: [{ set: 'here/two', value: 2, ephemeral: true }] })
    })
    const shown = () =>
      reader.page.evaluate(async () => (await window.kit.room.store.entries('here/')).map((e) => e.key))
    expect(await shown()).toEqual(['here/one', 'here/two'])
    await (how === 'close' ? goes.close() : goes.crash())
    await until('their end', async () => (await toldTo(reader)).length === 4)
    const gone = ['delete here/one undefined', 'delete here/two undefined']
    expect(await toldTo(reader)).toEqual(['set here/one 1', 'set here/two 2', ...gone])
    expect(await shown()).toEqual([])
  })
}

test('[T2] a transaction under a fence that is stale is refused whole', async ({ meet }) => {
  const meadow = await meet('one browser')
  const [holder, thief] = (await meadow.openAll(3)) as [Tab, Tab, Tab]
  const { value: token } = (await holder.acquire('doc')) as { value: number }
  const stolen = (await thief.acquire('doc', { steal: true })) as { value: number }
  const write = (tab: Tab, token: number) =>
    tab.page.evaluate(
      (token) =>
        window.kit.outcome(() =>
          window.kit.room.store.transact({
            compare: [{ key: 'doc', exists: false }],
            then: [
              { set: 'free', value: 1 },
              { set: 'doc', value: token, fence: { name: 'doc', token } },
            ],
          }),
        ),
      token,
    )
  const refused = { name: 'StaleFenceError', code: 'stale-fence', details: { current: stolen.value, op: 'then[1]' } }
  expect(await write(holder, token)).toMatchObject(refused)
  expect(await holder.get('free')).toBeUndefined()
  expect(await write(thief, stolen.value)).toMatchObject({ ok: true, value: { succeeded: true } })
  expect(await holder.get('doc')).toBe(stolen.value)
})

for (const meeting of meetings.filter((meeting) => meeting !== 'one browser')) {
  test(`${meeting}: a follower writes 8 MiB at once, all of it is stored, and the lock it holds stays`, async ({
    meet,
  }) => {
    const meadow = await meet(meeting)
    const tabs = await meadow.openAll(3)
    const { leader, others } = await meadow.split(tabs)
    const [writer] = others as [Tab, Tab]
    expect(await writer.acquire('mine')).toMatchObject({ ok: true })
    const failed = await writer.page.evaluate(async () => {
      const { kit } = window
      const write = (_: unknown, i: number) =>
        kit.outcome(() => kit.room.store.set(`${i}`, crypto.getRandomValues(new Uint8Array(65_000))))
      const outcomes = await Promise.all(Array.from({ length: 128 }, write))
      return outcomes.filter((outcome) => !outcome.ok)
    })
    expect(failed).toEqual([])
    expect(await writer.lockState('mine')).toBe('held')
    const stored = leader.page.evaluate(async () => (await window.kit.room.store.entries()).length)
    expect(await stored).toBe(128)
  })
}
