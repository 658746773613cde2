/** The command lines of the long runs: a wrong one ends before anything begins, with one line that names what is wrong, and the usage. */
import process from 'node:process'
import { type ParseArgsConfig, parseArgs } from 'node:util'

type Options = NonNullable<ParseArgsConfig['options']>
type Values<T extends Options> = ReturnType<typeof parseArgs<{ options: T }>>['values']

/** What is wrong with a command line. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

export interface CommandLine<T extends Options> {
  readonly values: Values<T>
  /** What stands there without an option. */
  readonly names: readonly string[]
}

/** What `parseOptions` takes, and the text that shows how the command is used. */
export interface Usage<T extends Options> {
  readonly usage: string
  readonly options: T
  /** Options that are whole numbers from 1. */
  readonly numbers?: readonly (keyof T)[]
  /** What may stand there without an option. */
  readonly names?: readonly string[]
}

/** The command line of this process, or its end: with the usage for `--help`, with what is wrong and the usage otherwise. */
export function readOptions<const T extends Options>(expected: Usage<T>): CommandLine<T> {
  const { usage } = expected
  try {
    return parseOptions(process.argv.slice(2), expected) ?? end(usage, 0)
  } catch (error) {
    return error instanceof UsageError ? end(`${error.message}\n\n${usage}`, 2) : rethrow(error)
  }
}

/** Null for `--help`. Throws a `UsageError`. */
export function parseOptions<const T extends Options>(
  args: readonly string[],
  { options, numbers = [], names = [] }: Omit<Usage<T>, 'usage'>,
): CommandLine<T> | null {
  if (args.includes('--help') || args.includes('-h')) return null
  const { values, positionals } = parsed(args, options, names.length > 0)
  for (const name of numbers) {
    const value: unknown = values[name as keyof typeof values]
    if (value === undefined || (Number.isSafeInteger(Number(value)) && Number(value) >= 1)) continue
    throw new UsageError(`--${String(name)} is a whole number from 1, not ${JSON.stringify(value)}`)
  }
  const unknown = positionals.find((name) => !names.includes(name))
  if (unknown !== undefined) throw new UsageError(`there is no ${JSON.stringify(unknown)}`)
  return { values, names: positionals }
}

function parsed<const T extends Options>(args: readonly string[], options: T, allowPositionals: boolean) {
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals })
    return { values: values as Values<T>, positionals }
  } catch (error) {
    const [line] = error instanceof Error ? error.message.split('. ') : [String(error)]
    throw new UsageError(line ?? '', { cause: error })
  }
}

function end(text: string, code: number): never {
  process[code === 0 ? 'stdout' : 'stderr'].write(`${text}\n`)
  process.exit(code)
}

function rethrow(error: unknown): never {
  throw error
}
