import { runSeed } from '../../src/simulation/run.js'
const [from = 1, count = 1] = process.argv.filter((a) => /^\d+$/.test(a)).map(Number)
const full = process.argv.includes('-t'), notes = process.argv.includes('-n'), none = process.argv.includes('-0')
const zero = Object.fromEntries(['crash','workerCrash','close','reload','aside','block','freeze','sleep','throttle','wallClock','partition','oneWay','breakLink','slow','mischief','stall','quota','signaling','newTab'].map((k) => [k, 0]))
const only = process.argv.filter((a) => a.startsWith('+')).map((a) => a.slice(1))
for (const k of only) zero[k] = 1
for (let s = from; s < from + count; s++) {
  const t0 = performance.now()
  const r = await runSeed(s, { ...(full && { print: (l) => console.log(l) }), ...((none || only.length) && { faults: zero }) })
  console.log(s, r.violation?.message ?? 'ok', r.hash, `events ${r.events} virtual ${r.virtualMs | 0} entries ${r.entries} elections ${r.elections} ops ${r.checkedOperations} ${(performance.now() - t0) | 0} ms`)
  if (notes) console.log(r.tail.join('\n'), r.done)
}
