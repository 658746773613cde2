import { Simulation } from '../../src/simulation/simulation.js'
import { runSeed } from '../../src/simulation/run.js'
import { decodeInstruction } from '../../src/machine/instruction.js'
const orig = Simulation.prototype.applied
const from = Number(process.argv[3] ?? 0), to = Number(process.argv[4] ?? 1e9)
let last = 0
Simulation.prototype.applied = function (record, entry, machine) {
  if (entry.index > last && this.world.now >= from && this.world.now <= to) {
    const i = entry.type === 'command' ? decodeInstruction(entry.data) : entry.type === 'configuration' ? { v: entry.configuration.voters, l: entry.configuration.learners } : entry.type
    console.log(this.world.now.toFixed(1), entry.term, entry.index, record.self.peerId, JSON.stringify(i, (k, v) => (v instanceof Uint8Array ? '..' : v)).slice(0, 220))
    last = entry.index
  }
  orig.call(this, record, entry, machine)
}
const r = await runSeed(process.argv[2] ?? 1, { print: (l) => { const t = parseFloat(l); if (t >= from && t <= to && process.argv.includes('-t')) console.log(l) ; else if (!l.includes(' . ') && process.argv.includes('-n')) console.log(l)} })
console.log(r.violation?.message)
