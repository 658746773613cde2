import { beforeEach, expect, it } from 'vitest'
import { Conditions, isUnfit } from './condition.js'
import { TestContext } from './test-context.js'

const seen = { visible: true, phone: true, frozen: false }
const hidden = { ...seen, visible: false }
const life = (counter: number) => ({ counter, nonce: `n${counter}` })
const rtts = new Map<string, number>()

let context: TestContext
let conditions: Conditions

beforeEach(() => {
  context = new TestContext()
  rtts.clear()
  Object.assign(context.peers, { rtt: (peerId: string) => rtts.get(peerId) ?? null })
  context.core.configuration = { ...context.core.configuration, voters: ['ann', 'bob', 'me'] }
  for (const peerId of ['ann', 'bob']) context.linked.set(peerId, life(1))
  conditions = new Conditions(context, () => false)
})

const told = () => context.sent.splice(0).map(({ to, item }) => `${to} ${item.type === 'condition' && item.visible}`)

it.each([
  [seen, false],
  [hidden, true],
  [{ ...hidden, phone: false }, false],
  [{ visible: true, phone: false, frozen: true }, true],
])('[M4] %o is unfit: %s', (condition, wanted) => {
  expect(isUnfit(condition)).toBe(wanted)
})

it('[M4] everybody hears of each change, and who is newly met of the present state; nobody before the room is entered', () => {
  conditions.changed(hidden)
  conditions.met('ann')
  expect(told()).toEqual([])
  conditions.entered()
  expect(told()).toEqual(['ann false', 'bob false'])
  conditions.changed(seen)
  expect(told()).toEqual(['ann true', 'bob true'])
  conditions.met('bob')
  expect(told()).toEqual(['bob true'])
})

it('[M4] who was hidden on a phone counts its time anew, a window that was hidden does not', () => {
  conditions.entered()
  context.wait(10_000)
  expect(conditions.own).toMatchObject({ stayed: 10_000, fitFor: 10_000 })
  conditions.changed({ ...hidden, phone: false })
  conditions.changed({ ...seen, phone: false })
  expect(conditions.own).toMatchObject({ stayed: 10_000, fitFor: 10_000 })
  conditions.changed(hidden)
  context.wait(1_000)
  expect(conditions.own).toMatchObject({ stayed: 11_000, fitFor: 0 })
  conditions.changed(seen)
  context.wait(2_000)
  expect(conditions.own).toMatchObject({ stayed: 13_000, fitFor: 2_000 })
})

it('what a peer told of itself goes on with time, and is void in its next life', () => {
  const item = { type: 'condition', ...seen, learnerOnly: true, stayed: 500, fitFor: 200, rtt: 7 } as const
  expect(conditions.of('ann')).toBeNull()
  conditions.told({ peerId: 'ann', incarnation: life(1) }, item)
  context.wait(1_000)
  expect(conditions.of('ann')).toMatchObject({ visible: true, learnerOnly: true, stayed: 1_500, fitFor: 1_200, rtt: 7 })
  context.linked.delete('ann')
  expect(conditions.of('ann')).not.toBeNull()
  context.linked.set('ann', life(2))
  expect(conditions.of('ann')).toBeNull()
})

it('its distance is what a commit would wait for, and is told again when it has doubled or halved', () => {
  conditions.entered()
  expect(conditions.own.rtt).toBeNull()
  rtts.set('ann', 30).set('bob', 80)
  expect(conditions.own.rtt).toBe(30)
  told()
  conditions.tick()
  expect(told()).toHaveLength(2)
  rtts.set('ann', 50)
  conditions.tick()
  expect(told()).toHaveLength(0)
  rtts.set('ann', 60)
  conditions.tick()
  expect(told()).toHaveLength(2)
  rtts.set('ann', 5)
  conditions.tick()
  expect([conditions.own.rtt, told().length]).toEqual([5, 2])
  rtts.set('ann', 11)
  conditions.tick()
  expect(told()).toHaveLength(0)
})

it('who is neither a member nor linked any more is forgotten', () => {
  const item = { type: 'condition', ...seen, learnerOnly: false, stayed: 0, fitFor: 0, rtt: null } as const
  for (const peerId of ['ann', 'guest']) conditions.told({ peerId, incarnation: life(1) }, item)
  context.linked.delete('ann')
  conditions.tick()
  expect([conditions.of('ann') === null, conditions.of('guest') === null]).toEqual([false, true])
})

it('[L4] a dead tab has no page that could be in any condition', () => {
  Object.assign(context.self, { resident: true })
  conditions.entered()
  conditions.met('ann')
  expect(told()).toEqual([])
})
