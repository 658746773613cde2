import type { Lineage } from '../storage/storage.js'
import { LogChecker } from './checkers/log.js'
import type { LogMatchingChecker } from './checkers/log-matching.js'
import { RaftChecker } from './checkers/raft.js'
import type { SimDisk } from './disk.js'
import { historyKey } from './history-key.js'
import type { HostRecord } from './worker.js'
import type { World } from './world.js'

/** Of one history: what was committed in it, and whether its cores keep to the rules. */
export interface Court {
  readonly log: LogChecker
  readonly raft: RaftChecker
}

/** Every history of a room is judged by itself (N2, N3): a fork goes on from what it shares with the one that it left. */
export class Courts {
  readonly main: Court
  readonly #byLineage = new Map<string, Court>()
  readonly #before = new Map<HostRecord, Court>()
  readonly #create: (log?: LogChecker) => Court

  constructor(world: World, matching: LogMatchingChecker, diskOf: (peerId: string) => SimDisk | null) {
    this.#create = (log = new LogChecker(world, diskOf)) => ({
      log,
      raft: new RaftChecker(world, log, matching, diskOf),
    })
    this.main = this.#create()
  }

  of(record: HostRecord): Court {
    const { lineage } = record.host
    if (!lineage) return this.main
    const key = historyKey(lineage)
    let court = this.#byLineage.get(key)
    if (!court) {
      court = this.#open(record, lineage)
      this.#byLineage.set(key, court)
    }
    this.#before.set(record, court)
    return court
  }

  get all(): readonly Court[] {
    return [...new Set([this.main, ...this.#byLineage.values()])]
  }

  #open(record: HostRecord, { foundation }: Lineage): Court {
    if (this.#byLineage.size === 0) return this.main
    if (!foundation) return this.#create()
    const { log } = this.#before.get(record) ?? this.main
    return this.#create(log.split(sharedWith(record, log, foundation.index)))
  }
}

/** Log matching: what is the same entry in both has the same entries before it; what is compacted was committed. */
function sharedWith({ host }: HostRecord, log: LogChecker, before: number): number {
  let index = Math.min(log.lastIndex, before - 1)
  while (index > host.status.appliedIndex && host.entryTerm(index) !== log.termAt(index)) index -= 1
  return index
}
