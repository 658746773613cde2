import { describe, expect, it } from 'vitest'
import { checkLayers } from '../scripts/layers.js'
import { checkPurity } from '../scripts/purity.js'
import { readSources } from '../scripts/tree.js'

function layerSentences(sources: Record<string, string>): string[] {
  return checkLayers(new Map(Object.entries(sources))).map(({ sentence }) => sentence)
}

describe('the layer table', () => {
  it('holds for the tree', () => {
    expect([...checkLayers(readSources())]).toEqual([])
  })

  it.each([
    ['raft/log.ts', "import { assert } from '../shared/assert.js'"],
    ['raft/log.ts', "import type { Command } from '../machine/command.js'"],
    ['raft/log.ts', "import { encode } from 'cborg'"],
    ['machine/machine.ts', "import { noEntry } from '../raft/entry.js'"],
    ['machine/machine.ts', "import { type Entry } from '../raft/entry.js'"],
    ['machine/machine.ts', "import type { Host } from '../host/host.js'"],
    ['machine/machine.ts', "import { openDB } from 'idb'"],
    ['replica/clock.ts', "import type { PeerId } from '../raft/entry.js'"],
    ['host/host.ts', "import { IndexedDbStorage } from '../storage/indexeddb.js'"],
    ['host/host.ts', "import type { Mesh } from '../network/mesh.js'"],
    ['host/host.ts', "import { openDB } from 'idb'"],
    ['host/host.ts', "import { join } from '../client/join.js'"],
    ['storage/memory.ts', "import { noEntry } from '../raft/entry.js'"],
    ['storage/memory.ts', "import type { Link } from '../network/link.js'"],
    ['storage/memory.ts', "import { wrap } from 'comlink'"],
    ['network/mesh.ts', "import { wrap } from 'comlink'"],
    ['network/mesh.ts', "import type { Storage } from '../storage/storage.js'"],
    ['network/mesh.ts', "import { SignalingClient } from '../signaling/client.js'"],
    ['signaling/client.ts', "import { WebSocket } from 'ws'"],
    ['signaling/client.ts', "import { createSignalingServer } from './server.js'"],
    ['signaling/server.ts', "import { Host } from '../host/host.js'"],
    ['bridge/client.ts', "import { start } from './worker.js'"],
    ['bridge/client.ts', "import { Host } from '../host/host.js'"],
    ['bridge/protocol.ts', "export { createRaft } from '../raft/raft.js'"],
    ['bridge/worker.ts', "import { join } from '../client/join.js'"],
    ['client/join.ts', "import { Host } from '../host/host.js'"],
    ['client/join.ts', "import { noEntry } from '../raft/entry.js'"],
    ['client/join.ts', "import { apply } from '../machine/lock/apply.js'"],
    ['client/join.ts', "import '../bridge/worker.js'"],
    ['client/join.ts', "import { MemoryStorage } from '../storage/memory.js'"],
    ['client/join.ts', "import { createSignalingServer } from '../signaling/server.js'"],
    ['client/join.ts', "const raft = await import('../raft/raft.js')"],
    ['client/join.ts', 'const code = await import(path)'],
    ['index.ts', "export * from './host/host.js'"],
    ['simulation/network.ts', "import '../bridge/worker.js'"],
    ['simulation/disk.ts', "import { IndexedDbStorage } from '../storage/indexeddb.js'"],
    ['simulation/seed.ts', "import { randomBytes } from 'node:crypto'"],
    ['shared/assert.ts', "import type { PeerId } from '../raft/entry.js'"],
    ['client/join.ts', "import { seed } from '../../test/seed.js'"],
    ['raft/raft.ts', "import { cluster } from './test-cluster.js'"],
  ])('refuses in %s: %s', (file, source) => {
    expect(layerSentences({ [file]: source })).toEqual([expect.stringContaining('may not import')])
  })

  it.each([
    ['machine/machine.ts', "import type { Entry } from '../raft/entry.js'"],
    ['host/host.ts', "import type { Link } from '../network/link.js'"],
    ['client/join.ts', "import type { Outcome } from '../machine/outcome.js'"],
    ['client/join.ts', "import { lockNameMax } from '../machine/lock/command.js'"],
    ['client/join.ts', "const { default: source } = await import('../bridge/worker-source.js')"],
    ['bridge/worker.ts', "import { IndexedDbStorage } from '../storage/indexeddb.js'"],
    ['network/webrtc.ts', "const module = await import('simple-peer/simplepeer.min.js')"],
    ['signaling/server.ts', "import { createServer } from 'node:http'"],
    ['raft/raft.test.ts', "import { Host } from '../host/host.js'"],
    ['raft/test-cluster.ts', "import { fc } from 'fast-check'"],
  ])('allows in %s: %s', (file, source) => {
    expect(layerSentences({ [file]: source })).toEqual([])
  })

  it('refuses a file of no layer', () => {
    expect(layerSentences({ 'utils/misc.ts': '' })).toEqual([expect.stringContaining('no layer')])
  })

  it('refuses files that load each other, but not types that speak of each other', () => {
    const cycle = {
      'raft/a.ts': "import { b } from './b.js'",
      'raft/b.ts': "export { c } from './c.js'",
      'raft/c.ts': "import { a } from './a.js'",
    }
    expect(layerSentences(cycle)).toEqual(['circular import: raft/a.ts -> raft/b.ts -> raft/c.ts -> raft/a.ts'])
    expect(layerSentences({ ...cycle, 'raft/c.ts': "import type { a } from './a.js'" })).toEqual([])
  })
})

describe('the purity of the core', () => {
  function complaints(source: string): string[] {
    return checkPurity(new Map([['raft/raft.ts', source]])).map(({ sentence }) => sentence)
  }

  it('holds for the tree', () => {
    expect(checkPurity(readSources())).toEqual([])
  })

  it.each([
    'Date.now()',
    'new Date()',
    'const clock = { Date }',
    'Math.random()',
    'const { random } = Math',
    'Math["random"]()',
    'Math[name]()',
    'Math.sin(1)',
    'Math.pow(a, b)',
    'const x = a ** b',
    'async function step() {}',
    'const step = async () => {}',
    'class Node { async step() {} }',
    'await ready',
    'Promise.resolve()',
    'a.localeCompare(b)',
    'a.toLocaleLowerCase()',
    'new Intl.Collator()',
    'peers.sort()',
    'peers.toSorted()',
    'peers?.sort()',
    'globalThis.performance',
  ])('refuses %s', (source) => {
    expect(complaints(source).length).toBeGreaterThan(0)
  })

  it.each([
    'const bits = 2 ** 53',
    'Math.max(1, Math.floor(a / b))',
    'peers.sort((a, b) => a - b)',
    'interface Entry { readonly Date: number }',
    'const entry = { Date: 1 }; entry.Date',
    'let at: Date | null = null',
  ])('allows %s', (source) => {
    expect(complaints(source)).toEqual([])
  })

  it('says nothing of other layers and of tests', () => {
    const source = 'Date.now()'
    expect(checkPurity(new Map(['host/clock.ts', 'raft/raft.test.ts'].map((file) => [file, source])))).toEqual([])
  })
})
