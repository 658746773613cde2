/**
 * What PROTOCOL.md forbids around the core: in the host, the machine, the links and the page's side. Each bug is the obvious thing, planted
 * alone, and the tests that it names have to see it. What no snippet can express is planted into runs of the simulator (test/simulation/planted.ts).
 */
export interface RoomMutant {
  readonly name: string
  /** In src. */
  readonly file: string
  /** Stands exactly once in that file. */
  readonly find: string
  readonly replace: string
  /** What it violates: ids of PROTOCOL.md. */
  readonly cites: readonly string[]
  readonly tests: {
    /** In the repository. */
    readonly files: readonly string[]
    /** Only those whose title contains this. */
    readonly title?: string
  }
}

type Where = Pick<RoomMutant, 'file' | 'tests'>

const tidying: Where = { file: 'host/tidying.ts', tests: { files: ['src/host/tidying.test.ts'] } }
const autopilot: Where = { file: 'host/autopilot.ts', tests: { files: ['src/host/autopilot.test.ts'] } }
const departures: Where = { file: 'host/departures.ts', tests: { files: ['src/host/departures.test.ts'] } }
const histories: Where = { file: 'host/histories.ts', tests: { files: ['src/host/histories.test.ts'] } }
const succession: Where = { file: 'host/succession.ts', tests: { files: ['src/host/succession.test.ts'] } }
const handover: Where = { file: 'host/testament.ts', tests: { files: ['src/host/testament.test.ts'] } }
const idle: Where = { file: 'host/idle.ts', tests: { files: ['test/scenario/idle.test.ts'] } }
const foundedAnew = (file: string): Where => ({ file, tests: { files: ['test/scenario/founded-anew.test.ts'] } })
const recovery: Where = { file: 'host/recovery.ts', tests: { files: ['test/scenario/recovery.test.ts'] } }
const relays: Where = { file: 'network/peer-relay.ts', tests: { files: ['src/network/peer-relay.test.ts'] } }
const carried: Where = { ...relays, file: 'network/peer-relay-link.ts' }
const peers: Where = { file: 'host/peers.ts', tests: { files: ['src/host/peers.test.ts'] } }
const leases: Where = { file: 'host/leases.ts', tests: { files: ['src/host/leases.test.ts'] } }
const ownSession: Where = { file: 'host/own-session.ts', tests: { files: ['src/host/own-session.test.ts'] } }
const session: Where = { file: 'machine/session/apply.ts', tests: { files: ['src/machine/session/session.test.ts'] } }
const machine: Where = { file: 'machine/machine.ts', tests: { files: ['test/scenario/meeting.test.ts'] } }
const boot: Where = { file: 'host/boot.ts', tests: { files: ['src/host/boot.test.ts'] } }
const versions: Where = { file: 'host/version-pilot.ts', tests: { files: ['test/scenario/versions.test.ts'] } }
const inheritance: Where = {
  file: 'host/inheritance.ts',
  tests: { files: ['src/host/inheritance.test.ts'] },
}
const lockOrder = { tests: { files: ['src/machine/lock/beyond.test.ts'] } }
const meeting = { files: ['test/scenario/meeting.test.ts'] }

const permits: Where = {
  file: 'machine/semaphore/queue.ts',
  tests: { files: ['src/machine/semaphore/model.test.ts', 'src/machine/semaphore/semaphore.test.ts'] },
}
const permitsApply: Where = { ...permits, file: 'machine/semaphore/apply.ts' }
const permitsWait: Where = {
  file: 'machine/semaphore/waits.ts',
  tests: { files: ['src/machine/waiting/deadlock.test.ts'] },
}
const pagePermits: Where = { file: 'host/page-permits.ts', tests: { files: ['src/host/page-permits.test.ts'] } }
const semaphores: readonly RoomMutant[] = [
  {
    ...permitsWait,
    name: 'a deadlock of permits is looked for as if small requests passed large ones',
    find: 'if (isFirst && sum(out) + count <= size) return []',
    replace: 'if (sum(out) + count <= size) return []',
    cites: ['API'],
  },
  {
    ...permitsWait,
    name: 'a deadlock of permits is looked for among semaphores alone',
    file: 'machine/semaphore/apply.ts',
    find: "[...waits, ...context.waitsBeside(state, 'semaphore')]",
    replace: 'waits',
    cites: ['API'],
  },
  {
    ...permitsWait,
    name: 'who gets permits past others is never refused',
    file: 'machine/semaphore/apply.ts',
    find: 'if (place === null && known.queue.length === 0) return null',
    replace: 'if (place === null) return null',
    cites: ['API'],
  },
  {
    ...permitsWait,
    name: 'a semaphore shrinks though some who wait would then wait for each other for ever',
    file: 'machine/semaphore/apply.ts',
    find: 'if (deadlock) return deadlock',
    replace: 'if (deadlock && to < 1) return deadlock',
    cites: ['API'],
  },
  {
    ...permits,
    name: 'small requests pass a large one that waits',
    find: 'for (let head = queue[0]; head && head.count <= free; head = queue[0]) {\n    queue.shift()',
    replace:
      'for (let head = queue.find((one) => one.count <= free); head; head = queue.find((one) => one.count <= free)) {\n    queue.splice(queue.indexOf(head), 1)',
    cites: ['API'],
  },
  {
    ...permits,
    name: 'two grants of one entry have the same token',
    find: 'Math.max(state.tokenBase + index, semaphores.lastToken + 1)',
    replace: 'state.tokenBase + index',
    cites: ['T1'],
  },
  {
    ...permitsApply,
    name: 'permits that are free are given to whoever comes, whoever waits',
    find: 'const isGrantable = place === 0 && count <= freeOf(known)',
    replace: 'const isGrantable = count <= freeOf(known)',
    cites: ['API'],
  },
  {
    ...permitsApply,
    name: 'permits whose lease is longer than the silence end with it',
    find: 'if (held.lease > silence) continue',
    replace: '',
    cites: ['S-3'],
  },
  {
    ...pagePermits,
    name: 'permits that were granted inside a snapshot are never told of',
    find: "if (now.type === 'held' && request.state === 'queued') this.#granted(request.number, now)\n      else if",
    replace: 'if',
    cites: ['S-10'],
  },
  {
    ...pagePermits,
    name: 'who waits for permits waits for ever when the session has ended',
    find: "      else if (state === 'queued') this.#askAgain(handle, request)\n    }\n  }\n\n  /** S-10",
    replace: '    }\n  }\n\n  /** S-10',
    cites: ['S-9'],
  },
  {
    ...ownSession,
    name: 'a machine that is behind refuses what the room can do',
    find: '    this.#waiting.push({\n      command,',
    replace:
      "    if (this.#context.abilities.versionNeeded(command) > this.#context.machine.version)\n      return options.settle({ code: 'incompatible-peer', message: '' })\n    this.#waiting.push({\n      command,",
    cites: ['F5'],
  },
]

