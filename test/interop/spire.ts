/**
 * SPIRE: a server that issues X509-SVIDs, and the agent that hands them to workloads by who they are.
 *
 * Both are built from the Go module proxy, which takes some nine minutes of processor time, so only when that is asked for; what was built
 * is used from then on. Their versions of each module are those of SPIRE's own `go.mod`.
 *
 * @module
 */
import type { ChildProcess } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { type Authority, type Identity, run } from './authority.ts'
import { eventually, freePort, spawnQuiet, stop } from './daemon.ts'
import { missingGo } from './go.ts'
import { CACHE, execute } from './program.ts'
import type { Report } from './report.ts'

const MODULE = 'github.com/spiffe/spire'
const VERSION = 'v1.13.3'
const PROGRAMS = ['spire-server', 'spire-agent']
const FOLDER = resolve(CACHE, `spire-${VERSION}`)
const bin = (program: string): string => join(FOLDER, 'bin', program)
export const SPIRE = `SPIRE ${VERSION}`

export interface Spire extends Authority {
  /** Another authority, which signs nothing yet, is in the bundle. */
  prepare(): Promise<void>
  /** The prepared one signs from now on, and workloads get new certificates; the one before is still believed. */
  activate(): Promise<void>
  /** The authority before is out of the bundle. */
  revoke(): Promise<void>
}

/** Builds what is missing, if that is wanted; why it cannot be used here, otherwise. */
export async function missingSpire(report: Report, build: boolean): Promise<string | undefined> {
  if (PROGRAMS.every((program) => existsSync(bin(program)))) return undefined
  const why = await missingGo()
  if (why !== undefined) return why
  if (!build) return 'it is not built here, which takes minutes: npm run interop -- --with-spire builds it once'
  const built = await report.step(`${SPIRE} builds from its module`, buildSpire)
  return built === undefined ? 'it does not build here' : undefined
}

async function buildSpire(): Promise<true> {
  const making = `${FOLDER}-making`
  await rm(making, { recursive: true, force: true })
  await mkdir(join(making, 'bin'), { recursive: true })
  await writeFile(join(making, 'go.mod'), 'module provlog.example/spire\n\ngo 1.25.0\n')
  // The database of its server is SQLite, in C.
  const env = { GOTOOLCHAIN: 'local', GOFLAGS: '-mod=mod', CGO_ENABLED: '1' }
  const packages = PROGRAMS.map((program) => `${MODULE}/cmd/${program}`)
  for (const args of [
    ['get', '-tool', ...packages.map((each) => `${each}@${VERSION}`)],
    ['build', '-trimpath', '-ldflags', '-s -w', '-o', 'bin/', ...packages],
  ]) {
    const { failure } = await execute({ command: 'go', args, cwd: making, env, timeout: 3600 })
    if (failure !== undefined) throw new Error(failure)
  }
  await rename(making, FOLDER)
  return true
}

