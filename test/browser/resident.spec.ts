import { expect, openTab, test, until } from './kit.js'

test('[L4] a voter crashes, and another tab of its browser carries its vote on for a voter in another browser', async ({
  meet,
  context,
}) => {
  // Neither of two goes on alone before a lease is over (M2).
  const meadow = await meet('three browsers', { timing: { lease: 600_000 } })
  const voter = await openTab(context)
  await voter.join(meadow.room, meadow.options)
  const keeper = await openTab(context)
  await keeper.join(meadow.room, meadow.options)
  const abroad = await meadow.open()
  await until('two voters', async () => {
    const { voters } = await abroad.metrics()
    return voters.length === 2 && voters.includes(voter.peerId) && voters.includes(abroad.peerId)
  })
  await voter.crash()
  for (const tab of [abroad, keeper]) {
    await until('a write', async () => (await tab.set('text', 'goes on')).ok, 20_000)
    expect(await tab.get('text')).toBe('goes on')
  }
})
