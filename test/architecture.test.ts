/**
 * Who may import whom. The picture in ARCHITECTURE.md, as a check.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { describe, it } from 'node:test'

const PURE = ['merkle', 'statement', 'provenance']

/** For each folder of sources, the folders it may import from besides itself. Arrows only go down. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  merkle: [],
  statement: ['merkle'],
  provenance: ['merkle', 'statement'],
  'log-server': [...PURE],
  'clients/log-client': [...PURE],
  'clients/verifier': [...PURE, 'clients/log-client'],
  // What both ends of a delivery agree on: the issuer's and the workload's.
  'clients/delivery': [...PURE],
  'clients/issuer': [...PURE, 'clients/log-client', 'clients/delivery'],
  'clients/workload': [...PURE, 'clients/delivery'],
  'clients/relying-party': [...PURE, 'clients/log-client'],
  'clients/auditor': [...PURE, 'clients/log-client'],
  // It has an auditor, which the command hands it: what replays is a function.
  'clients/monitor': [...PURE, 'clients/log-client'],
  // The command is where the roles meet, and the one client that starts a server.
  'clients/cli': [
    ...PURE,
    'log-server',
    'clients/log-client',
    'clients/delivery',
    'clients/verifier',
    'clients/issuer',
    'clients/workload',
    'clients/relying-party',
    'clients/auditor',
    'clients/monitor',
  ],
}

/** Within the log server, from the ground up, for each floor those that it may lean on. Above them are `http`, `access`, `metrics` and `routes`. */
const FLOORS: Readonly<Record<string, readonly string[]>> = {
  storage: [],
  sequencing: ['storage'],
  admission: ['storage', 'sequencing'],
  // What others than its own trust domain may read is in it.
  reading: ['storage', 'sequencing', 'access'],
  recovery: ['storage', 'sequencing', 'admission', 'reading'],
}
/** What puts the floors together; of these, what mends a log opens it. */
const WHOLE = ['app', 'init', 'log', 'main', 'control', 'config']

/** Libraries with a trap have one importer in each folder, which hides the trap. */
const ONE_IMPORTER: Readonly<Record<string, readonly string[]>> = {
  // Nobody: it judges our own reader of CBOR in the tests.
  'cbor-x': [],
  tweetnacl: ['merkle/ed25519.ts'],
  'sodium-native': ['merkle/libsodium.node.ts'],
  level: ['log-server/storage/level/open.ts'],
  jose: ['statement/jwe.ts', 'provenance/jws.ts'],
  '@peculiar/x509': ['clients/issuer/x509.ts'],
  '@sigstore/bundle': ['clients/issuer/sigstore-library.ts'],
  '@sigstore/protobuf-specs': ['clients/issuer/sigstore-library.ts'],
  '@sigstore/verify': ['clients/issuer/sigstore-library.ts'],
  '@duckdb/node-api': ['clients/auditor/database/duckdb.ts'],
  '@duckdb/node-bindings': ['clients/auditor/database/table-writer.ts'],
  koffi: ['clients/issuer/service/peer.ts'],
  '@cedar-policy/cedar-wasm': ['provenance/issuance/cedar.ts', 'provenance/issuance/cedar.node.ts'],
}

interface Import {
  readonly file: string
  readonly target: string
}

const sources = Object.keys(ALLOWED).flatMap((folder) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => join(folder, file)),
)

const imports: readonly Import[] = sources.flatMap((file) => {
  const text = readFileSync(file, 'utf8')
  const found = text.matchAll(
    /^(?:import|export)\b[^'"\n;]*?(?:\n[^'"\n]*?)*?from '([^']+)'|^import '([^']+)'|\bimport\('([^']+)'\)|\bcreateRequire\([^)]*\)\('([^']+)'\)/gm,
  )
  return [...found].map((match) => {
    const target = match[1] ?? match[2] ?? match[3] ?? match[4] ?? ''
    return { file, target: target.startsWith('.') ? join(dirname(file), target) : target }
  })
})

const folderOf = (path: string): string | undefined =>
  Object.keys(ALLOWED)
    .filter((folder) => path.startsWith(`${folder}/`))
    .sort((a, b) => b.length - a.length)[0]

describe('the import directions', () => {
  it('finds the imports it is to judge', () => {
    assert.ok(sources.length > 50, `${sources.length} files`)
    assert.ok(imports.some(({ target }) => target === 'merkle/bytes.ts'))
  })

  it('only go down', () => {
    const wrong = imports.filter(({ file, target }) => {
      const from = folderOf(file)
      if (from === undefined || !/\.ts$/.test(target)) return false
      const to = folderOf(target)
      return to !== from && (to === undefined || !ALLOWED[from]?.includes(to))
    })
    assert.deepEqual(wrong, [])
  })

  it('only go down from floor to floor of the log server', () => {
    const floorOf = (path: string) => /^log-server\/([a-z]+)\//.exec(path)?.[1]
    const wrong = imports.filter(({ file, target }) => {
      const [from, to] = [floorOf(file), floorOf(target)]
      const below = from === undefined ? undefined : FLOORS[from]
      if (from === to || !below || !target.startsWith('log-server/')) return false
      if (to !== undefined) return !below.includes(to)
      return WHOLE.includes(basename(target, '.ts')) && !(from === 'recovery' && target === 'log-server/log.ts')
    })
    assert.deepEqual(wrong, [])
  })

  it('keep Node out of the pure folders, but for the native halves of import conditions', () => {
    const builtin = new Set([...builtinModules, ...builtinModules.map((name) => `node:${name}`)])
    const wrong = imports.filter(
      ({ file, target }) =>
        PURE.some((folder) => file.startsWith(`${folder}/`)) && !file.endsWith('.node.ts') && builtin.has(target),
    )
    assert.deepEqual(wrong, [])
  })

  it('keep clocks and randomness out of the pure folders', () => {
    const wrong = sources
      .filter((file) => PURE.some((folder) => file.startsWith(`${folder}/`)))
      .filter((file) =>
        /Date\.now|new Date\(\)|Math\.random|getRandomValues|performance\.now/.test(readFileSync(file, 'utf8')),
      )
    assert.deepEqual(wrong, [])
  })

  it('pass each trapped library through its one file', () => {
    const wrong = imports.filter(({ file, target }) => {
      const library = Object.keys(ONE_IMPORTER).find((name) => target === name || target.startsWith(`${name}/`))
      return library !== undefined && !ONE_IMPORTER[library]?.includes(file)
    })
    assert.deepEqual(wrong, [])
  })
})
