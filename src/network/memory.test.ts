import { describe, expect, it } from 'vitest'
import { linked, settle, Witness } from '../../test/contract/link-cases.js'
import { describeLinkContract } from '../../test/contract/link-contract.js'
import { MemoryHub } from './memory.js'

function pairOf(hub: MemoryHub) {
  const a = hub.join('peer-a')
  const b = hub.join('peer-b')
  const teardown = () => {
    a.close()
    b.close()
  }
  return { a, b, teardown }
}

describeLinkContract('memory', async () => pairOf(new MemoryHub()))
describeLinkContract('memory, one delivery per task', async () =>
  pairOf(new MemoryHub({ schedule: (run) => setTimeout(run, 0) })),
)

describe('memory hub', () => {
  it('severs a pair: both ends hear lost, and a mended pair is linked again', async () => {
    const hub = new MemoryHub()
    const pair = pairOf(hub)
    const { a, b } = await linked(pair)
    hub.sever('peer-a', 'peer-b')
    hub.mend('peer-a', 'peer-b')
    await a.until('a new link', () => a.ups.length === 2)
    await b.until('a new link', () => b.ups.length === 2)
    expect([a.downs, b.downs]).toEqual([['lost'], ['lost']])
    pair.teardown()
  })

  it('puts a later network of a peer in the place of the earlier one', async () => {
    const hub = new MemoryHub()
    const pair = pairOf(hub)
    const { a, b } = await linked(pair)
    const again = hub.join('peer-a')
    const witness = new Witness()
    again.listen(witness)
    await b.until('a new link', () => b.ups.length === 2)
    expect([a.downs, b.downs]).toEqual([['lost'], ['lost']])
    expect(witness.ups.length).toBe(1)
    pair.teardown()
    again.close()
  })

  it('delivers only when the scheduler runs', async () => {
    const runs: (() => void)[] = []
    const pair = pairOf(new MemoryHub({ schedule: (run) => runs.push(run) }))
    const b = new Witness()
    const a = new Witness()
    pair.a.listen(a)
    pair.b.listen(b)
    await settle(5)
    expect(b.ups.length).toBe(0)
    for (const run of runs.splice(0)) run()
    a.ups[0]?.send('control', Uint8Array.of(1))
    expect([b.ups.length, b.frames.length]).toEqual([1, 0])
    for (const run of runs.splice(0)) run()
    expect(b.frames.length).toBe(1)
    pair.teardown()
  })
})
