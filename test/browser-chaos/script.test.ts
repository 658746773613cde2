import { describe, expect, it } from 'vitest'
import { writeScript } from './script.js'

const stage = { browsers: 3, tabs: 8, ms: 60_000 }

describe('the script of browser chaos', () => {
  it('is the same for the same seed, and another for another', () => {
    expect(writeScript(7, stage)).toEqual(writeScript(7, stage))
    expect(writeScript(7, stage)).not.toEqual(writeScript(8, stage))
  })

  it('is in order, and names only tabs and browsers that there are', () => {
    for (let seed = 1; seed <= 50; seed += 1) {
      const steps = writeScript(seed, stage)
      expect(steps.map(({ at }) => at)).toEqual(steps.map(({ at }) => at).sort((a, b) => a - b))
      for (const { kind, target, at, ms } of steps) {
        const among = { kill: stage.browsers, server: 1 }[kind as string] ?? stage.tabs
        expect(target, kind).toBeLessThan(among)
        expect(at).toBeLessThanOrEqual(stage.ms)
        expect(ms).toBeLessThanOrEqual(12_000)
      }
    }
  })

  it('brings every kind of misfortune within a few seeds', () => {
    const kinds = new Set([1, 2, 3].flatMap((seed) => writeScript(seed, stage).map(({ kind }) => kind)))
    const all = ['close', 'reload', 'away', 'crash', 'freeze', 'block', 'offline', 'lossy', 'show', 'kill', 'server']
    expect([...kinds].sort()).toEqual(all.sort())
  })
})
