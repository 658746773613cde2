/** A user's project in a temporary folder: it installs the packed tarball and knows nothing of this repository. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, extname, join } from 'node:path'
import process from 'node:process'
import { freePort } from '../../scripts/port.js'
import { root } from '../../scripts/tree.js'

export interface Output {
  readonly status: number | null
  readonly stdout: string
  /** All that it said, for whoever has to find out why it failed. */
  readonly text: string
}

/** What a user types after reading the first lines of the README. */
const main = `import { join } from 'comity'

const room = await join('t')
await room.locks.request('x', async (lock) => {
  document.title = 'token ' + lock.token
})
`
const html = `<!doctype html>
<html lang="en">
  <head><meta charset="utf-8" /><title>waiting</title></head>
  <body><script type="module" src="./main.js"></script></body>
</html>
`

export class Consumer {
  readonly folder = mkdtempSync(join(tmpdir(), 'comity-consumer-'))
  readonly #stops: (() => Promise<void> | void)[] = []

  /** Installs the tarball with its dependencies. Throws with npm's words if that fails. */
  constructor(tarball: string) {
    this.write('package.json', JSON.stringify({ name: 'consumer', private: true, type: 'module' }))
    this.write('index.html', html)
    this.write('main.js', main)
    const { status, text } = run(this.folder, 'npm', [
      ...['install', tarball, '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'],
    ])
    if (status !== 0) throw new Error(`npm install of the tarball failed:\n${text}`)
  }

  write(file: string, text: string): void {
    const path = join(this.folder, file)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  }

  /** Runs a program of a package that this repository has, in the user's folder. */
  tool(name: string, ...args: string[]): Output {
    return run(this.folder, join(root, 'node_modules/.bin', name), args)
  }

  node(source: string): Output {
    return run(this.folder, process.execPath, ['--input-type=module', '--eval', source])
  }

  /** Vite without any configuration. Gives the server's address once it answers. */
  async viteDev(): Promise<string> {
    const port = await freePort()
    const vite = join(root, 'node_modules/vite/bin/vite.js')
    const child = spawn(process.execPath, [vite, '--host', '127.0.0.1', '--port', String(port), '--strictPort'], {
      cwd: this.folder,
      env: plainEnvironment(),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#stops.push(() => stopped(child))
    const url = `http://127.0.0.1:${port}/`
    await answering(url, child)
    return url
  }

  /** Serves a folder of the project as any static host would. */
  async serve(folder: string): Promise<string> {
    const server = createServer((request, response) => {
      const path = new URL(request.url ?? '/', 'http://localhost').pathname
      const file = join(this.folder, folder, path.endsWith('/') ? `${path}index.html` : path)
      try {
        const body = readFileSync(file)
        response.setHeader('content-type', contentTypes[extname(file)] ?? 'application/octet-stream')
        response.end(body)
      } catch {
        response.statusCode = 404
        response.end()
      }
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    this.#stops.push(() => closed(server))
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('a TCP server without a port')
    return `http://127.0.0.1:${address.port}/`
  }

  async remove(): Promise<void> {
    for (const stop of this.#stops) await stop()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

const contentTypes: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.json': 'application/json',
}

export function run(cwd: string, command: string, args: readonly string[]): Output {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    env: plainEnvironment(),
    encoding: 'utf8',
    timeout: 170_000,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return { status, stdout, text: `${stdout}${stderr}${error === undefined ? '' : error.message}` }
}

/** A user's shell: without what the test runner sets and Vite would read. */
function plainEnvironment(): NodeJS.ProcessEnv {
  const own = /^(VITEST.*|VITE_.*|NODE_ENV|TEST|DEV|PROD|SSR|MODE|BASE_URL)$/
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !own.test(name)))
}

async function answering(url: string, child: ChildProcess): Promise<void> {
  let text = ''
  child.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString()))
  child.stderr?.on('data', (chunk: Buffer) => (text += chunk.toString()))
  for (let attempt = 0; attempt < 150 && child.exitCode === null; attempt++) {
    const response = await fetch(url).catch(() => null)
    if (response?.ok) return
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  throw new Error(`no answer from ${url}:\n${text}`)
}

async function stopped(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  await new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.kill('SIGKILL')
  })
}

async function closed(server: Server): Promise<void> {
  server.closeAllConnections()
  await new Promise<void>((resolve) => server.close(() => resolve()))
}
