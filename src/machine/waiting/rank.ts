/** Who of those who wait is first, for every primitive with a queue. */
import { ageStep } from './limits.js'

/**
 * The lower one is first. A level of priority counts as `ageStep` ms of waiting, so a request is overtaken only by those who come within the
 * difference: nobody starves, and no timer is needed. `since`: cluster time of the request.
 */
export function rankOf(since: number, priority: number): number {
  return since - priority * ageStep
}