/** Runs a server and an agent for `trustDomain`; `paths` are of the workloads, all of which are whoever runs this. */
export async function startSpire(trustDomain: string, paths: readonly string[]): Promise<Spire> {
  // A socket's path has at most 107 bytes.
  const directory = await mkdtemp(join(tmpdir(), 'spire-'))
  const at = (file: string) => join(directory, file)
  const children: ChildProcess[] = []
  async function close(): Promise<void> {
    await Promise.all(children.map(stop))
    await rm(directory, { recursive: true, force: true })
  }
  try {
    return await start()
  } catch (error) {
    await close()
    throw error
  }

  async function start(): Promise<Spire> {
    const port = await freePort()
    await mkdir(at('data'))
    await writeFile(at('server.conf'), serverConfig(directory, port, trustDomain))
    await writeFile(at('agent.conf'), agentConfig(directory, port, trustDomain))
    const server = (...words: string[]) => run(bin('spire-server'), [...words, '-socketPath', at('s.sock')])
    const json = async (...words: string[]) => JSON.parse(await server(...words, '-output', 'json')) as unknown

    children.push(spawnQuiet(bin('spire-server'), ['run', '-config', at('server.conf')]))
    await eventually('its server answers', () => server('healthcheck'))
    const node = `spiffe://${trustDomain}/node`
    const { value } = (await json('token', 'generate', '-spiffeID', node)) as { value: string }
    for (const path of paths) {
      const workload = ['-spiffeID', `spiffe://${trustDomain}${path}`, '-selector', `unix:uid:${process.getuid!()}`]
      await server('entry', 'create', '-parentID', node, ...workload)
    }
    children.push(spawnQuiet(bin('spire-agent'), ['run', '-config', at('agent.conf'), '-joinToken', value]))

    const bundle = at('bundle.json')
    async function writeBundle(): Promise<void> {
      await writeFile(`${bundle}.new`, await server('bundle', 'show', '-format', 'spiffe'))
      await rename(`${bundle}.new`, bundle)
    }
    const fetched = (accept: (svid: X509Certificate) => boolean) =>
      eventually('its agent has them', () => fetchSvids(directory, trustDomain, paths, accept))
    let svids = await fetched(() => true)
    await writeBundle()

    const localauthority = (...words: string[]) => json('localauthority', 'x509', ...words) as Promise<Authorities>
    return {
      name: SPIRE,
      trustDomain,
      bundle,
      async issue(path) {
        const svid = svids.get(`spiffe://${trustDomain}${path}`)
        if (svid === undefined) throw new Error(`there is no entry for ${path}`)
        return svid
      },
      async prepare() {
        await localauthority('prepare')
        await writeBundle()
      },
      async activate() {
        const { prepared, active } = await localauthority('show')
        await localauthority('activate', '-authorityID', prepared!.authority_id)
        // Has its agent ask for new certificates at once.
        await localauthority('taint', '-authorityID', active!.authority_id)
        const before = await Promise.all([...svids.values()].map(({ cert }) => readFile(cert)))
        const old = new Set(before.map((pem) => new X509Certificate(pem).fingerprint256))
        svids = await fetched(({ fingerprint256 }) => !old.has(fingerprint256))
        await writeBundle()
      },
      async revoke() {
        const { old } = await localauthority('show')
        await localauthority('revoke', '-authorityID', old!.authority_id)
        await writeBundle()
      },
      close,
    }
  }
}

interface Authorities {
  readonly active?: { readonly authority_id: string }
  readonly prepared?: { readonly authority_id: string }
  readonly old?: { readonly authority_id: string }
}

let fetches = 0

/** Asks the agent as a workload would; each time into a folder of its own, since certificates of before are wanted too. */
async function fetchSvids(
  directory: string,
  trustDomain: string,
  paths: readonly string[],
  accept: (svid: X509Certificate) => boolean,
): Promise<ReadonlyMap<string, Identity>> {
  const folder = join(directory, `svids-${fetches++}`)
  await mkdir(folder)
  const args = ['api', 'fetch', 'x509', '-socketPath', join(directory, 'a.sock'), '-write', folder]
  await run(bin('spire-agent'), args)
  const svids = new Map<string, Identity>()
  for (let i = 0; existsSync(join(folder, `svid.${i}.pem`)); i++) {
    const [cert, key] = [join(folder, `svid.${i}.pem`), join(folder, `svid.${i}.key`)]
    const certificate = new X509Certificate(await readFile(cert))
    const id = certificate.subjectAltName?.replace(/^URI:/, '') ?? ''
    if (accept(certificate)) svids.set(id, { id, cert, key })
  }
  const missing = paths.find((path) => !svids.has(`spiffe://${trustDomain}${path}`))
  if (missing !== undefined) throw new Error(`nothing for ${missing} yet`)
  return svids
}

function serverConfig(directory: string, port: number, trustDomain: string): string {
  return `server {
  bind_address = "127.0.0.1"
  bind_port = "${port}"
  socket_path = "${directory}/s.sock"
  trust_domain = "${trustDomain}"
  data_dir = "${directory}/data"
  log_level = "WARN"
}
plugins {
  DataStore "sql" {
    plugin_data {
      database_type = "sqlite3"
      connection_string = "${directory}/data/datastore.sqlite3"
    }
  }
  NodeAttestor "join_token" { plugin_data {} }
  KeyManager "memory" { plugin_data {} }
}
`
}

function agentConfig(directory: string, port: number, trustDomain: string): string {
  return `agent {
  server_address = "127.0.0.1"
  server_port = "${port}"
  socket_path = "${directory}/a.sock"
  trust_domain = "${trustDomain}"
  data_dir = "${directory}/data/agent"
  insecure_bootstrap = true
  log_level = "WARN"
}
plugins {
  NodeAttestor "join_token" { plugin_data {} }
  KeyManager "memory" { plugin_data {} }
  WorkloadAttestor "unix" { plugin_data {} }
}
`
}
