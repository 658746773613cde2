/**
 * The TypeScript port of etcd's core that `@coaty/consensus.raft` is built on, under the same load as ours. Only its core is loaded, by
 * file path: what is around it talks to brokers and databases, and is not installed (`overrides` in package.json).
 */
import { createRequire, Module } from 'node:module'
import { dirname, join } from 'node:path'
import type { LoadedCluster } from './raft-cluster.js'

const compactEvery = 10_000
const tail = 4_096

interface PortEntry {
  readonly index: number
  readonly type: number
  readonly data: unknown
}

interface PortMessage {
  readonly to: string
}

interface PortReady {
  readonly entries: readonly PortEntry[]
  readonly committedEntries: readonly PortEntry[]
  readonly messages: readonly PortMessage[]
  readonly hardState: { isEmptyHardState(): boolean }
}

interface PortStorage {
  Append(entries: readonly PortEntry[]): void
  SetHardState(state: unknown): void
  Compact(index: number): unknown
}

interface PortNode {
  readonly raft: { readonly state: number }
  campaign(): void
  step(message: PortMessage): unknown
  propose(data: unknown): Error | null
  hasReady(): boolean
  ready(): PortReady
  advance(ready: PortReady): void
  applyConfChange(change: unknown): void
}

interface Port {
  readonly RawNode: { NewRawNode(options: unknown): PortNode }
  readonly RaftConfig: new (options: unknown) => unknown
  readonly MemoryStorage: { NewMemoryStorage(): PortStorage }
  readonly Bootstrap: (node: PortNode, peers: readonly { readonly id: string; readonly context: null }[]) => unknown
  readonly discardLogger: unknown
}

function loadPort(): Port {
  const require = createRequire(import.meta.url)
  const root = dirname(require.resolve('@coaty/consensus.raft/package.json'))
  const load = (path: string): Record<string, unknown> => require(join(root, path))
  // All that the core wants of the controller around it.
  const controller = join(root, 'non-ported', 'raft-controller.js')
  require.cache[controller] = Object.assign(new Module(controller), { exports: { emptyRaftData: null }, loaded: true })
  const parts = ['rawnode', 'raft', 'storage', 'bootstrap', 'logger'].map((name) => load(join('ported', `${name}.js`)))
  const port = Object.assign({}, ...parts) as Port & { setLogger(logger: unknown): void }
  port.setLogger(port.discardLogger)
  return port
}

class Member {
  readonly node: PortNode
  readonly #storage: PortStorage
  inbox: PortMessage[] = []
  committed = 0
  #compactedAt = 0

  constructor(port: Port, id: string, voters: readonly string[]) {
    this.#storage = port.MemoryStorage.NewMemoryStorage()
    this.node = port.RawNode.NewRawNode(
      new port.RaftConfig({
        id,
        electionTick: 10,
        heartbeatTick: 1,
        storage: this.#storage,
        maxSizePerMsg: 256 * 1_024,
        maxUncommittedEntriesSize: 64 * 1_024 * 1_024,
        maxInflightMsgs: 64,
        checkQuorum: true,
        preVote: true,
        logger: port.discardLogger,
      }),
    )
    port.Bootstrap(
      this.node,
      voters.map((id) => ({ id, context: null })),
    )
  }

  perform(send: (message: PortMessage) => void): void {
    const { node } = this
    while (node.hasReady()) {
      const ready = node.ready()
      if (!ready.hardState.isEmptyHardState()) this.#storage.SetHardState(ready.hardState)
      this.#storage.Append(ready.entries)
      for (const message of ready.messages) send(message)
      for (const { type, data } of ready.committedEntries) {
        if (type !== 0) node.applyConfChange(data)
        else if (data !== null) this.committed += 1
      }
      node.advance(ready)
      const last = ready.committedEntries.at(-1)
      if (!last || last.index - this.#compactedAt < compactEvery) continue
      this.#compactedAt = last.index
      this.#storage.Compact(last.index - tail)
    }
  }
}

export class PortCluster implements LoadedCluster {
  readonly #members: ReadonlyMap<string, Member>
  readonly #leader: Member
  #payload = ''

  constructor(nodes: number) {
    const port = loadPort()
    const voters = Array.from({ length: nodes }, (_, i) => `node-${i}`)
    this.#members = new Map(voters.map((id) => [id, new Member(port, id, voters)] as const))
    for (const member of this.#members.values()) member.perform(() => {})
    const [leader] = this.#members.values()
    if (!leader) throw new Error('no node')
    this.#leader = leader
    leader.node.campaign()
    while (this.turn()) {}
    if (leader.node.raft.state !== 2) throw new Error('the port elected nobody')
  }

  get committed(): number {
    return this.#leader.committed
  }

  /** As a string of that length: it measures a command by its JSON, and bytes would be at a disadvantage. */
  propose(data: Uint8Array): void {
    if (this.#payload.length !== data.length) this.#payload = 'x'.repeat(data.length)
    const error = this.#leader.node.propose(this.#payload)
    if (error) throw error
  }

  turn(): boolean {
    const members = this.#members
    for (const member of members.values()) member.perform((message) => members.get(message.to)?.inbox.push(message))
    let isBusy = false
    for (const member of members.values()) {
      const { inbox } = member
      if (inbox.length === 0) continue
      isBusy = true
      member.inbox = []
      for (const message of inbox) member.node.step(message)
    }
    return isBusy
  }
}
