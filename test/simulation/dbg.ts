import { runSeed } from '/work/main/src/simulation/run.js'
import { decodeInstruction } from '/work/main/src/machine/instruction.js'
const zero = Object.fromEntries(['crash','workerCrash','close','reload','aside','block','freeze','sleep','throttle','wallClock','partition','oneWay','breakLink','slow','mischief','stall','quota','signaling','newTab'].map((k) => [k, 0]))
const r = await runSeed(2, { faults: zero, surgery: { port: (p) => { let h: any; const q: any = { call: (c: any) => { if (c.type.startsWith('lock')) console.log('call', JSON.stringify(c)); return p.call(c).then((x: any) => { if (c.type.startsWith('lock.req')) console.log('  answer', c.handle, JSON.stringify(x)); return x }) }, notice: (n: any) => p.notice(n), close: () => p.close(), set onevent(f: any) { h = f; p.onevent = (e: any) => { if (e.type.startsWith('lock')) console.log('  event', JSON.stringify(e)); f(e) } }, get onevent() { return h } }; return q } } })
console.log(r.violation?.message)