const frames: readonly RoomMutant[] = [
  {
    ...peers,
    name: 'frames to an earlier life of this peer are taken',
    find: 'if (!frame.toIncarnation || !sameIncarnation(frame.toIncarnation, this.#self.incarnation)) return false',
    replace: '',
    cites: ['F1'],
  },
  {
    ...peers,
    name: 'frames of another history of the room are taken',
    find: 'return this.#lineage !== null && sameLineage(frame.lineage, this.#lineage)',
    replace: 'return this.#lineage !== null && frame.lineage.roomId === this.#lineage.roomId',
    cites: ['F1', 'N3'],
  },
  {
    ...peers,
    name: 'a restored backup goes on under its old counter',
    find: 'if (!seen || incarnation.counter > seen.counter) return true',
    replace: 'if (!seen || incarnation.counter !== seen.counter) return true',
    cites: ['F2'],
  },
  {
    ...relays,
    name: 'the closing of a relay is taken for that of who is behind it',
    find: "if (isYoung ? !carrier.isDirect(current.via) : !carrier.routesTo(peerId).includes(current.via))\n        current.end('lost')",
    replace:
      "if (isYoung ? !carrier.isDirect(current.via) : !carrier.routesTo(peerId).includes(current.via))\n        current.end('remote')",
    cites: ['F4', 'M1'],
  },
  {
    ...carried,
    name: 'a sealed frame that comes again is heard again',
    find: "if (this.#state === 'down' || number < state.received) return",
    replace: "if (this.#state === 'down') return\n    if (number < state.received) state.received = number",
    cites: ['F4'],
  },
  {
    ...carried,
    name: 'a sealed frame that is missing is not missed',
    find: 'const message = number === state.received ? readSealed(plain) : null',
    replace: 'state.received = number\n    const message = readSealed(plain)',
    cites: ['F4'],
  },
  {
    file: 'host/exchange.ts',
    tests: { files: ['src/host/exchange.test.ts'] },
    name: 'what came over a relay is relayed on',
    find: 'if (carried) return',
    replace: '',
    cites: ['F4'],
  },
  {
    file: 'host/exchange.ts',
    tests: { files: ['src/host/exchange.test.ts'] },
    name: 'a member is looked for by the voters that it knows, whoever leads by now',
    find: 'raft.leader !== null && ',
    replace: '',
    cites: ['F4'],
  },
  {
    file: 'machine/machine.ts',
    tests: { files: ['test/scenario/versions.test.ts', 'src/machine/version.test.ts'] },
    name: 'an entry of a newer machine is skipped',
    find: 'throw new NewerMachineError(instruction.version, canApply)',
    replace: '{ state.appliedIndex = entry.index; return { events: [] } }',
    cites: ['F5'],
  },
  {
    ...versions,
    name: 'the machine is raised while a member is away',
    find: 'peers.peer(peerId)?.canApply ?? 0',
    replace: 'peers.peer(peerId)?.canApply ?? abilities.canApply',
    cites: ['F5'],
  },
  {
    ...versions,
    name: 'the machine is raised as soon as its leader can',
    find: 'const canAll = Math.min(abilities.canApply, ...others',
    replace: 'const canAll = Math.max(abilities.canApply, ...others',
    cites: ['F5'],
  },
]

const lives: readonly RoomMutant[] = [
  {
    file: 'storage/indexeddb.ts',
    tests: { files: ['test/browser/storage.spec.ts'], title: '[F3]' },
    name: 'a transaction does not look at whose database it is',
    find: 'journal.add(step.record, step.key)',
    replace: 'journal.put(step.record, step.key)',
    cites: ['F3'],
  },
  {
    file: 'storage/indexeddb.ts',
    tests: { files: ['test/browser/storage.spec.ts'], title: '[F3]' },
    name: 'who opens a database does not note that the lives before it have ended',
    find: 'journal.put(ended, next), ',
    replace: '',
    cites: ['F3'],
  },
  {
    file: 'storage/memory.ts',
    tests: { files: ['src/storage/memory.test.ts'], title: '[F3]' },
    name: 'an earlier life writes into the memory of a later one',
    find: 'if (this.#disk.incarnation !== this.incarnation)',
    replace: 'if (this.#closed)',
    cites: ['F3'],
  },
  {
    file: 'client/page-peer.ts',
    tests: { files: ['test/browser/lives.spec.ts'], title: '[L3]' },
    name: 'a page that is put aside keeps what it holds',
    find: '    this.connection.detach()\n    this.#sayGoodbye()',
    replace: '    this.#sayGoodbye()',
    cites: ['L3', 'M1'],
  },
  {
    file: 'client/page-peer.ts',
    tests: { files: ['test/browser/lives.spec.ts'], title: 'life lock' },
    name: 'a page lives on without its life lock',
    find: 'if (isHeld) onlost()\n      else reject(error)',
    replace: 'if (isHeld) void onlost\n      else reject(error)',
    cites: ['L3'],
  },
  {
    file: 'bridge/worker-locks.ts',
    tests: { files: ['test/browser/lives.spec.ts'], title: 'identity lock' },
    name: 'a peer goes on without its identity lock',
    find: 'if (held && !released) held.onlost?.()',
    replace: '',
    cites: ['L3'],
  },
]

const locksOfTheBrowser: readonly RoomMutant[] = [
  {
    ...boot,
    name: 'an identity is taken though the page of its last life still lives',
    find: 'const lifeLock = last && (await holdWithin(locks, lifeLockName(peerId, last), clock, within))',
    replace: 'const lifeLock = last && { release() {}, onlost: null }',
    cites: ['L1', 'L2'],
  },
  {
    ...boot,
    name: 'an identity whose disk is lost is taken again',
    find: 'const lifeLock = last && (await holdWithin(locks, lifeLockName(peerId, last), clock, within))',
    replace:
      'const lifeLock = last ? await holdWithin(locks, lifeLockName(peerId, last), clock, within) : { release() {}, onlost: null }',
    cites: ['B13', 'F2'],
  },
  {
    file: 'host/death-watch.ts',
    tests: { files: ['src/host/death-watch.test.ts'] },
    name: 'the life lock alone proves a death',
    find: 'if (!identityLock) return',
    replace: 'if (!identityLock) return void this.#onDead(life)',
    cites: ['L2'],
  },
  {
    file: 'host/residents.ts',
    tests: { files: ['test/scenario/departures.test.ts'] },
    name: 'the identity lock alone proves a death',
    find: 'if (!incarnation || !(await take(lifeLockName(peerId, incarnation))) || this.#closed) return',
    replace: 'if (!incarnation || this.#closed) return',
    cites: ['L2', 'L4'],
  },
  {
    file: 'host/residents.ts',
    tests: { files: ['test/scenario/departures.test.ts'], title: '[L4]' },
    name: 'nobody takes in the node of a dead tab',
    find: 'await this.#withDead(voters ?? identities.map(({ peerId }) => peerId), identities, (dead) => this.#takeIn(dead))',
    replace: 'await Promise.resolve(voters ?? identities)',
    cites: ['L4'],
  },
  {
    ...boot,
    name: 'a reload does not wait for its own identity',
    find: 'const reclaimWithin = 1_000',
    replace: 'const reclaimWithin = 0',
    cites: ['L1'],
  },
]

