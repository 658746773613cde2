/** What clients did to a room, and when: the evidence of a linearizability checker, ours or another. */
import * as v from 'valibot'

/**
 * One operation of one client. Times are ms of one clock for all clients. `return: null`: the outcome is unknown; it may
 * have taken effect at any time after its call, or never. What `input` and `output` are is said by the models (`models.ts`).
 */
export interface Operation {
  readonly client: string
  readonly op: string
  readonly key: string
  readonly input: unknown
  readonly output: unknown
  readonly call: number
  readonly return: number | null
}

const time = v.pipe(v.number(), v.finite())
// Loose: a line may say more, as `seed`.
const operation = v.pipe(
  v.looseObject({
    client: v.string(),
    op: v.string(),
    key: v.string(),
    input: v.unknown(),
    output: v.unknown(),
    call: time,
    return: v.nullable(time),
  }),
  v.check((read) => read.return === null || read.return >= read.call, 'it returns before its call'),
)

/** JSON lines, one for each operation, each with its line feed. `more` goes into every line. */
export function writeHistory(history: Iterable<Operation>, more: Readonly<Record<string, unknown>> = {}): string {
  let text = ''
  for (const { client, op, key, input, output, call, return: returned } of history) {
    const line = { ...more, client, op, key, input: input ?? null, output: output ?? null, call, return: returned }
    text += `${JSON.stringify(line)}\n`
  }
  return text
}

/** Reads JSON lines; empty ones are skipped. Fields that are not of an operation are kept. Throws an `Error` that names the line. */
export function readHistory(text: string): Operation[] {
  return text.split('\n').flatMap((line, i) => (line.trim() === '' ? [] : [readLine(line, i + 1)]))
}

function readLine(line: string, number: number): Operation {
  let json: unknown
  try {
    json = JSON.parse(line)
  } catch (error) {
    throw new Error(`history, line ${number}: ${(error as Error).message}`)
  }
  const read = v.safeParse(operation, json)
  if (read.success) return read.output
  const [issue] = read.issues
  const path = v.getDotPath(issue)
  throw new Error(`history, line ${number}: ${path === null ? '' : `${path}: `}${issue.message}`)
}
