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

const autopilot: Where = { file: 'host/autopilot.ts', tests: { files: ['src/host/autopilot.test.ts'] } }
const departures: Where = { file: 'host/departures.ts', tests: { files: ['src/host/departures.test.ts'] } }
const histories: Where = { file: 'host/histories.ts', tests: { files: ['src/host/histories.test.ts'] } }
const succession: Where = { file: 'host/succession.ts', tests: { files: ['src/host/succession.test.ts'] } }
const idle: Where = { file: 'host/idle.ts', tests: { files: ['test/scenario/idle.test.ts'] } }
const recovery: Where = { file: 'host/recovery.ts', tests: { files: ['test/scenario/recovery.test.ts'] } }
const relays: Where = { file: 'network/peer-relay.ts', tests: { files: ['src/network/peer-relay.test.ts'] } }
const carried: Where = { ...relays, file: 'network/peer-relay-link.ts' }
const peers: Where = { file: 'host/peers.ts', tests: { files: ['src/host/peers.test.ts'] } }
const leases: Where = { file: 'host/leases.ts', tests: { files: ['src/host/leases.test.ts'] } }
const session: Where = { file: 'machine/session/apply.ts', tests: { files: ['src/machine/session/session.test.ts'] } }
const machine: Where = { file: 'machine/machine.ts', tests: { files: ['test/scenario/meeting.test.ts'] } }
const boot: Where = { file: 'host/boot.ts', tests: { files: ['src/host/boot.test.ts'] } }
const versions: Where = { file: 'host/version-pilot.ts', tests: { files: ['test/scenario/versions.test.ts'] } }
const lockOrder = { tests: { files: ['src/machine/lock/beyond.test.ts'] } }
const meeting = { files: ['test/scenario/meeting.test.ts'] }

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
    find: 'return this.#withDead(voters, (dead) => this.#takeIn(dead))',
    replace: 'return Promise.resolve()',
    cites: ['L4'],
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
]

const tokens: readonly RoomMutant[] = [
  {
    ...machine,
    name: 'a fork counts its tokens on',
    find: 'setTokenBase(state, Math.max(seconds * tokensPerSecond, state.tokenBase + index + tokensApart))',
    replace: '',
    tests: { files: ['test/scenario/meeting.test.ts', 'test/scenario/recovery.test.ts'] },
    cites: ['T1', 'N3'],
  },
  {
    ...machine,
    name: 'who comes from another history does not raise the tokens',
    find: 'if (floor >= state.tokenBase + index) setTokenBase(state, floor + tokensApart)',
    replace: '',
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
]

const goodbyes: readonly RoomMutant[] = [
  {
    ...departures,
    name: 'the goodbye of an earlier life is believed of a later one',
    find: 'if (here && here.incarnation.counter > incarnation.counter) return false',
    replace: '',
    cites: ['M1'],
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
    find: 'return progress.round - since >= roundsToPromote',
    replace: 'return progress.round >= since',
    cites: ['M4'],
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
    find: 'return bounded % 2 === 1 || browsers === 2 ? bounded : bounded - 1',
    replace: 'return bounded',
    cites: ['M4'],
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
    tests: { files: ['test/scenario/slow-links.test.ts'] },
    name: 'everybody waits for the slowest voter',
    find: 'return configuration.voters.length === 0 ? unknown : -quorumValue(configuration, (peerId) => -needs(peerId))',
    replace: 'return Math.max(0, ...votersOf(configuration).map(needs))',
    cites: ['M5'],
  },
  {
    ...idle,
    name: 'a room is idle though a lock is held',
    find: 'return this.#context.machine.locks.resources.size > 0 || this.#options.isWaiting()',
    replace: 'return this.#options.isWaiting()',
    cites: ['M6'],
  },
  {
    ...idle,
    name: 'who waits for a leader that sleeps does not ask the voters',
    find: 'if (now.monotonic - this.#waitingSince < patience) return',
    replace: 'if (patience > 0) return',
    cites: ['M6'],
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
    find: 'const founding = await locks.hold(foundingLockName(room))',
    replace: 'const founding: HeldLock | null = null as HeldLock | null',
    cites: ['N1'],
  },
  {
    ...histories,
    name: 'of two histories both go on',
    find: 'return other.claim.hasQuorum && outlives(other, mine)',
    replace: 'return false',
    cites: ['N2', 'N3'],
  },
  {
    ...histories,
    name: 'a history ends before a quorum of the other one has answered',
    find: 'return other.claim.hasQuorum && outlives(other, mine)',
    replace: 'return outlives(other, mine)',
    cites: ['N3'],
  },
  {
    ...histories,
    name: 'the younger foundation absorbs the elder',
    find: 'return foundedAt < other.claim.foundedAt',
    replace: 'return foundedAt > other.claim.foundedAt',
    cites: ['N2'],
  },
  {
    ...histories,
    name: 'of two foundations the elder goes on, whatever the younger has acknowledged',
    find: '  if (one.claim.hasQuorum && other.claim.hasQuorum && oneActed !== otherActed) return oneActed\n  const { foundedAt }',
    replace: '  const { foundedAt }',
    cites: ['N2'],
  },
  {
    ...histories,
    name: 'a fork goes on before the history that kept its quorum',
    find: 'return one.epoch < other.epoch',
    replace: 'return one.epoch > other.epoch',
    cites: ['N3'],
  },
  {
    ...histories,
    name: 'of two forks the smaller one goes on',
    find: 'members === others ? one.forkId < other.forkId : members > others',
    replace: 'members === others ? one.forkId < other.forkId : members < others',
    cites: ['N3'],
  },
  {
    ...recovery,
    name: 'a room is recovered though somebody is in touch with its quorum',
    find: 'if (raft.hasQuorum || !this.#lineage()) {',
    replace: 'if (!this.#lineage()) {',
    cites: ['N3'],
  },
  {
    ...recovery,
    name: 'who recovers a room leads it, with the log that it happens to have',
    find: 'const best = bestOf(positions)',
    replace: 'const best = self.peerId',
    cites: ['N3'],
  },
  {
    ...recovery,
    name: 'two attempts to recover are both agreed to',
    find: 'if (this.isStandingBy && this.#agreed && this.#agreed.by < from) return',
    replace: '',
    cites: ['N3'],
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
  ...locksOfTheBrowser,
  ...clocks,
  ...sessions,
  ...tokens,
  ...goodbyes,
  ...membership,
  ...pace,
  ...founding,
]
