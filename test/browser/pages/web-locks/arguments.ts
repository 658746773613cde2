/** Conversion of arguments and the refusals, in the order of WebIDL and of the specification. */
import { attempt, type Bench, Mine, type Scenario } from './scenario.js'

type Callback = (lock: { readonly name: string; readonly mode: string } | null) => unknown

/** A call that is refused, or lets its callback run at once. */
function row(title: string, args: (name: string, callback: Callback) => readonly unknown[]): Scenario {
  return {
    title,
    async run(bench: Bench) {
      let calls = 0
      const unique = bench.name()
      const callback: Callback = (lock) => {
        calls += 1
        return lock && `${lock.name.replace(unique, '*')} ${lock.mode}`
      }
      const outcome = await attempt(() => bench.locks.request(...args(unique, callback)))
      return { outcome, calls }
    },
  }
}

const thrower = {
  toString() {
    throw new Mine('not a string')
  },
}
const abortedBy = (reason?: unknown) => (reason === undefined ? AbortSignal.abort() : AbortSignal.abort(reason))

const refusals: Scenario[] = [
  row('no argument', () => []),
  row('a name alone', (name) => [name]),
  ...[undefined, null, 12, 'text', true, Symbol('s'), {}, [], Promise.resolve()].map((callback) =>
    row(`callback ${typeof callback} ${Array.isArray(callback) ? 'array' : String(callback)}`, (name) => [
      name,
      callback,
    ]),
  ),
  row('callback undefined after options', (name) => [name, {}, undefined]),
  row('callback null after options', (name) => [name, {}, null]),
  row('callback an object after options', (name) => [name, {}, { call() {} }]),
  row('options undefined', (name, callback) => [name, undefined, callback]),
  row('options null', (name, callback) => [name, null, callback]),
  ...['text', 12, true, 10n, Symbol('s')].map((options) =>
    row(`options a ${typeof options}`, (name, callback) => [name, options, callback]),
  ),
  row('options a function', (name, callback) => [name, () => {}, callback]),
  row('options an array', (name, callback) => [name, [], callback]),
  row('options of a class', (name, callback) => [
    name,
    new (class {
      mode = 'shared'
    })(),
    callback,
  ]),
  row('options inherited', (name, callback) => [name, Object.create({ mode: 'shared' }), callback]),
  row('options with other members', (name, callback) => [name, { color: 'red', '': 1 }, callback]),
  row('a fourth argument', (name, callback) => [name, {}, callback, 'more']),
  row('mode exclusive', (name, callback) => [name, { mode: 'exclusive' }, callback]),
  row('mode shared', (name, callback) => [name, { mode: 'shared' }, callback]),
  row('mode undefined', (name, callback) => [name, { mode: undefined }, callback]),
  ...['', 'foo', 'EXCLUSIVE', 'shared ', null, 0, false, {}, Symbol('exclusive')].map((mode) =>
    row(`mode ${typeof mode} ${String(mode)}`, (name, callback) => [name, { mode }, callback]),
  ),
  row('mode an object that reads shared', (name, callback) => [name, { mode: { toString: () => 'shared' } }, callback]),
  row('mode an array that reads shared', (name, callback) => [name, { mode: ['shared'] }, callback]),
  row('mode that throws', (name, callback) => [name, { mode: thrower }, callback]),
  ...[0, '', null, Number.NaN, undefined].map((no) =>
    row(`flags ${typeof no} ${String(no)}`, (name, callback) => [name, { ifAvailable: no, steal: no }, callback]),
  ),
  ...[1, 'false', {}, []].map((yes) =>
    row(`steal ${typeof yes} ${JSON.stringify(yes)} with ifAvailable of the same`, (name, callback) => [
      name,
      { ifAvailable: yes, steal: yes },
      callback,
    ]),
  ),
  row('a name with a dash', (_name, callback) => ['-', callback]),
  row('a name that begins with a dash', (name, callback) => [`-${name}`, callback]),
  row('a name with a dash later', (name, callback) => [` -${name}`, callback]),
  row('a name with a minus sign', (name, callback) => [`\u2212${name}`, callback]),
  row('a number that reads with a dash', (_name, callback) => [-12, callback]),
  row('a dash with a bad mode', (_name, callback) => ['-', { mode: 'foo' }, callback]),
  row('a dash without a callback', () => ['-', {}]),
  row('a dash with steal and ifAvailable', (_name, callback) => ['-', { steal: true, ifAvailable: true }, callback]),
  row('a dash with an aborted signal', (_name, callback) => ['-', { signal: abortedBy('mine') }, callback]),
  row('steal with ifAvailable', (name, callback) => [name, { steal: true, ifAvailable: true }, callback]),
  row('steal of a share', (name, callback) => [name, { steal: true, mode: 'shared' }, callback]),
  row('steal of a share, ifAvailable', (name, callback) => [
    name,
    { steal: true, mode: 'shared', ifAvailable: true },
    callback,
  ]),
  row('signal with steal', (name, callback) => [name, { signal: new AbortController().signal, steal: true }, callback]),
  row('signal with ifAvailable', (name, callback) => [
    name,
    { signal: new AbortController().signal, ifAvailable: true },
    callback,
  ]),
  row('aborted signal with ifAvailable', (name, callback) => [
    name,
    { signal: abortedBy('mine'), ifAvailable: true },
    callback,
  ]),
  row('aborted signal with steal', (name, callback) => [name, { signal: abortedBy('mine'), steal: true }, callback]),
  row('aborted signal without a callback', (name) => [name, { signal: abortedBy('mine') }]),
  ...['text', 12.34, false, null, {}, Symbol('s'), () => {}].map((signal) =>
    row(`signal a ${typeof signal} ${signal === null ? 'null' : ''}`, (name, callback) => [name, { signal }, callback]),
  ),
  row('signal the window', (name, callback) => [name, { signal: globalThis }, callback]),
  row('signal a controller', (name, callback) => [name, { signal: new AbortController() }, callback]),
  row('signal undefined', (name, callback) => [name, { signal: undefined }, callback]),
  row('signal with only the prototype', (name, callback) => [
    name,
    { signal: Object.create(AbortSignal.prototype) },
    callback,
  ]),
  row('signal of another window', (name, callback) => {
    const frame = document.createElement('iframe')
    document.body.append(frame)
    const signal = (frame.contentWindow as unknown as typeof globalThis).AbortSignal.abort('of another window')
    return [name, { signal }, callback]
  }),
  row('aborted signal with a reason', (name, callback) => [name, { signal: abortedBy('mine') }, callback]),
  row('aborted signal without a reason', (name, callback) => [name, { signal: abortedBy() }, callback]),
  row('aborted signal with an error of its own', (name, callback) => [
    name,
    { signal: abortedBy(new Mine()) },
    callback,
  ]),
]

