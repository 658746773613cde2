import { expect, openTab, test, until } from './kit.js'

test('handles of one page share a peer, which stays for `linger` and gives back what was acquired', async ({
  context,
}) => {
  const a = await openTab(context)
  const b = await openTab(context)
  await a.join('handles', { linger: 0 })
  await b.join('handles')
  const same = await a.page.evaluate(async () => {
    const { room, comity } = window.kit
    const second = await comity.join('handles')
    const lock = await second.locks.acquire('paragraph')
    const isShared = second !== room && second.peerId === room.peerId
    await second.leave()
    return { isShared, state: lock.state, first: room.status, second: second.status }
  })
  expect(same).toEqual({ isShared: true, state: 'released', first: 'ready', second: 'left' })
  expect((await b.acquire('paragraph', { timeout: 2_000 })).ok).toBe(true)

  await a.page.evaluate(() => window.kit.room.leave())
  await until('the peer has left', async () => {
    const members = await b.page.evaluate(() => window.kit.room.members.current)
    return members.every(({ peerId }) => peerId !== a.peerId)
  })
  const after = await a.page.evaluate(() => window.kit.outcome(() => window.kit.room.store.get('key')))
  expect(after).toMatchObject({ ok: false, name: 'RoomLeftError', code: 'room-left' })
})

for (const storage of ['indexeddb', 'memory'] as const) {
  test(`${storage}: a page that joins again while its peer says goodbye has a room that lives`, async ({ page }) => {
    await page.goto('/test/browser/pages/room.html')
    await page.waitForFunction(() => 'kit' in window)
    const seen = await page.evaluate(async (storage) => {
      const { comity } = window.kit
      const options = { storage, linger: 0, timing: { lease: 600_000 } }
      const seen: unknown[] = []
      let room = await comity.join(`again in ${storage}`, options)
      // From the very call on to the moment when the peer has gone.
      for (let turns = 0; turns <= 12; turns += 3) {
        const leaving = room.leave()
        for (let turn = 0; turn < turns; turn += 1) await null
        const next = await comity.join(`again in ${storage}`, options)
        await leaving
        await next.store.set('key', turns)
        seen.push([room.status, next.status, (await next.store.get('key'))?.value])
        room = next
      }
      return seen
    }, storage)
    expect(seen).toEqual([0, 3, 6, 9, 12].map((turns) => ['left', 'ready', turns]))
  })
}

test("until: 'local' resolves before the room is reached, and an aborted join leaves nothing behind", async ({
  page,
}) => {
  await page.goto('/test/browser/pages/room.html')
  await page.waitForFunction(() => 'kit' in window)
  const statuses = await page.evaluate(async () => {
    const room = await window.kit.comity.join('local', { signaling: 'ws://127.0.0.1:9', until: 'local', linger: 0 })
    const { status } = room
    await room.leave()
    return [status, room.status]
  })
  expect(statuses).toEqual(['joining', 'left'])
  const aborted = await page.evaluate(() => {
    const controller = new AbortController()
    const joining = window.kit.join('aborted', { signaling: 'ws://127.0.0.1:9', signal: controller.signal, linger: 0 })
    controller.abort(new RangeError('changed my mind'))
    return joining
  })
  expect(aborted).toMatchObject({ ok: false, name: 'RangeError', message: 'changed my mind' })
})

test('a second join that contradicts the first is refused by the name of the option', async ({ page }) => {
  await page.goto('/test/browser/pages/room.html')
  await page.waitForFunction(() => 'kit' in window)
  const outcome = await page.evaluate(async () => {
    await window.kit.join('mismatch')
    return window.kit.outcome(() => window.kit.comity.join('mismatch', { links: 'webrtc' }))
  })
  expect(outcome).toMatchObject({ ok: false, name: 'OptionsMismatchError', details: { option: 'links' } })
})