const clocks: readonly RoomMutant[] = [
  {
    file: 'host/cluster-clock.ts',
    tests: { files: ['src/host/cluster-clock.test.ts'] },
    name: 'cluster time goes by the wall clock',
    find: 'now.monotonic - this.#since',
    replace: 'now.wall - this.#since',
    cites: ['C1'],
  },
  {
    file: 'shared/instant.ts',
    tests: { files: ['src/host/leases.test.ts'] },
    name: 'leases end by the clock that went further',
    find: 'Math.min(now.monotonic - since.monotonic, now.wall - since.wall)',
    replace: 'Math.max(now.monotonic - since.monotonic, now.wall - since.wall)',
    cites: ['C2'],
  },
  {
    file: 'shared/instant.ts',
    tests: { files: ['src/client/connection.test.ts'] },
    name: 'a page counts its lease by the clock that stopped',
    find: 'return Math.max(0, now.monotonic - since.monotonic, now.wall - since.wall)',
    replace: 'return Math.max(0, now.monotonic - since.monotonic)',
    cites: ['C2', 'S-4'],
  },
  {
    file: 'host/host.ts',
    tests: { files: ['test/scenario/leases.test.ts', 'test/scenario/sleepers.test.ts'], title: '[C3]' },
    name: 'a leader that slept goes on as if it had not',
    find: 'if (Math.max(gap, setBack) > this.#gapOfLeader() && this.#leadership.leading) this.#leadership.paused()',
    replace: '',
    cites: ['C3', 'S-5'],
  },
  {
    file: 'host/host.ts',
    tests: { files: ['test/scenario/stalls.test.ts'], title: '[C3]' },
    name: 'whoever stood still gives its leader up before it has heard it',
    find: 'if (this.#hearsFirst()) this.#raft.stall(ticks)',
    replace: 'if (false as boolean) this.#raft.stall(ticks)',
    cites: ['C3'],
  },
  {
    file: 'host/host.ts',
    tests: { files: ['test/scenario/stalls.test.ts'], title: '[M5]' },
    name: 'a leader that stands still now and then is deposed each time',
    find: 'this.#tempo.stalled(ms)',
    replace: '',
    cites: ['M5'],
  },
  {
    file: 'machine/machine.ts',
    tests: { files: ['src/machine/machine.test.ts'] },
    name: 'cluster time goes wherever an entry says',
    find: 'if (Number.isSafeInteger(whole) && whole > state.clusterTime) ',
    replace: 'if (Number.isSafeInteger(whole)) ',
    cites: ['C1'],
  },
]

const sessions: readonly RoomMutant[] = [
  {
    ...session,
    name: 'an older life opens a session',
    find: "if (order === 'refused') return { peerId, incarnation, attempt, session: null }",
    replace: '',
    cites: ['S-1'],
  },
  {
    ...session,
    name: 'a command that comes again is applied again',
    find: 'if (number <= session.lastNumber) {',
    replace: 'if (number < 0) {',
    cites: ['S-2'],
  },
  {
    ...session,
    name: 'a gap in the numbers is passed over',
    find: 'number > session.lastNumber + 1 ||',
    replace: '',
    cites: ['S-2'],
  },
  {
    file: 'machine/session/view.ts',
    tests: { files: ['src/machine/session/session.test.ts'] },
    name: 'a session ends with the shortest lease that it holds',
    find: 'return leasesOf(state, session).reduce((a, b) => Math.max(a, b), settingsOf(state).timing.lease)',
    replace: 'return leasesOf(state, session).reduce((a, b) => Math.min(a, b), settingsOf(state).timing.lease)',
    cites: ['S-3'],
  },
  {
    ...leases,
    name: 'an echo leaves before a quorum has answered',
    find: 'const due = this.#waiting.filter((heard) => heard.round <= raft.confirmedRound)',
    replace: 'const due = [...this.#waiting]',
    cites: ['S-5'],
  },
  {
    ...leases,
    name: 'a session is echoed though its end stands in the log',
    find: 'if (!findSession(machine, session) || this.#isEnding(session)) continue\n      this.#echoed',
    replace: 'if (!findSession(machine, session)) continue\n      this.#echoed',
    cites: ['S-5'],
  },
  {
    ...leases,
    name: 'a new leader takes what an earlier one had counted for its own',
    find: 'this.#heardAt.clear()\n    this.#echoed.clear()\n    for (const { session } of listSessions(this.#context.machine)) this.#heardAt.set(session, this.#context.now)',
    replace: 'this.#echoed.clear()',
    cites: ['S-5', 'C3'],
  },
  {
    ...session,
    name: 'an end that another leader decided is carried out',
    find: 'if (!session || term !== context.term) return',
    replace: 'if (!session) return',
    cites: ['S-6'],
  },
  {
    file: 'host/submissions.ts',
    tests: { files: ['test/scenario/leases.test.ts', 'test/scenario/hostile.test.ts'] },
    name: 'a leader takes the end of a session from anybody',
    find: '    default:\n      return null',
    replace: '    default:\n      return instruction',
    cites: ['S-6'],
  },
  {
    file: 'client/connection.ts',
    tests: { files: ['src/client/locks.test.ts', 'src/client/connection.test.ts'] },
    name: 'a grant is held before its session is certain',
    find: 'if (this.isCertain(lease)) run()\n    else this.#certainty.push({ lease, run })',
    replace: 'run()',
    cites: ['S-8'],
  },
  {
    file: 'client/connection.ts',
    tests: { files: ['src/client/locks-beyond.test.ts'] },
    name: 'the clock of the cluster runs as that of the page',
    find: 'return clusterTime + unheard * clusterRate + leaseMargin(unheard)',
    replace: 'return clusterTime + unheard',
    cites: ['S-7'],
  },
  {
    file: 'machine/lock/revoke.ts',
    tests: { files: ['src/machine/lock/beyond.test.ts'] },
    name: 'a second revoke lengthens the grace',
    find: 'if (!isShorter || (end !== null && context.state.clusterTime + grace >= end)) return',
    replace: 'if (!isShorter && end === null) return',
    cites: ['S-7'],
  },
  {
    file: 'client/lock.ts',
    tests: { files: ['src/client/locks-beyond.test.ts'] },
    name: 'an upgrade is done before its session is certain',
    find: 'this.#connection.whenCertain(lease, granted)',
    replace: 'granted()',
    cites: ['S-8'],
  },
  {
    file: 'client/lock.ts',
    tests: { files: ['src/client/locks-beyond.test.ts'] },
    name: 'an upgrade that was given up is exclusive when it is granted all the same',
    find: 'if (this.#upgrade !== upgrade) return\n        this.#mode',
    replace: 'this.#mode',
    cites: ['S-9'],
  },
  {
    file: 'client/lock-request.ts',
    tests: { files: ['src/client/locks-beyond.test.ts'] },
    name: 'an upgrade that waits when its handle is left hears of a release',
    find: 'lock.leave()',
    replace: 'void lock.state',
    cites: ['API'],
  },
  {
    file: 'client/lock.ts',
    tests: { files: ['src/client/locks-beyond.test.ts'] },
    name: 'a downgraded lock is believed to be exclusive',
    find: "    this.#mode = 'shared'\n    const { name",
    replace: '    const { name',
    cites: ['T2'],
  },
  {
    file: 'host/own-lease.ts',
    tests: { files: ['src/host/own-lease.test.ts'] },
    name: 'an echo is believed before what was committed with it is applied',
    find: 'const known = this.#echoes.filter((echo) => echo.commitIndex <= appliedIndex)',
    replace: 'const known = [...this.#echoes]',
    cites: ['S-8'],
  },
  {
    file: 'client/lock-request.ts',
    tests: { files: ['src/client/locks.test.ts'] },
    name: 'a request that was given up stays in the queue',
    find: 'else this.#withdraw()\n  }\n\n  granted',
    replace: '}\n\n  granted',
    cites: ['S-9'],
  },
  {
    file: 'host/host.ts',
    tests: { files: ['test/scenario/sessions.test.ts'], title: '[S-10]' },
    name: 'after a snapshot nobody asks what has become of the own locks',
    find: 'this.#page.reconcile()',
    replace: '',
    cites: ['S-10'],
  },
  {
    ...session,
    name: 'a later life leaves the session of the earlier one as it is',
    find: "if (older) endSession(context, older, 'replaced', true)",
    replace: 'if (older) forgetAnswers(older, 0)',
    cites: ['S-1'],
  },
  {
    ...ownSession,
    name: 'a command whose session has ended is sent again under the next one',
    find: 'if (isRequest(pending.command)) {',
    replace: 'if (!isAboutRequest(pending.command)) {',
    cites: ['S-2'],
  },
  {
    file: 'client/lock-options.ts',
    tests: { files: ['src/client/arguments.test.ts'] },
    name: 'a lease may be shorter than three heartbeats',
    find: 'if (lease < 3 * timing.heartbeat) {',
    replace: 'if (lease < 0) {',
    cites: ['S-3'],
  },
  {
    file: 'client/connection.ts',
    tests: { files: ['src/client/connection.test.ts'] },
    name: 'a page believes until the very end of its lease',
    find: 'return lease * driftRate + clockGrain',
    replace: 'return lease * 0',
    cites: ['S-4'],
  },
  {
    ...leases,
    name: 'a new leader echoes before it has committed anything of its own term',
    find: 'this.#waiting.length === 0 || !raft.committedInTerm || ',
    replace: 'this.#waiting.length === 0 || ',
    cites: ['S-5'],
  },
  {
    file: 'machine/lock/ending.ts',
    tests: { files: ['src/machine/lock/lock.test.ts'], title: '[S-9]' },
    name: 'a cancel does not give back what was granted meanwhile',
    find: "takeHeld(context, resource, one, 'released')\n  }",
    replace: "if (only !== null) takeHeld(context, resource, one, 'released')\n  }",
    cites: ['S-9'],
  },
  {
    ...ownSession,
    name: 'answers that came within a snapshot are not looked for',
    find: 'if (outcome) this.#answer(pending.number, outcome)',
    replace: 'if (outcome) break',
    cites: ['S-10'],
  },
]

