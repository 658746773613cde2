import { checkHistory } from '../../src/simulation/linearizability/check.js'
import { writeHistory } from '../../src/simulation/linearizability/history.js'
import { expect, type Meeting, meetings, type Tab, test } from './kit.js'
import type { Told } from './pages/users.js'
import { Witness } from './witness.js'

const keys = ['k1', 'k2', 'k3']
const locks = ['alpha', 'beta']
const workMs = 3_000

interface Parts {
  readonly closing: Tab
  readonly crashing: Tab
  readonly surviving: Tab
}

/** Of two browsers the one that leads goes on after a crash of the other; tabs of one browser do without their leader. */
function cast(meeting: Meeting, leader: Tab, others: readonly Tab[]): Parts {
  const [closing, other] = others
  if (!closing || !other) throw new Error('three tabs')
  return meeting === 'one browser'
    ? { closing, crashing: leader, surviving: other }
    : { closing, crashing: other, surviving: leader }
}

function nameOf({ peerId }: Tab): string {
  return peerId.slice(0, 6)
}

for (const meeting of meetings) {
  test(`${meeting}: what users of three tabs see is linearizable, while one tab closes and one crashes`, async ({
    meet,
  }, info) => {
    const meadow = await meet(meeting)
    const tabs = await meadow.openAll(3)
    const { leader, others } = await meadow.split(tabs)
    const { closing, crashing, surviving } = cast(meeting, leader, others)
    const witness = new Witness()
    for (const { page } of tabs) await page.exposeFunction('tell', (told: Told) => witness.hear(told))
    const work = (tab: Tab) =>
      tab.page.evaluate((plan) => window.kit.work(plan), { tab: nameOf(tab), ms: workMs, keys, locks })
    // These two never end.
    for (const tab of [closing, crashing]) work(tab).catch(() => {})
    const done = work(surviving)
    await witness.after(workMs / 3)
    await closing.close()
    await witness.after((workMs * 2) / 3)
    await crashing.crash()
    await done

    const { history } = witness
    const { verdict, failures, undecided } = checkHistory(history)
    if (verdict !== 'linearizable')
      await info.attach('history.jsonl', { body: writeHistory(history), contentType: 'application/jsonl' })
    expect(failures.map(({ explanation }) => explanation).join('\n\n')).toBe('')
    expect(undecided).toEqual([])
    const returned = history.filter((operation) => operation.return !== null)
    const count = (wanted: string) => returned.filter(({ op }) => op === wanted).length
    // Few: the machine may be busy.
    expect(count('get')).toBeGreaterThan(10)
    expect(count('set')).toBeGreaterThan(10)
    expect(count('compareAndSet')).toBeGreaterThan(3)
    expect(count('acquire')).toBeGreaterThan(5)
    // Who is left reads all keys in the end: acknowledged writes of the dead are among what it must see.
    const last = returned.filter(({ client }) => client === `${nameOf(surviving)} reader`).slice(-keys.length)
    expect(last.map(({ op, key }) => `${op} ${key}`)).toEqual(keys.map((key) => `get ${key}`))
    // And the verdict is worth something: one wrong answer among them all is seen.
    const [lied] = last
    const lie = history.map((told) => (told === lied ? { ...told, output: { value: 'nobody wrote this' } } : told))
    expect(checkHistory(lie).failures.map(({ key }) => key)).toEqual([lied?.key])
  })
}
