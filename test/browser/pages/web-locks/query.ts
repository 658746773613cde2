/** What a query shows, and when. */
import type { Scenario, Snapshot } from './scenario.js'

const labels = (names: Readonly<Record<string, string>>, infos: Snapshot['held'] = []) =>
  infos.flatMap(({ name, mode }) => {
    const label = Object.keys(names).find((key) => names[key] === name)
    return label === undefined ? [] : [`${label}:${mode}`]
  })

export const queryScenarios: readonly Scenario[] = [
  {
    title: 'the shape of a snapshot, with nothing in it',
    async run(bench) {
      const query = bench.locks.query()
      const snapshot = await query
      return {
        promise: query instanceof Promise,
        keys: Object.keys(snapshot).sort(),
        arrays: [Array.isArray(snapshot.held), Array.isArray(snapshot.pending)],
      }
    },
  },
  {
    title: 'the shape of an entry: name, mode, and one client id for all of a page',
    async run(bench) {
      const name = bench.name()
      const hold = bench.hold(name)
      const waiter = bench.hold(name, { mode: 'shared' })
      const otherName = bench.name()
      const other = bench.hold(otherName)
      await Promise.all([hold.granted, other.granted])
      const { held = [], pending = [] } = await bench.locks.query()
      const mine = held.filter((info) => info.name === name)
      const waiting = pending.filter((info) => info.name === name)
      const ours = [...held, ...pending].filter((info) => info.name === name || info.name === otherName)
      const ids = new Set(ours.map(({ clientId }) => clientId))
      const of = (infos: Snapshot['held'] = []) =>
        infos.map((info) => [
          info.mode,
          typeof info.clientId,
          ['clientId', 'mode', 'name'].filter((key) => Object.hasOwn(info, key)),
        ])
      for (const one of [hold, waiter, other]) one.release()
      return { mine: of(mine), waiting: of(waiting), ids: ids.size }
    },
  },
  {
    title: 'a query after a request sees it, without waiting for anything',
    async run(bench) {
      const names = { a: bench.name(), b: bench.name() }
      const a = bench.hold(names.a)
      const again = bench.hold(names.a, { mode: 'shared' })
      const b = bench.hold(names.b, { mode: 'shared' })
      const { held, pending } = await bench.locks.query()
      for (const one of [a, again, b]) one.release()
      return { held: labels(names, held), pending: labels(names, pending) }
    },
  },
  {
    title: 'a query before a request does not see it',
    async run(bench) {
      const name = bench.name()
      const query = bench.locks.query()
      const hold = bench.hold(name)
      const { held, pending } = await query
      hold.release()
      return { held: labels({ a: name }, held), pending: labels({ a: name }, pending) }
    },
  },
  {
    title: 'a query after a release sees the next holder',
    async run(bench) {
      const name = bench.name()
      const first = bench.hold(name, {}, 'first')
      const second = bench.hold(name, { mode: 'shared' }, 'second')
      await first.granted
      const before = await bench.state({ a: name })
      first.release()
      await first.outcome
      const after = await bench.state({ a: name })
      second.release()
      await second.outcome
      return { before, after, end: await bench.state({ a: name }) }
    },
  },
  {
    title: 'a query inside the callback sees the lock held',
    async run(bench) {
      const name = bench.name()
      return bench.locks.request(name, { mode: 'shared' }, () => bench.state({ a: name }))
    },
  },
  {
    title: 'an aborted request is not seen',
    async run(bench) {
      const name = bench.name()
      const controller = new AbortController()
      const hold = bench.hold(name)
      const waiter = bench.hold(name, { signal: controller.signal })
      await hold.granted
      controller.abort()
      const state = await bench.state({ a: name })
      hold.release()
      await waiter.outcome
      return state
    },
  },
  {
    title: 'shares are shown one by one, held and pending',
    async run(bench) {
      const name = bench.name()
      const shares = [1, 2, 3].map(() => bench.hold(name, { mode: 'shared' }))
      const last = [bench.hold(name), bench.hold(name, { mode: 'shared' }), bench.hold(name, { mode: 'shared' })]
      await Promise.all(shares.map((share) => share.granted))
      const state = await bench.state({ a: name })
      for (const one of [...shares, ...last]) one.release()
      return state
    },
  },
  {
    title: 'requests that wait are shown in the order in which they were made, over all names',
    async run(bench) {
      const names = { a: bench.name(), b: bench.name(), c: bench.name() }
      const holders = Object.values(names).map((name) => bench.hold(name, { mode: 'shared' }))
      await Promise.all(holders.map((hold) => hold.granted))
      const waiting = ['c', 'a', 'b', 'a', 'c', 'b'].map((key) => bench.hold(names[key as 'a' | 'b' | 'c']))
      const { pending } = await bench.locks.query()
      for (const one of [...holders, ...waiting]) one.release()
      await bench.quiet()
      const perName = (label: string) => labels(names, pending).filter((text) => text.startsWith(label))
      return { count: labels(names, pending).length, a: perName('a'), b: perName('b'), c: perName('c') }
    },
  },
  {
    title: 'within a name, requests are shown in their order',
    async run(bench) {
      const name = bench.name()
      const modes = ['exclusive', 'shared', 'exclusive', 'exclusive', 'shared', 'shared', 'exclusive']
      const holds = modes.map((mode) => bench.hold(name, { mode }))
      const state = await bench.state({ a: name })
      for (const one of holds) one.release()
      return state
    },
  },
  {
    title: 'names come back unit by unit',
    // Chromium's own snapshot has other names for lone surrogates.
    expected: [true, true, true, true],
    async run(bench) {
      const names = ['\0', '\ud800', '\udfff', '\ufffd'].map((unit) => bench.name(unit))
      const holds = names.map((name) => bench.hold(name))
      const { held = [] } = await bench.locks.query()
      for (const hold of holds) hold.release()
      return names.map((name) => held.filter((info) => info.name === name).length === 1)
    },
  },
  {
    title: 'a snapshot stays as it was',
    async run(bench) {
      const name = bench.name()
      const hold = bench.hold(name)
      await hold.granted
      const snapshot = await bench.locks.query()
      hold.release()
      await hold.outcome
      await bench.quiet()
      return labels({ a: name }, snapshot.held)
    },
  },
  {
    title: 'arguments of a query are ignored',
    async run(bench) {
      const query = bench.locks.query.bind(bench.locks) as unknown as (...args: unknown[]) => Promise<Snapshot>
      return Object.keys(await query('name', 12)).sort()
    },
  },
]