const reads: readonly RoomMutant[] = [
  {
    file: 'host/reads.ts',
    tests: { files: ['src/host/reads.test.ts'] },
    name: 'a read is served before the machine has come to what a quorum has confirmed',
    find: 'read.index === null || read.index > appliedIndex || ',
    replace: 'read.index === null || ',
    cites: ['R1'],
  },
]

const fence = { file: 'client/fence.ts', tests: { files: ['src/client/fence.test.ts'] } }

const inheritances: readonly RoomMutant[] = [
  {
    ...inheritance,
    file: 'host/host.ts',
    name: 'who comes into another history tells nothing of what it came with',
    find: '    this.#inherit(lineage)\n    this.#conditions.entered()',
    replace: '    this.#conditions.entered()',
    cites: ['N3'],
  },
  {
    ...inheritance,
    name: 'what two histories have in common is lost in both',
    find: 'if (!shared || sameLineage(lineage, shared.lineage)) return null',
    replace: 'if (!shared) return null',
    cites: ['N3'],
  },
  {
    ...inheritance,
    name: 'what a peer has caught up with is inherited all the same',
    find: 'if (this.#shared && index >= this.#shared.upTo) this.#shared = null',
    replace: '',
    cites: ['N3'],
  },
  {
    ...inheritance,
    name: 'who had not caught up tells of its own part alone',
    find: 'revision >= from && revision > (revisions.get(key) ?? 0)',
    replace: 'revision < 0',
    cites: ['N3'],
  },
]

const tokens: readonly RoomMutant[] = [
  {
    ...machine,
    name: 'a fork counts its tokens on',
    find: 'raiseTokenBase(state, Math.max(seconds * tokensPerSecond, state.tokenBase + index + tokensApart))',
    replace: '',
    tests: { files: ['test/scenario/meeting.test.ts', 'test/scenario/recovery.test.ts'] },
    cites: ['T1', 'N3'],
  },
  {
    ...machine,
    name: 'who comes from another history does not raise the tokens',
    find: 'raiseTokenBase(state, floor + tokensApart)',
    replace: 'return',
    cites: ['T1', 'N2'],
  },
  {
    file: 'host/host.ts',
    tests: meeting,
    name: 'who resets does not bring the highest token that it knows',
    find: 'const tokenFloor = Math.max(this.#options.tokenFloor, tokenBase + appliedIndex)',
    replace: 'const tokenFloor = 0 * (tokenBase + appliedIndex)',
    cites: ['T1', 'N2'],
  },
  {
    file: 'machine/lock/fence.ts',
    tests: { files: ['src/machine/store/store.test.ts', 'src/machine/lock/lock.test.ts'] },
    name: 'a fenced write needs no lock, only no newer token',
    find: 'return resource !== undefined && (resource.share === token || resource.held.some((held) => held.token === token))',
    replace: 'return resource === undefined || resource.held.every((held) => held.token <= token)',
    cites: ['T2'],
  },
  {
    ...fence,
    name: 'a fence outside the room remembers the latest token, not the newest',
    find: 'if (token >= newest) return',
    replace: 'if (token >= newest || newest > 0) return',
    cites: ['T2'],
  },
  {
    ...fence,
    name: 'a fence outside the room lets anybody in for a lock that it has forgotten',
    find: 'known.floor = Math.max(known.floor, oldest[1])',
    replace: '',
    cites: ['T2'],
  },
  {
    ...fence,
    name: 'a fence outside the room compares tokens of different rooms',
    find: 'return { name, token, room }',
    replace: "return { name, token, room: '' }",
    cites: ['T2'],
  },
  {
    file: 'machine/lock/books.ts',
    tests: { files: ['src/machine/lock/beyond.test.ts', 'src/machine/lock/beyond-model.test.ts'] },
    name: 'whoever is let in by the entry in which a hold began and ended has its token',
    find: '  useUp(context, held.token)\n',
    replace: '',
    cites: ['T1', 'C1'],
  },
  {
    file: 'machine/lock/books.ts',
    tests: { files: ['src/machine/lock/lock.test.ts'] },
    name: 'a share is known by its newest token',
    find: '(resource.share ?? held.reduce((max, { token }) => Math.max(max, token), 0))',
    replace: 'held.reduce((max, { token }) => Math.max(max, token), 0)',
    cites: ['T2'],
  },
]

