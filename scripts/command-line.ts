/** The command lines of the long runs: a wrong one ends before anything begins, with one line that names what is wrong, and the usage. */
import process from 'node:process'
import { type ParseArgsConfig, parseArgs } from 'node:util'

type Options = NonNullable<ParseArgsConfig['options']>
type Values<T extends Options> = ReturnType<typeof parseArgs<{ options: T }>>['values']

/** What is wrong with a command line. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** The options of this process, or its end: with the usage for `--help`, with what is wrong and the usage otherwise. */
export function readOptions<const T extends Options>(
  usage: string,
  options: T,
  numbers: readonly (keyof T)[],
): Values<T> {
  try {
    return parseOptions(process.argv.slice(2), options, numbers) ?? end(usage, 0)
  } catch (error) {
    return error instanceof UsageError ? end(`${error.message}\n\n${usage}`, 2) : rethrow(error)
  }
}

/** Null for `--help`. `numbers`: options that are whole numbers from 1. Throws a `UsageError`. */
export function parseOptions<const T extends Options>(
  args: readonly string[],
  options: T,
  numbers: readonly (keyof T)[],
): Values<T> | null {
  if (args.includes('--help') || args.includes('-h')) return null
  const values = parsed(args, options)
  for (const name of numbers) {
    const value: unknown = values[name as keyof typeof values]
    if (value === undefined || (Number.isSafeInteger(Number(value)) && Number(value) >= 1)) continue
    throw new UsageError(`--${String(name)} is a whole number from 1, not ${JSON.stringify(value)}`)
  }
  return values
}

function parsed<const T extends Options>(args: readonly string[], options: T): Values<T> {
  try {
    return parseArgs({ args: [...args], options }).values as Values<T>
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
