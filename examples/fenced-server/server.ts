/** A server of documents, each written under the lock of its name: a writer whose lock has passed on is refused. */
import { randomUUID } from 'node:crypto'
import { open, readFile, rename, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname } from 'node:path'
import { text } from 'node:stream/consumers'
import { createFence, type FenceState, type ResourceFence, StaleFenceError } from '../../src/index.js'

export interface FencedServerOptions {
  /** Where tokens and documents are kept. */
  file: string
  /** Default 0: a free one. */
  port?: number
  /** Default 127.0.0.1. */
  host?: string
  /** Pages of these origins may write. */
  origins?: readonly string[]
}

export interface FencedServer {
  readonly url: string
  close(): Promise<void>
}

/** What the file holds: both change in one step, or a crash could keep a write and forget its token. */
interface Saved {
  readonly fence: FenceState
  readonly documents: Readonly<Record<string, string>>
}

/** A request that is answered with that status. */
class Refusal extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

class Documents {
  readonly #file: string
  #fence: ResourceFence
  #texts: Map<string, string>
  #last: Promise<void> = Promise.resolve()

  constructor(file: string, saved: Saved | null) {
    this.#file = file
    this.#fence = createFence(saved ? { state: saved.fence } : {})
    this.#texts = new Map(Object.entries(saved?.documents ?? {}))
  }

  get(name: string): string | undefined {
    return this.#texts.get(name)
  }

  /** One after the other: the file is written as a whole. */
  put(name: string, token: number, text: string): Promise<void> {
    const done = this.#last.then(() => this.#write(name, token, text))
    this.#last = done.catch(() => {})
    return done
  }

  async #write(name: string, token: number, text: string): Promise<void> {
    const fence = createFence({ state: this.#fence.state() })
    fence.admit(name, token)
    const texts = new Map(this.#texts).set(name, text)
    await replace(this.#file, JSON.stringify({ fence: fence.state(), documents: Object.fromEntries(texts) }))
    // Only now: what the disk does not have must be neither read nor let anybody in.
    this.#fence = fence
    this.#texts = texts
  }
}

/** Resolves once it listens. Rejects if the file is there and cannot be read: without its tokens nobody can be let in. */
export async function createFencedServer(options: FencedServerOptions): Promise<FencedServer> {
  const { file, port = 0, host = '127.0.0.1', origins = [] } = options
  const documents = new Documents(file, await load(file))
  const server = createServer((request, response) => {
    const { origin } = request.headers
    if (origin !== undefined && origins.includes(origin)) {
      response.setHeader('Access-Control-Allow-Origin', origin)
      response.setHeader('Access-Control-Allow-Methods', 'GET, PUT')
      response.setHeader('Access-Control-Allow-Headers', 'Fence-Token')
    }
    response.setHeader('Vary', 'Origin')
    answer(documents, request, response).catch((error: unknown) => refuse(response, error))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  const address = server.address() as AddressInfo
  return {
    url: `http://${host}:${address.port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function answer(documents: Documents, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const name = nameOf(request.url ?? '')
  if (request.method === 'PUT') {
    const token = tokenOf(request.headers['fence-token'])
    await documents.put(name, token, await text(request))
    response.writeHead(204).end()
  } else if (request.method === 'GET') {
    const found = documents.get(name)
    if (found === undefined) throw new Refusal(404, 'no such document')
    response.writeHead(200, { 'Content-Type': 'text/plain; charset=utf-8' }).end(found)
  } else if (request.method === 'OPTIONS') response.writeHead(204).end()
  else throw new Refusal(405, 'only GET and PUT')
}

/** The lock's name is the document's: a writer cannot choose a lock that guards something else. */
function nameOf(url: string): string {
  const [, encoded] = /^\/documents\/([^/?]+)$/.exec(url) ?? []
  if (encoded === undefined) throw new Refusal(404, 'expected /documents/<name>')
  try {
    return decodeURIComponent(encoded)
  } catch {
    throw new Refusal(400, 'the name is not valid')
  }
}

function tokenOf(header: string | readonly string[] | undefined): number {
  if (header === undefined) throw new Refusal(428, 'the header Fence-Token is required')
  const token = typeof header === 'string' && /^[1-9][0-9]{0,15}$/.test(header) ? Number(header) : Number.NaN
  if (!Number.isSafeInteger(token)) throw new Refusal(400, 'Fence-Token: expected the token of a lock')
  return token
}

function refuse(response: ServerResponse, error: unknown): void {
  const json = { 'Content-Type': 'application/json' }
  if (error instanceof StaleFenceError) {
    response.writeHead(412, json).end(JSON.stringify({ error: error.code, current: error.current }))
  } else {
    const { status, message } = error instanceof Refusal ? error : { status: 500, message: 'not written' }
    response.writeHead(status, json).end(JSON.stringify({ error: message }))
  }
}

async function load(file: string): Promise<Saved | null> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Saved
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** A crash leaves the old file or the new one: flushed, renamed, and the rename flushed. */
async function replace(file: string, content: string): Promise<void> {
  const temporary = `${file}.${randomUUID()}`
  try {
    await flushed(temporary, 'wx', content)
    await rename(temporary, file)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  const folder = await open(dirname(file), 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

async function flushed(file: string, flags: string, content: string): Promise<void> {
  const handle = await open(file, flags)
  try {
    await handle.writeFile(content)
    await handle.sync()
  } finally {
    await handle.close()
  }
}