const transacting = { file: 'machine/store/transact.ts', tests: { files: ['src/machine/store/transact.test.ts'] } }
const watching = { file: 'host/store-watches.ts', tests: { files: ['src/host/store-watches.test.ts'] } }

const store: readonly RoomMutant[] = [
  {
    ...transacting,
    name: "an operation's fence is not asked for in a transaction",
    find: 'const stale = operation.fence && staleness(state, operation.fence)',
    replace: 'const stale = null',
    cites: ['T2'],
  },
  {
    ...transacting,
    name: 'a transaction has a fence, and nobody asks for it',
    find: '(fence && staleness(context.state, fence)) ?? impossible(',
    replace: 'impossible(',
    cites: ['T2'],
  },
  {
    ...watching,
    name: 'a watch that stopped within a transaction is told its beginning again',
    find: 'const seen = batch.revision === watch.revision + 1 ? watch.place : 0',
    replace: 'const seen = 0',
    cites: ['S-10'],
  },
  {
    ...watching,
    name: 'a watch goes on behind a gap as if nothing had been missed',
    find: 'const isLost = watch.isLost || this.#changes.since > watch.revision',
    replace: 'const isLost = watch.isLost',
    cites: ['S-10'],
  },
  {
    ...watching,
    name: 'a revision of another history is waited for',
    find: 'watch.isLost = isAnew || watch.revision > this.#context.machine.appliedIndex',
    replace: 'watch.isLost = isAnew',
    cites: ['R1', 'N2'],
  },
]

const goodbyes: readonly RoomMutant[] = [
  {
    ...departures,
    name: 'the goodbye of an earlier life is believed of a later one',
    find: 'const isNews = !this.#isBack(peerId, incarnation) || this.#hasSession(peerId, incarnation)',
    replace: 'const isNews = true',
    cites: ['M1'],
  },
  {
    ...departures,
    name: 'who has just begun forgets a death before it has heard of the session that has to end by it',
    find: 'this.#gone.set(peerId, { incarnation, proof, lastNumber, since: this.#context.now, toldAt: null })',
    replace:
      'if (isNews) this.#gone.set(peerId, { incarnation, proof, lastNumber, since: this.#context.now, toldAt: null })',
    cites: ['L4'],
  },
  {
    file: 'host/residents.ts',
    tests: { files: ['test/scenario/all-closed.test.ts'] },
    name: "whoever takes a dead tab's node in tells nobody that the tab is dead",
    find: "    this.#tell(dead)\n    return 'kept'",
    replace: "    return 'kept'",
    cites: ['L2', 'L4'],
  },
  {
    ...departures,
    name: 'a leader is told nothing of its own earlier life',
    find: 'if (leader === peerId && !this.#isBack(peerId, gone.incarnation)) return',
    replace: 'if (leader === peerId) return',
    cites: ['L2', 'L4'],
  },
  {
    ...departures,
    name: 'who has left is gone in all its lives',
    find: 'return gone !== undefined && gone.incarnation.counter >= incarnation.counter',
    replace: 'return gone !== undefined',
    cites: ['M1'],
  },
  {
    ...departures,
    name: 'a session is closed before the commands that its goodbye names have come',
    find: 'const outstanding = gone.lastNumber > session.lastNumber',
    replace: 'const outstanding = false',
    cites: ['M1'],
  },
  {
    ...departures,
    tests: { files: ['test/scenario/hostile.test.ts'], title: 'who is said to be gone' },
    name: 'anybody proves a death',
    find: "return proof === 'goodbye' || browserId === by.browserId",
    replace: 'return true',
    cites: ['L2'],
  },
  {
    ...session,
    name: 'a goodbye ends whatever life has the session',
    find: 'if (!session || session.incarnation.counter > incarnation.counter) return',
    replace: 'if (!session) return',
    cites: ['M1', 'L2'],
  },
  {
    file: 'host/testament.ts',
    tests: { files: ['src/host/testament.test.ts'] },
    name: 'a vote counts as destroyed before its page has said so',
    find: 'this.#withdrawal = this.#number + 1\n    this.#show()\n    return false',
    replace: 'this.#voteAtPage = null\n    this.#context.raft.revokePromise()\n    this.#show()\n    return true',
    cites: ['M2'],
  },
]

