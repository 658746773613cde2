/** Requests that are aborted, or not any more. */
import { describeError, Mine, type Scenario, settled, tasks } from './scenario.js'

const reasons: [string, unknown[]][] = [
  ['no reason', []],
  ['undefined', [undefined]],
  ['null', [null]],
  ['a string', ['mine']],
  ['an error', [new Mine()]],
  ['an AbortError', [new DOMException('mine', 'AbortError')]],
]

export const signalScenarios: readonly Scenario[] = [
  ...reasons.map(
    ([title, reason]): Scenario => ({
      title: `a request that waits is aborted with ${title}`,
      async run(bench) {
        const name = bench.name()
        const holder = bench.hold(name)
        await holder.granted
        const controller = new AbortController()
        let error: unknown = 'none'
        const request = bench.locks
          .request(name, { signal: controller.signal }, () => bench.note('called'))
          .catch((thrown: unknown) => {
            error = thrown
          })
        await bench.pending(name, 1)
        controller.abort(...reason)
        await request
        const state = await bench.state({ a: name })
        holder.release()
        await bench.quiet()
        return { error: describeError(error), same: error === controller.signal.reason, state, log: bench.log }
      },
    }),
  ),
  {
    title: 'a signal that is aborted already: nothing is asked, whatever its reason',
    async run(bench) {
      const name = bench.name()
      const seen: unknown[] = []
      for (const [, reason] of reasons) {
        const signal = AbortSignal.abort(...reason)
        const error = await bench.locks.request(name, { signal }, () => bench.note('called')).catch((e: unknown) => e)
        seen.push(describeError(error), error === signal.reason)
      }
      return { seen, state: await bench.state({ a: name }), log: bench.log }
    },
  },
  {
    title: 'aborted in the same task as it was asked',
    async run(bench) {
      const name = bench.name()
      const controller = new AbortController()
      const request = settled(bench.locks.request(name, { signal: controller.signal }, () => bench.note('called')))
      controller.abort('at once')
      const outcome = await request
      await bench.quiet()
      return { outcome, state: await bench.state({ a: name }), log: bench.log }
    },
  },
  {
    title: 'aborted in a microtask after it was asked',
    async run(bench) {
      const name = bench.name()
      const controller = new AbortController()
      const request = settled(bench.locks.request(name, { signal: controller.signal }, () => bench.note('called')))
      await Promise.resolve()
      controller.abort('at once')
      const outcome = await request
      await bench.quiet()
      return { outcome, state: await bench.state({ a: name }), log: bench.log }
    },
  },
  {
    title: 'aborted in the same task, the next one goes on',
    async run(bench) {
      const name = bench.name()
      const controller = new AbortController()
      const first = settled(bench.locks.request(name, { signal: controller.signal }, () => bench.note('first called')))
      const next = settled(bench.locks.request(name, () => 'next'))
      controller.abort()
      return { first: await first, next: await next, log: bench.log }
    },
  },
  {
    title: 'aborted inside its own callback: too late',
    async run(bench) {
      const controller = new AbortController()
      const name = bench.name()
      const request = bench.locks.request(name, { signal: controller.signal }, async () => {
        controller.abort('too late')
        await tasks(3)
        bench.note(JSON.stringify(await bench.state({ a: name })))
        return 'kept'
      })
      return { outcome: await settled(request), log: bench.log }
    },
  },
  {
    title: 'aborted while it is held: too late',
    async run(bench) {
      const name = bench.name()
      const controller = new AbortController()
      const hold = bench.hold(name, { signal: controller.signal })
      await hold.granted
      controller.abort('too late')
      await bench.quiet()
      const state = await bench.state({ a: name })
      hold.release('kept')
      return { state, outcome: await hold.outcome }
    },
  },
  {
    title: 'aborted after it was given back: too late',
    async run(bench) {
      const controller = new AbortController()
      const hold = bench.hold(bench.name(), { signal: controller.signal })
      await hold.granted
      hold.release('kept')
      const outcome = await hold.outcome
      controller.abort('too late')
      await bench.quiet()
      return { outcome, log: bench.log }
    },
  },
  {
    title: 'aborted between the callback and its end: too late, also when the callback throws',
    async run(bench) {
      const controller = new AbortController()
      const hold = bench.hold(bench.name(), { signal: controller.signal })
      await hold.granted
      controller.abort('too late')
      hold.fail(new Mine())
      return hold.outcome
    },
  },
  {
    title: 'a request in the middle of the queue is aborted: the others keep their places',
    async run(bench) {
      const name = bench.name()
      const controller = new AbortController()
      const first = bench.hold(name, {}, 'first')
      const second = bench.hold(name, {}, 'second')
      const middle = bench.hold(name, { signal: controller.signal }, 'middle')
      const fourth = bench.hold(name, { mode: 'shared' }, 'fourth')
      await bench.pending(name, 3)
      controller.abort('out')
      await middle.outcome
      const state = await bench.state({ a: name })
      for (const hold of [first, second, fourth]) {
        await hold.granted
        hold.release(hold.label)
        await hold.outcome
      }
      return { state, log: bench.log }
    },
  },
  {
    title: 'the head of the queue is aborted: shares behind it join those that hold',
    // The specification processes the queue after an abort; Chromium leaves them waiting for the next release.
    expected: {
      state: { held: Array(4).fill('a:shared'), pending: ['a:exclusive'] },
      head: 'rejected with "out"',
      calls: ['holder called', 'share 1 called', 'share 2 called', 'share 3 called', 'last called'],
    },
    async run(bench) {
      const name = bench.name()
      const controller = new AbortController()
      const holder = bench.hold(name, { mode: 'shared' }, 'holder')
      const head = bench.hold(name, { signal: controller.signal }, 'head')
      const shares = [1, 2, 3].map((i) => bench.hold(name, { mode: 'shared' }, `share ${i}`))
      const last = bench.hold(name, {}, 'last')
      await bench.pending(name, 5)
      controller.abort('out')
      await Promise.all(shares.map((share) => share.granted))
      const state = await bench.state({ a: name })
      for (const hold of [holder, ...shares]) hold.release()
      await last.granted
      last.release()
      await last.outcome
      return { state, head: await head.outcome, calls: bench.log.filter((line) => line.endsWith('called')) }
    },
  },
  {
    title: 'aborted, although a listener of the page keeps the event from all after it',
    async run(bench) {
      const name = bench.name()
      const controller = new AbortController()
      const { signal } = controller
      signal.addEventListener('abort', (event) => event.stopImmediatePropagation())
      const holder = bench.hold(name)
      const waiter = bench.hold(name, { signal })
      await bench.pending(name, 1)
      controller.abort('out')
      const outcome = await waiter.outcome
      const state = await bench.state({ a: name })
      holder.release()
      return { outcome, state }
    },
  },
  {
    title: 'one signal for many requests: those that wait are aborted, the holder stays',
    async run(bench) {
      const names = { a: bench.name(), b: bench.name() }
      const { signal, abort } = controls()
      const holder = bench.hold(names.a, { signal }, 'holder')
      const other = bench.hold(names.b, {}, 'other')
      const waiting = [names.a, names.b, names.a].map((name, i) => bench.hold(name, { signal }, `#${i}`))
      await Promise.all([holder.granted, other.granted])
      await bench.pending(names.a, 2)
      abort('all out')
      const outcomes = await Promise.all(waiting.map((hold) => hold.outcome))
      const state = await bench.state(names)
      holder.release('holder')
      other.release('other')
      return { outcomes, state, holder: await holder.outcome, other: await other.outcome }
    },
  },
  {
    title: 'a signal that never aborts changes nothing',
    async run(bench) {
      const { signal } = new AbortController()
      return bench.locks.request(bench.name(), { signal }, (lock: { mode: string }) => lock.mode)
    },
  },
  {
    title: 'AbortSignal.timeout ends a wait with a TimeoutError',
    async run(bench) {
      const name = bench.name()
      const holder = bench.hold(name)
      await holder.granted
      const outcome = await settled(bench.locks.request(name, { signal: AbortSignal.timeout(20) }, () => 'got it'))
      holder.release()
      return outcome
    },
  },
  {
    title: 'AbortSignal.any carries the reason of its source',
    async run(bench) {
      const name = bench.name()
      const holder = bench.hold(name)
      await holder.granted
      const { signal, abort } = controls()
      const any = AbortSignal.any([new AbortController().signal, signal])
      const request = settled(bench.locks.request(name, { signal: any }, () => 'got it'))
      await bench.pending(name, 1)
      abort('from below')
      const outcome = await request
      holder.release()
      return outcome
    },
  },
  {
    title: 'aborted and released in one task: the request is gone, the next one holds',
    async run(bench) {
      const name = bench.name()
      const { signal, abort } = controls()
      const holder = bench.hold(name, {}, 'holder')
      const waiter = bench.hold(name, { signal }, 'waiter')
      const next = bench.hold(name, {}, 'next')
      await bench.pending(name, 2)
      abort('out')
      holder.release()
      await next.granted
      const outcome = await waiter.outcome
      next.release()
      await next.outcome
      return { outcome, called: waiter.isGranted() }
    },
  },
]

function controls(): { signal: AbortSignal; abort(reason: unknown): void } {
  const controller = new AbortController()
  return { signal: controller.signal, abort: (reason) => controller.abort(reason) }
}
