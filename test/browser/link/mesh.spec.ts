import { Buffer } from 'node:buffer'
import { expect, test } from '@playwright/test'
import { linked, settle } from '../../contract/link-cases.js'
import { openPair } from './tab.js'

const goodbye = Buffer.from('goodbye').toString('base64')

test('[PLATFORM 2, 3] the channels are transferred: consensus traffic does not wait for a blocked page', async ({
  context,
}) => {
  const pair = await openPair(context, 'transferred')
  const { ab } = await linked(pair)
  expect(ab.kind).toBe('webrtc')
  await pair.b.ask((page) => page.evaluate(() => window.tab.toWorker({ type: 'echo' })))
  const measure = { type: 'measure', linkId: ab.id, everyMs: 20, forMs: 1_500 } as const
  await pair.a.ask((page) => page.evaluate((message) => window.tab.toWorker(message), measure))
  const blocked = await Promise.all([pair.a, pair.b].map((tab) => tab.page.evaluate(() => window.tab.block(1_200))))
  const { trips } = await pair.a.until('measured')
  const meanwhile = trips.filter((trip) => blocked.every(({ from, until }) => from < trip.from && trip.until < until))
  expect(meanwhile.length).toBeGreaterThan(10)
  await pair.teardown()
})

test('the kind says who carries the bytes', async ({ context }) => {
  const relayed = await openPair(context, 'relayed')
  expect((await linked(relayed)).ab.kind).toBe('webrtc-relayed')
  await relayed.teardown()
})

test('[M1] a page that closes sends its goodbye, and the other worker hears the close at once', async ({ context }) => {
  const pair = await openPair(context, 'transferred')
  const { b } = await linked(pair)
  await settle(200)
  await pair.a.page.evaluate((frame) => window.tab.sayGoodbyeOnHide(frame), goodbye)
  const from = Date.now()
  await pair.a.page.close({ runBeforeUnload: false })
  await b.until('b to be down', () => b.downs.length > 0)
  console.log(`closed page noticed after ${Date.now() - from} ms`)
  const frame = await pair.b.until('page-frame')
  expect([frame.from, Buffer.from(frame.base64, 'base64').toString()]).toEqual(['peer-a', 'goodbye'])
  expect(b.downs).toEqual(['remote'])
  await pair.b.page.close()
})

test('[M1] a page frame goes to the other page both ways while connected', async ({ context }) => {
  const pair = await openPair(context, 'transferred')
  await linked(pair)
  const send = (to: string) => (page: typeof pair.a.page) =>
    page.waitForFunction(([peer, frame]) => window.tab.sendPageFrame(peer, frame), [to, goodbye] as const)
  await pair.a.ask(send('peer-b'))
  await pair.b.ask(send('peer-a'))
  expect([(await pair.a.until('page-frame')).from, (await pair.b.until('page-frame')).from]).toEqual([
    'peer-b',
    'peer-a',
  ])
  await pair.teardown()
})

test('a mesh destroyed at once is a close for the other side', async ({ context }) => {
  const pair = await openPair(context, 'transferred')
  const { b } = await linked(pair)
  await pair.a.page.evaluate(() => window.tab.destroyMesh())
  await b.until('b to be down', () => b.downs.length > 0)
  expect(b.downs).toEqual(['remote'])
  await pair.teardown()
})

test('redials as long as the peer is wanted, and not longer', async ({ context }) => {
  const pair = await openPair(context, 'transferred')
  const { a, b } = await linked(pair)
  // Asked of the side that answers: it has to ask for the dial.
  await pair.b.page.evaluate(() => window.tab.closeConnections())
  await a.until('a new link', () => a.ups.length === 2)
  await b.until('a new link', () => b.ups.length === 2)
  expect([a.downs.length, b.downs]).toEqual([1, ['local']])
  await pair.a.page.evaluate(() => window.tab.setPeers([]))
  await b.until('b to be down', () => b.downs.length === 2)
  await settle(1_000)
  // M1: neither takes it for a goodbye of a peer that lives on.
  expect([a.ups.length, a.downs[1], b.ups.length, b.downs[1]]).toEqual([2, 'lost', 2, 'lost'])
  await pair.teardown()
})

for (const side of ['a', 'b'] as const) {
  test(`a spoiled description from ${side} costs one attempt`, async ({ context }) => {
    const pair = await openPair(context, 'transferred')
    await pair[side].page.evaluate(() => window.tab.spoilSignals(1))
    const { a, b } = await linked(pair)
    await settle(300)
    expect([a.downs, b.downs]).toEqual([[], []])
    await pair.teardown()
  })
}

test('both ends know the fingerprints, crosswise', async ({ context }) => {
  const pair = await openPair(context, 'transferred')
  await linked(pair)
  const fingerprints = (page: typeof pair.a.page) => page.evaluate(() => window.tab.fingerprints()[0])
  const ofA = await fingerprints(pair.a.page)
  const ofB = await fingerprints(pair.b.page)
  expect(ofA?.local).toMatch(/^sha-256 /)
  expect(ofA).toEqual({ local: ofB?.remote, remote: ofB?.local })
  await pair.teardown()
})