const membership: readonly RoomMutant[] = [
  {
    file: 'host/catch-up.ts',
    tests: { files: ['src/host/catch-up.test.ts'] },
    name: 'one look is enough to be caught up',
    find: 'return isLastLook || progress.round - since >= roundsToPromote',
    replace: 'return true',
    cites: ['M4'],
  },
  {
    file: 'host/leadership.ts',
    tests: { files: ['test/scenario/frozen-alone.test.ts'] },
    name: 'a leader that freezes waits for its heir to have kept up',
    find: 'progress, raft.commitIndex, this.#conditions.isFrozen)',
    replace: 'progress, raft.commitIndex, false)',
    cites: ['S-4'],
  },
  {
    ...autopilot,
    name: 'who is not caught up is promoted',
    find: 'if (!candidate?.caughtUp || candidate.unfit || !mayVote(situation, peerId)) return false',
    replace: 'if (!candidate || candidate.unfit || !mayVote(situation, peerId)) return false',
    cites: ['M4'],
  },
  {
    ...autopilot,
    name: 'silence removes several at once',
    find: 'silent.slice(0, 1)',
    replace: 'silent',
    cites: ['M3'],
  },
  {
    ...autopilot,
    name: 'silence removes one after the other, without a lease in between',
    find: 'situation.mayRemoveSilent ? silent.slice(0, 1) : []',
    replace: 'silent.slice(0, 1)',
    cites: ['M3'],
  },
  {
    ...autopilot,
    name: 'silence takes a room of three to two',
    find: 'if (isOfSilence && after < 3 && !isPairOf(configuration, leader)) return false',
    replace: '',
    cites: ['M3'],
  },
  {
    file: 'host/leadership.ts',
    tests: { files: ['test/scenario/succession.test.ts'], title: '[M3]' },
    name: 'a leader does not remember when silence last cost a vote',
    find: 'mayRemoveSilent: elapsedAtLeast(this.#silenceActedAt, now) > this.#lease,',
    replace: 'mayRemoveSilent: true,',
    cites: ['M3'],
  },
  {
    ...autopilot,
    name: 'nobody needs to settle',
    find: 'return candidate.settled || (!candidate.returned && !isRedundant(situation))',
    replace: 'return true',
    cites: ['M4'],
  },
  {
    ...autopilot,
    name: 'whoever is there votes, two of a browser too',
    find: 'return ranked.filter((peerId) => browsers.delete(browserOf(peerId))).slice(0, wanted)',
    replace: 'return ranked.slice(0, wanted)',
    cites: ['M4'],
  },
  {
    ...autopilot,
    name: 'an even number votes',
    find: 'return bounded % 2 === 1 || (bounded === 2 && mayBePair) ? bounded : bounded - 1',
    replace: 'return bounded',
    cites: ['M4'],
  },
  {
    ...autopilot,
    name: 'of two tabs one votes, hidden or not: the other could not go on without it when it is frozen',
    find: 'const mayBePair = browsers === 2 || isLeaderHidden',
    replace: 'const mayBePair = browsers === 2',
    cites: ['M4', 'S-4'],
  },
  {
    ...tidying,
    name: 'an identity is forgotten while its page lives',
    find: 'if (incarnation && !(await take(lifeLockName(peerId, incarnation)))) return false',
    replace: '',
    cites: ['L2'],
  },
  {
    ...tidying,
    name: 'the only copy of another history is forgotten',
    find: 'return isSame && lastIndex <= node.status.commitIndex',
    replace: 'return lastIndex <= node.status.commitIndex',
    cites: ['N3'],
  },
  {
    ...tidying,
    name: 'who has not heard who votes by now forgets a voter',
    find: 'return isSame && lastIndex <= node.status.commitIndex',
    replace: 'return isSame',
    cites: ['L4'],
  },
  {
    file: 'network/peer-relay.ts',
    tests: { files: ['test/scenario/two-browsers.test.ts'], title: 'does so at once' },
    name: 'a node without a page waits for links of its own, as a tab does',
    find: 'return this.#options.patience ?? patienceMs',
    replace: 'return patienceMs',
    cites: ['L4'],
  },
  {
    file: 'host/leadership.ts',
    tests: { files: ['test/scenario/frozen-alone.test.ts'] },
    name: 'one of two that freezes has the other ask for its vote, before it can leave it',
    find: "if (move?.urgency === 'now' && this.#owesVote(move.to)) return",
    replace: '',
    cites: ['M2', 'S-4'],
  },
  {
    ...autopilot,
    name: 'who is hidden on a phone votes on',
    find: 'const isCounted = (peerId: PeerId) => isFit(situation, peerId) || !isFit(situation, leader)',
    replace: 'const isCounted = (peerId: PeerId) => peerId !== ""',
    cites: ['M4'],
  },
  {
    ...autopilot,
    name: 'voters stop voting while another one is away',
    find: 'if (staying.some(isWaitedFor) || !isFit(situation, leader)) return []',
    replace: 'if (!isFit(situation, leader)) return []',
    cites: ['M4'],
  },
  {
    file: 'host/quorum-check.ts',
    tests: { files: ['src/host/quorum-check.test.ts'] },
    name: 'who answered before it was needed is counted on',
    find: 'const round = isNew ? rounds.current + 1 : (this.#change?.round ?? 0)',
    replace: 'const round = rounds.current - 1',
    cites: ['M3', 'M4'],
  },
  {
    file: 'host/condition.ts',
    tests: { files: ['src/host/condition.test.ts'] },
    name: 'a phone that is put away is as fit as a window that is hidden',
    find: 'return frozen || (phone && !visible)',
    replace: 'return frozen',
    cites: ['M4'],
  },
  {
    ...succession,
    name: 'leadership goes at once to whatever is better',
    find: "if (urgency === 'in time' && !this.#isWorthIt(now)) return null",
    replace: '',
    cites: ['M4'],
  },
  {
    ...succession,
    name: 'a leader that freezes waits as if there were time',
    find: "      others.find(({ frozen }) => !frozen),\n      'now',",
    replace: "      others.find(({ frozen }) => !frozen),\n      'in time',",
    cites: ['S-4'],
  },
  {
    file: 'host/host.ts',
    tests: { files: ['src/host/memory-voters.test.ts'] },
    name: 'whose log is in memory votes in a room on disks',
    find: "return learnerOnly || (inMemory && this.machine.settings?.storage !== 'memory')",
    replace: 'return learnerOnly || (inMemory && learnerOnly)',
    cites: ['F2', 'M4'],
  },
]