/** Names as they come back. */
const names: Scenario[] = [
  ...[undefined, null, 0, 12.5, true, 10n, ['a', 'b'], {}].map((given) =>
    row(`name ${typeof given} ${Array.isArray(given) ? 'array' : String(given)}`, (_name, callback) => [
      given,
      callback,
    ]),
  ),
  row('name a symbol', (_name, callback) => [Symbol('name'), callback]),
  row('name with toString', (_name, callback) => [{ toString: () => 'read' }, callback]),
  row('name with valueOf alone counts as toString', (_name, callback) => [{ valueOf: () => 'value' }, callback]),
  row('name that throws', (_name, callback) => [thrower, callback]),
  row('name that throws, without a callback', () => [thrower, {}]),
  row('name that has no string', (_name, callback) => [Object.create(null), callback]),
  row('a bad name before bad options', (_name, callback) => [thrower, 'options', callback]),
  ...[
    ['empty', ''],
    ['a space', ' '],
    ['NUL', '\0'],
    ['NUL inside', 'a\0b'],
    ['line ends', '\r\n'],
    ['umlaut composed', '\u00fc'],
    ['umlaut combined', 'u\u0308'],
    ['beyond the BMP', '\u{1f512}'],
    ['right to left', '\u05d0\u202e'],
    ['byte order mark', '\ufeffname'],
    ['high surrogate', '\ud800'],
    ['low surrogate', '\udfff'],
    ['surrogates swapped', '\udc00\ud800'],
    ['replacement character', '\ufffd'],
    ['__proto__', '__proto__'],
    ['constructor', 'constructor'],
    ['toString', 'toString'],
    ['a thousand units', 'x'.repeat(1000)],
  ].map(([title, name]) => row(`name: ${title}`, (_name, callback) => [name, callback])),
]

/** Which member is read when. */
const order: Scenario[] = [
  {
    title: 'members of the options are read once, in order, each converted before the next, and the callback last',
    async run(bench: Bench) {
      const options = {
        get steal() {
          bench.note('steal')
          return false
        },
        get signal() {
          bench.note('signal')
          return undefined
        },
        get mode() {
          bench.note('mode')
          return {
            toString() {
              bench.note('mode read')
              return 'shared'
            },
          }
        },
        get ifAvailable() {
          bench.note('ifAvailable')
          return false
        },
      }
      const text = {
        toString() {
          bench.note('name read')
          return 'read in order'
        },
      }
      const accepted = await attempt(() => bench.locks.request(text, options, () => 'done'))
      const refused = await attempt(() => bench.locks.request(text, options, null))
      return { accepted, refused, log: bench.log }
    },
  },
  {
    title: 'a member that throws ends the reading',
    async run(bench: Bench) {
      const options = {
        get ifAvailable() {
          bench.note('ifAvailable')
          throw new Mine()
        },
        get mode() {
          bench.note('mode')
          return 'foo'
        },
      }
      const outcome = await attempt(() => bench.locks.request(bench.name(), options, () => bench.note('called')))
      return { outcome, log: bench.log }
    },
  },
  {
    title: 'a request without its manager is refused',
    async run(bench: Bench) {
      const request = bench.locks.request as unknown as (this: unknown, ...args: unknown[]) => Promise<unknown>
      return [
        await attempt(() => request.call(undefined, bench.name(), () => {})),
        await attempt(() => request.call({}, bench.name(), () => {})),
      ]
    },
  },
  {
    title: 'nothing that was refused leaves a trace',
    async run(bench: Bench) {
      const name = bench.name()
      await attempt(() => bench.locks.request(name, { mode: 'foo' }, () => {}))
      await attempt(() => bench.locks.request(name, { steal: true, ifAvailable: true }, () => {}))
      await attempt(() => bench.locks.request(name, { signal: AbortSignal.abort() }, () => {}))
      return bench.state({ a: name })
    },
  },
]

export const argumentScenarios: readonly Scenario[] = [...refusals, ...names, ...order]
