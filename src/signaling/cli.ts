/**
 * `npm run signal`: a signaling server on $PORT (default 4444). Prints its URL, one line, to stdout and nothing else there.
 * $HOST and $ORIGINS (separated by commas) are as in `createSignalingServer`.
 */
import { createSignalingServer, type SignalingServerOptions, signalingPortDefault } from './server.js'

function readOptions(environment: NodeJS.ProcessEnv): SignalingServerOptions {
  const { PORT: port, HOST: host, ORIGINS: origins } = environment
  if (port && !/^\d{1,5}$/.test(port)) throw new RangeError(`PORT: expected 0 to 65535, got ${JSON.stringify(port)}`)
  return {
    port: port ? Number(port) : signalingPortDefault,
    ...(host ? { host } : {}),
    ...(origins ? { origins: origins.split(',').map((origin) => origin.trim()) } : {}),
  }
}

function explain(error: unknown, { PORT: port }: NodeJS.ProcessEnv): string {
  const { code, message } =
    error instanceof Error ? (error as NodeJS.ErrnoException) : { code: '', message: `${error}` }
  if (code === 'EADDRINUSE') return `port ${port || signalingPortDefault} is taken: set PORT to another one`
  if (code === 'EACCES') return `port ${port} is not allowed for this user: set PORT to 1024 or above`
  return message
}

async function main(): Promise<void> {
  const server = await createSignalingServer(readOptions(process.env))
  const stop = () => {
    // A second signal does not wait: its default action ends the process.
    process.removeAllListeners('SIGINT')
    process.removeAllListeners('SIGTERM')
    void server.close()
  }
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  process.stdout.write(`${server.url}\n`)
}

main().catch((error: unknown) => {
  process.stderr.write(`comity signal: ${explain(error, process.env)}\n`)
  process.exitCode = 1
})