const pace: readonly RoomMutant[] = [
  {
    file: 'host/host.ts',
    tests: { files: ['test/scenario/departures.test.ts'], title: '[M5]' },
    name: 'a closed channel is taken for the goodbye of a session',
    find: "if (reason === 'remote' && this.#raft.leader === peer.peerId) this.#raft.forgetLeader()",
    replace: "if (reason === 'remote') this.#departed(peer, 'goodbye', 0)",
    cites: ['M5', 'L2'],
  },
  {
    file: 'host/pace.ts',
    tests: { files: ['test/scenario/slow-links.test.ts'] },
    name: 'time-outs do not follow the links',
    find: 'return scaled(floor, this.#factor)',
    replace: 'return scaled(floor, 1)',
    cites: ['M5'],
  },
  {
    file: 'host/pace.ts',
    tests: { files: ['src/host/pace.test.ts'] },
    name: 'everybody waits for the slowest voter',
    find: 'return configuration.voters.length === 0 ? unknown : -quorumValue(configuration, (peerId) => -needs(peerId))',
    replace: 'return Math.max(0, ...votersOf(configuration).map(needs))',
    cites: ['M5'],
  },
  {
    ...idle,
    name: 'a room is idle though a lock is held',
    find: 'const isUsed = locks.resources.size > 0 || semaphores.bySession.size > 0',
    replace: 'const isUsed = locks.resources.size + semaphores.bySession.size < 0',
    cites: ['M6'],
  },
  {
    ...idle,
    name: 'who knows of a death keeps it to itself, though the others follow for long',
    find: 'if (this.#isIdle && this.#context.raft.leader === null) this.#askAll()\n',
    replace: '',
    cites: ['M6'],
  },
  {
    ...handover,
    name: 'a leader goes without a word of who is next',
    find: 'return heir === null ? plain : { ...plain, heir }',
    replace: 'return plain',
    cites: ['M1'],
  },
  {
    ...handover,
    file: 'raft/candidate.ts',
    tests: { files: ['src/raft/election.test.ts'] },
    name: 'an heir asks first whether it may ask',
    find: '  becomeCandidate(state, true)\n  return true',
    replace: '  campaign(state)\n  return true',
    cites: ['M1'],
  },
  {
    ...idle,
    name: 'who waits for a leader that sleeps does not ask the voters',
    find: 'if (now.monotonic - this.#waitingSince < patience) return',
    replace: 'if (patience > 0) return',
    cites: ['M6'],
  },
  {
    ...idle,
    tests: { files: ['src/host/idle.test.ts'] },
    name: 'a room is idle though a member has not agreed',
    find: 'if (members.every((peerId) => agreed.has(peerId))) ',
    replace: 'if (agreed.size > 0 && members.length > 0) ',
    cites: ['M6'],
  },
  {
    ...idle,
    tests: { files: ['test/scenario/idle.test.ts'], title: 'goes on following' },
    name: 'one who waits in vain is enough to replace a leader that lives',
    find: 'else if (leader !== null && this.#isIdle && raft.doubtLeader()) {',
    replace: "else raft.forgetLeader()\n    if (role !== 'leader' && leader !== null) {",
    cites: ['M6'],
  },
  {
    file: 'host/host.ts',
    tests: { files: ['test/scenario/departures.test.ts'], title: '[M5]' },
    name: 'a channel that is lost is taken for the death of a leader',
    find: "if (reason === 'remote' && this.#raft.leader === peer.peerId) this.#raft.forgetLeader()",
    replace: 'if (this.#raft.leader === peer.peerId) this.#raft.forgetLeader()',
    cites: ['M5'],
  },
  {
    ...peers,
    tests: { files: ['src/host/peers.test.ts'], title: '[M5]' },
    name: 'a channel that is closed is the end of its peer, though a relay still brings its heartbeats',
    find: 'if (this.peer(peer.peerId)) return\n    this.#outbox',
    replace: 'this.#outbox',
    cites: ['M5'],
  },
  {
    file: 'host/tempo.ts',
    tests: { files: ['src/host/tempo.test.ts'] },
    name: 'heartbeats come less often before a quorum knows that they may',
    find: 'return raft.confirmedRound >= this.#announced.round ? wanted : { ...wanted, heartbeatTicks }',
    replace: 'return wanted',
    cites: ['M5'],
  },
  {
    file: 'host/tempo.ts',
    tests: { files: ['src/host/tempo.test.ts'] },
    name: 'a quorum that has answered is believed to know of what was not said yet',
    find: 'round: raft.currentRound + 1 }',
    replace: 'round: raft.confirmedRound }',
    cites: ['M5'],
  },
]

const founding: readonly RoomMutant[] = [
  {
    ...boot,
    name: 'a room is told of before it is registered',
    find: 'const winner = registrar ? await registrar.register(roomId, false) : roomId',
    replace: 'const winner = roomId',
    cites: ['N1'],
  },
  {
    ...boot,
    name: 'tabs of one browser found without asking each other',
    find: 'const founding = await locks.hold(foundingLockName(room))\n  try {\n    const known',
    replace: 'const founding: HeldLock | null = null as HeldLock | null\n  try {\n    const known',
    cites: ['N1'],
  },
  {
    ...histories,
    name: 'of two histories both go on',
    find: 'return compareHistories(other, mine) > 0',
    replace: 'return false',
    cites: ['N2', 'N3'],
  },
  {
    ...histories,
    name: 'a history ends before a quorum of the other one has answered',
    find: '  if (!other.claim.hasQuorum) return false\n',
    replace: '',
    cites: ['N3'],
  },
  {
    ...histories,
    name: 'the younger foundation absorbs the elder',
    find: 'other.claim.foundedAt - one.claim.foundedAt ||',
    replace: 'one.claim.foundedAt - other.claim.foundedAt ||',
    cites: ['N2'],
  },
  {
    ...histories,
    name: 'of two foundations the elder goes on, whatever the younger has acknowledged',
    find: 'Number(hasActed(one)) - Number(hasActed(other)) || compareAge(one, other)',
    replace: 'compareAge(one, other)',
    cites: ['N2'],
  },
  {
    ...histories,
    name: 'a fork goes on before the history that kept its quorum',
    find: 'Number(its !== undefined) - Number(mine !== undefined) ||',
    replace: 'Number(mine !== undefined) - Number(its !== undefined) ||',
    cites: ['N3'],
  },
  {
    ...histories,
    name: 'of two forks the smaller one goes on',
    find: '(mine?.members ?? 0) - (its?.members ?? 0) ||',
    replace: '(its?.members ?? 0) - (mine?.members ?? 0) ||',
    cites: ['N3'],
  },
  {
    file: 'host/meetings.ts',
    tests: { files: ['src/host/meetings.test.ts'] },
    name: 'a leader speaks for its history without a round of its quorum',
    find: 'this.#round = raft.currentRound + 1\n      raft.read(kickRound)',
    replace: 'this.#tell(true)',
    cites: ['N3'],
  },
  {
    file: 'host/host.ts',
    tests: meeting,
    name: 'who belongs to a history that has ended stays in it',
    find: 'if (ending) this.#reset(ending)\n    else this.#arm()',
    replace: 'if (!ending || ending.partsAt > 0) this.#arm()',
    cites: ['N2', 'N3'],
  },
  {
    ...boot,
    tests: { files: ['test/scenario/meeting.test.ts'], title: 'B13' },
    name: 'who resets comes back under the same identity',
    find: 'await identities.archive(peerId, tokenFloor)',
    replace: "await identities.archive(peerId + '?', tokenFloor)",
    cites: ['N2', 'N3', 'B13'],
  },
  {
    ...histories,
    name: 'of two forks more members count more than what was agreed before they left: three may end for each other in a circle',
    find: '    comparePlaces(myEnd, itsEnd) ||\n',
    replace: '    (mine && its ? 0 : comparePlaces(myEnd, itsEnd)) ||\n',
    cites: ['N3'],
  },
  {
    ...histories,
    name: 'a fork that left a sibling is taken for one that left this history: what was written since is told to nobody as lost',
    find: 'isOfOne(base) && termOf(base.index)',
    replace: 'termOf(base.index)',
    cites: ['N3'],
  },
  {
    ...histories,
    name: 'what a fork began with is taken to be here because nothing here is of a later term',
    find: 'termOf(base.index) === base.term',
    replace: '(termOf(base.index) ?? base.term + 1) <= base.term',
    cites: ['N3'],
  },
  {
    ...histories,
    name: 'a history ends though it has agreed on more than it had said',
    find: 'lastCommand: lastOfAll',
    replace: 'lastCommand: noEntry',
    cites: ['N2', 'N3'],
  },
  {
    ...recovery,
    name: 'a room is recovered though somebody is in touch with its quorum',
    find: 'if ((raft.hasQuorum && raft.leader !== from) || !this.#lineage()) {',
    replace: 'if (!this.#lineage()) {',
    cites: ['N3'],
  },
  {
    ...foundedAnew('host/recovery.ts'),
    name: 'a room is founded anew by who has only just begun to look for it',
    find: 'if (isOutside && elapsedAtMost(this.#begunAt, now) < nobodyAfter) {',
    replace: 'if (isOutside && elapsedAtMost(this.#begunAt, now) < 0) {',
    cites: ['N1'],
  },
  {
    ...foundedAnew('host/recovery.ts'),
    name: 'a room is founded anew though somebody in reach has its log',
    find: 'if (positions.get(best)?.last.index === 0) {',
    replace: 'if (this.#position().last.index === 0) {',
    cites: ['N3'],
  },
  {
    ...foundedAnew('host/belonging.ts'),
    name: 'tokens of a room that was founded anew begin with the time alone',
    find: 'tokenFloor > 0 ? tokenFloor + tokensBeyond : 0',
    replace: '0',
    cites: ['T1'],
  },
  {
    file: 'host/replicated.ts',
    tests: { files: ['test/scenario/meeting.test.ts'] },
    name: 'what was deleted in a history that ends is not told',
    find: '    this.#tombstones.note(applied, this.#machine)\n',
    replace: '',
    cites: ['N2', 'N3'],
  },
  {
    file: 'host/boot.ts',
    tests: { files: ['src/host/boot.test.ts'] },
    name: 'an identity is claimed though its history has ended since it was listed',
    find: 'if ((await identities.list()).some((known) => known.peerId === peerId)) return',
    replace: 'if (peerId) return',
    cites: ['N3', 'B13'],
  },
  {
    ...recovery,
    name: 'who recovers a room leads it, with the log that it happens to have',
    find: 'const best = bestOf(positions, votersOf(raft.configuration))',
    replace: 'const best = votersOf(raft.configuration).length < 0 ? bestOf(positions, []) : self.peerId',
    cites: ['N3'],
  },
  {
    ...recovery,
    name: 'two attempts to recover are both agreed to',
    find: 'if (this.isStandingBy && this.#agreed && this.#agreed.by < from) return',
    replace: '',
    cites: ['N3'],
  },
  {
    file: 'signaling/majority.ts',
    tests: { files: ['src/signaling/majority.test.ts'] },
    name: 'one server of several is enough to have founded a room',
    find: 'votes > held.length / 2 || ',
    replace: 'votes > 0 || ',
    cites: ['N1'],
  },
  {
    file: 'signaling/rooms.ts',
    tests: { files: ['src/signaling/rooms.test.ts'] },
    name: 'a server that has restarted registers a new id at once',
    find: '!request.existing && now < room.settledAt',
    replace: '!request.existing && now < 0',
    cites: ['N1'],
  },
]

