/** Processes with many groups each, in this process: messages by function call, disks that remember nothing. */
import { type GroupId, type Message, type PeerId, type PeerMessage, RaftGroups } from '../src/raft/index.js'
import { configurationOf, timing } from './raft-cluster.js'

type Letter = { readonly id: GroupId; readonly message: Message } | { readonly id: null; readonly message: PeerMessage }

export class MemoryProcesses {
  readonly #all = new Map<PeerId, RaftGroups>()
  readonly #groups: number
  #letters: Letter[] = []
  sent = 0

  /** The first process leads them all. */
  constructor(nodes: number, groups: number) {
    this.#groups = groups
    const configuration = configurationOf(nodes)
    for (const peerId of configuration.voters) {
      const process = new RaftGroups({ ...timing, peerId, epoch: 1 })
      for (let id = 1; id <= groups; id++) {
        process.add(id, {
          seed: id,
          restored: {
            hardState: { term: 1, votedFor: null, promisedTo: null, commitIndex: 1 },
            snapshot: null,
            entries: [{ type: 'configuration', term: 1, index: 1, time: 0, configuration }],
          },
        })
      }
      this.#all.set(peerId, process)
    }
    const [first] = this.#all.values()
    for (let id = 1; id <= groups; id++) first?.use(id, (raft) => raft.campaign())
    this.#stabilize()
  }

  /** Cores that do not rest. */
  get awake(): number {
    let awake = 0
    for (const process of this.#all.values()) {
      for (let id = 1; id <= this.#groups; id++) if (!process.status(id).quiet) awake += 1
    }
    return awake
  }

  tick(ticks: number): void {
    for (const process of this.#all.values()) process.tick(ticks)
  }

  run(ticks: number): void {
    for (let passed = 0; passed < ticks; passed += 10) {
      this.tick(10)
      this.#stabilize()
    }
  }

  /** The first process dies; until every group rests again under another leader. */
  loseFirst(): void {
    const [first] = this.#all.keys()
    if (first !== undefined) this.#all.delete(first)
    do this.run(timing.electionTicks)
    while (!this.#isLed(first))
  }

  #isLed(gone: PeerId | undefined): boolean {
    for (let id = 1; id <= this.#groups; id++) {
      for (const process of this.#all.values()) {
        const leader = process.view(id)?.leader ?? gone
        if (leader === gone) return false
      }
    }
    return this.awake === 0
  }

  #stabilize(): void {
    for (;;) {
      for (const process of this.#all.values()) this.#perform(process)
      const letters = this.#letters
      if (letters.length === 0) return
      this.#letters = []
      for (const { id, message } of letters) {
        const process = this.#all.get(message.to)
        if (id === null) process?.receive(message)
        else process?.step(id, message)
      }
    }
  }

  #perform(process: RaftGroups): void {
    for (let ids = process.readyGroups(); ids.length > 0; ids = process.readyGroups()) {
      for (const id of ids) {
        const { sequence, messages, messagesAfterWrite, committed } = process.ready(id)
        for (const message of messages) this.#send({ id, message })
        process.persisted(id, sequence)
        for (const message of messagesAfterWrite) this.#send({ id, message })
        const last = committed.at(-1)
        if (last) process.applied(id, last.index)
      }
    }
    for (const message of process.takeBeats()) this.#send({ id: null, message })
  }

  #send(letter: Letter): void {
    this.sent += 1
    this.#letters.push(letter)
  }
}
