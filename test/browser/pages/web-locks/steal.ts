/** Locks that are stolen. */
import { Mine, type Scenario } from './scenario.js'

export const stealScenarios: readonly Scenario[] = [
  {
    title: 'a free name is simply granted',
    async run(bench) {
      return bench.locks.request(bench.name(), { steal: true }, (lock: { mode: string }) => lock.mode)
    },
  },
  ...['exclusive', 'shared'].map(
    (mode): Scenario => ({
      title: `the victim's request (${mode}) rejects at once, its callback goes on`,
      async run(bench) {
        const name = bench.name()
        const victim = bench.hold(name, { mode }, 'victim')
        await victim.granted
        const thief = bench.hold(name, { steal: true }, 'thief')
        await thief.granted
        const outcome = await victim.outcome
        const state = await bench.state({ a: name })
        victim.release('too late')
        await bench.quiet()
        const after = await bench.state({ a: name })
        thief.release('thief')
        return { outcome, state, after, thief: await thief.outcome, log: [...bench.log].sort() }
      },
    }),
  ),
  {
    title: 'the victim fails afterwards: nobody hears of it',
    async run(bench) {
      const name = bench.name()
      const victim = bench.hold(name, {}, 'victim')
      await victim.granted
      const thief = bench.hold(name, { steal: true }, 'thief')
      await thief.granted
      const outcome = await victim.outcome
      victim.fail(new Mine())
      await bench.quiet()
      thief.release()
      return { outcome, thief: await thief.outcome }
    },
  },
  {
    title: 'every holder of a share loses it',
    async run(bench) {
      const name = bench.name()
      const victims = [1, 2, 3].map((i) => bench.hold(name, { mode: 'shared' }, `victim ${i}`))
      await Promise.all(victims.map((victim) => victim.granted))
      const thief = bench.hold(name, { steal: true }, 'thief')
      await thief.granted
      const outcomes = await Promise.all(victims.map((victim) => victim.outcome))
      const state = await bench.state({ a: name })
      thief.release()
      await thief.outcome
      return { outcomes, state, after: await bench.state({ a: name }) }
    },
  },
  {
    title: 'the thief comes before those who wait, and they keep their order behind it',
    async run(bench) {
      const name = bench.name()
      const victim = bench.hold(name, {}, 'victim')
      const waiters = [1, 2, 3].map((i) => bench.hold(name, { mode: i === 2 ? 'shared' : 'exclusive' }, `waiter ${i}`))
      await bench.pending(name, 3)
      const thief = bench.hold(name, { steal: true }, 'thief')
      await thief.granted
      await victim.outcome
      const state = await bench.state({ a: name })
      victim.release('too late')
      await bench.quiet()
      const still = await bench.state({ a: name })
      thief.release()
      for (const waiter of waiters) {
        await waiter.granted
        waiter.release()
      }
      await bench.quiet()
      return { state, still, calls: bench.log.filter((line) => line.endsWith('called')) }
    },
  },
  {
    title: 'asked for and robbed in one task: called all the same, and the request rejects',
    async run(bench) {
      const name = bench.name()
      const victim = bench.hold(name, {}, 'victim')
      const thief = bench.hold(name, { steal: true }, 'thief')
      await thief.granted
      const outcome = await victim.outcome
      thief.release()
      await thief.outcome
      return { outcome, calls: bench.log.filter((line) => line.endsWith('called')) }
    },
  },
  {
    title: 'a thief can be robbed',
    async run(bench) {
      const name = bench.name()
      const thieves = [1, 2, 3].map((i) => bench.hold(name, { steal: true }, `thief ${i}`))
      await thieves[2]?.granted
      const outcomes = await Promise.all(thieves.slice(0, 2).map((thief) => thief.outcome))
      const state = await bench.state({ a: name })
      thieves[2]?.release('last')
      return { outcomes, state, last: await thieves[2]?.outcome }
    },
  },
  {
    title: 'a steal takes what waits from nobody',
    async run(bench) {
      const names = { a: bench.name(), b: bench.name() }
      const victim = bench.hold(names.a, {}, 'victim')
      const other = bench.hold(names.b, {}, 'other')
      await Promise.all([victim.granted, other.granted])
      const thief = bench.hold(names.a, { steal: true }, 'thief')
      await thief.granted
      const state = await bench.state(names)
      other.release('other')
      thief.release()
      return { state, other: await other.outcome, victim: await victim.outcome }
    },
  },
  {
    title: 'a lock that was given back before is not robbed',
    async run(bench) {
      const name = bench.name()
      const first = bench.hold(name, {}, 'first')
      await first.granted
      first.release('in time')
      const thief = bench.hold(name, { steal: true }, 'thief')
      await thief.granted
      const outcome = await first.outcome
      thief.release()
      return { outcome, thief: await thief.outcome }
    },
  },
  {
    title: 'the victim asks again in its callback and waits its turn',
    async run(bench) {
      const name = bench.name()
      const victim = bench.hold(name, {}, 'victim')
      await victim.granted
      const thief = bench.hold(name, { steal: true }, 'thief')
      await victim.outcome
      const again = bench.hold(name, {}, 'again')
      await bench.pending(name, 1)
      const called = again.isGranted()
      thief.release()
      await again.granted
      again.release('again')
      return { called, again: await again.outcome }
    },
  },
  {
    title: 'the page steals from itself inside the callback',
    async run(bench) {
      const name = bench.name()
      const outer = bench.locks.request(name, async () => {
        await bench.locks.request(name, { steal: true }, () => bench.note('inner called'))
        bench.note('outer goes on')
        return 'outer'
      })
      const outcome = await outer.then(
        () => 'resolved',
        (error: unknown) => (error as Error).name,
      )
      await bench.quiet()
      return { outcome, log: bench.log }
    },
  },
]