const beyondLocks: readonly RoomMutant[] = [
  {
    ...lockOrder,
    name: 'what is due fires after the entry that came in time for nothing',
    file: 'machine/machine.ts',
    find: '  fireDue(context)\n  const said = instruction ? applyInstruction(context, instruction) : {}',
    replace: '  const said = instruction ? applyInstruction(context, instruction) : {}\n  fireDue(context)',
    cites: ['C1', 'T1'],
  },
  {
    ...lockOrder,
    name: 'what is due fires in the order of its entries alone',
    file: 'machine/deadline.ts',
    find: 'return a.at - b.at || a.index - b.index',
    replace: 'return a.index - b.index || a.at - b.at',
    cites: ['C1'],
  },
  {
    ...lockOrder,
    name: 'one hold that is due lets somebody in by another that is due too',
    file: 'machine/lock/ending.ts',
    find: '    else endDelay(context, due.resource, due.ends.delay, touched)\n',
    replace: '    else endDelay(context, due.resource, due.ends.delay, touched)\n    settle(context, touched)\n',
    cites: ['C1', 'T1'],
  },
  {
    ...lockOrder,
    name: 'the grace of a revoke begins before the holder has acknowledged it',
    file: 'machine/lock/revoke.ts',
    find: 'revoke: { grace, endsAt: end } })',
    replace:
      'revoke: { grace, endsAt: Math.min(end ?? Number.POSITIVE_INFINITY, context.state.clusterTime + grace) } })',
    cites: ['S-7'],
  },
  {
    name: 'the host acknowledges a revoke before its page has dealt with it',
    file: 'host/page-locks.ts',
    find: 'this.#confirm(() => {',
    replace: 'for (const now of [(run: () => void) => run()]) now(() => {',
    cites: ['S-7'],
    tests: { files: ['src/host/page-locks.test.ts'] },
  },
  {
    name: 'any answer of the page confirms what it was told last',
    file: 'host/own-lease.ts',
    find: 'this.#confirmations.push({ left: this.#open, again: true, run })',
    replace: 'this.#confirmations.push({ left: 1, again: false, run })',
    cites: ['S-7'],
    tests: { files: ['src/host/own-lease.test.ts'] },
  },
  {
    name: 'whoever thinks that something is due may say so',
    file: 'host/submissions.ts',
    find: '    default:\n      return null',
    replace: "    case 'tick':\n      return instruction\n    default:\n      return null",
    cites: ['S-6'],
    tests: { files: ['src/host/submissions.test.ts'] },
  },
  {
    ...lockOrder,
    name: 'an upgrade keeps the token of the share',
    file: 'machine/lock/grant.ts',
    find: "const next: Held = { ...rest, mode: 'exclusive', token, since: state.clusterTime }",
    replace: "const next: Held = { ...rest, mode: 'exclusive', since: state.clusterTime }",
    cites: ['T1'],
  },
  {
    ...lockOrder,
    name: 'a grace begins of which its holder does not know yet',
    file: 'machine/lock/revoke.ts',
    find: 'if (grace > asked.grace) return',
    replace: 'if (grace < 0) return',
    cites: ['S-7'],
  },
  {
    ...lockOrder,
    name: 'who comes to share passes the one that waits to be exclusive',
    file: 'machine/lock/obstacles.ts',
    find: 'return upgrade !== undefined && (wanted.upgrade === undefined || upgrade.requested < wanted.upgrade)',
    replace: 'return upgrade !== undefined && wanted.upgrade !== undefined && upgrade.requested < wanted.upgrade',
    cites: ['T1'],
  },
  {
    ...lockOrder,
    name: 'a share that was exclusive before begins with the token of whoever is left',
    file: 'machine/lock/books.ts',
    find: 'resource.share = isShared ? (resource.share ?? held.reduce((max, { token }) => Math.max(max, token), 0)) : null',
    replace: 'resource.share = isShared ? (held[0]?.token ?? null) : null',
    cites: ['T2'],
    tests: { files: ['src/machine/lock/lock.test.ts', 'src/machine/lock/beyond.test.ts'] },
  },
]

export const roomMutants: readonly RoomMutant[] = [
  ...beyondLocks,
  ...frames,
  ...lives,
  ...locksOfTheBrowser,
  ...clocks,
  ...sessions,
  ...inheritances,
  ...tokens,
  ...store,
  ...goodbyes,
  ...membership,
  ...pace,
  ...founding,
  ...reads,
  ...semaphores,
]
