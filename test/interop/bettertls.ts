/**
 * BetterTLS of Netflix: some 9,500 certificates for a server and what is above them, made anew by its program, each with the verdict that a client should
 * come to. Its names are hosts and addresses, of which constraints allow some and exclude some in every combination; its chains
 * have several ways up, of which some are expired, constrained, or of no authority.
 *
 * Where more than three certificates come between, we refuse all of them, as {@link TOO_LONG} says. Of nothing else have we another opinion.
 *
 * @module
 */
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fromBase64 } from '../../merkle/bytes.ts'
import { findCertificatePath, MAX_INTERMEDIATES } from '../../provenance/certificates/certificate-path.ts'
import { ProvenanceError } from '../../provenance/error.ts'
import { type Certificate, checkServerName, parseCertificate } from '../../provenance/index.ts'
import { missingGo } from './go.ts'
import { CACHE, execute, type Part } from './program.ts'

const MODULE = 'github.com/Netflix/bettertls'
const VERSION = 'v0.0.0-20250909192348-e1e99e353074'
const FOLDER = resolve(CACHE, `bettertls-${VERSION}`)
const PROGRAM = `${MODULE}/test-suites/cmd/bettertls`
const TOO_LONG = 'certificate_path_too_long'

/** Two suites of them, one of 81 chains. */
const LEAST_CASES = 9500
const SERVER = '1.3.6.1.5.5.7.3.1'

export async function runBetterTls({ report }: Pick<Part, 'report'>): Promise<void> {
  const why = await missingGo()
  if (why !== undefined) return report.skip('BetterTLS of Netflix', why)
  const cases = await report.step('bettertls: builds from its module, and makes its certificates', makeCases)
  if (cases === undefined) return
  await report.step(
    'bettertls: each certificate is taken or refused as it should be, but for chains that are too long',
    () => judgeAll(cases),
  )
}

interface Case {
  readonly suite: string
  readonly id: number
  /** Base64 of DER, the leaf first. */
  readonly certificates: readonly string[]
  readonly hostname: string
  readonly expected: 'ACCEPT' | 'REJECT'
}

interface Cases {
  readonly trustRoot: string
  readonly suites: Readonly<Record<string, { readonly testCases: readonly Case[] }>>
}

async function judgeAll({ trustRoot, suites }: Cases): Promise<void> {
  const root = parseCertificate(fromBase64(trustRoot))
  const cases = Object.values(suites).flatMap(({ testCases }) => testCases)
  const differences: string[] = []
  for (const { suite, id, certificates, hostname, expected } of cases) {
    // One suite sends the root along.
    const chain = certificates.filter((each) => each !== trustRoot)
    const wanted = chain.length - 1 > MAX_INTERMEDIATES ? TOO_LONG : expected
    const code = await refusal(chain, hostname, root)
    const found = code === undefined ? 'ACCEPT' : code === wanted ? code : 'REJECT'
    if (found !== wanted) differences.push(`${suite} ${id}: ${code ?? 'accepted'}, and not ${wanted}`)
  }
  if (cases.length < LEAST_CASES) differences.push(`only ${cases.length} of them`)
  if (differences.length > 0) throw new Error(differences.slice(0, 40).join('\n'))
}

/** The code that a client refuses the server with. */
async function refusal(chain: readonly string[], hostname: string, root: Certificate): Promise<string | undefined> {
  try {
    const [leaf, ...between] = chain.map((each) => parseCertificate(fromBase64(each)))
    const at = [Math.floor(Date.now() / 1000)]
    await findCertificatePath(leaf!, between, { anchors: [root], at, requireKeyUsage: false, checkPurposes })
    checkServerName(leaf!, hostname)
    return undefined
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.name === 'EvidenceError') return String(error.code)
    throw error
  }
}

function checkPurposes({ purposes }: Certificate): void {
  if (!purposes || purposes.includes(SERVER)) return
  throw new ProvenanceError('certificate_wrong_usage', 'not for servers')
}

/** New ones each time: they are valid for a year. */
async function makeCases(): Promise<Cases> {
  const directory = await mkdtemp(join(tmpdir(), 'bettertls-'))
  try {
    const file = join(directory, 'cases.json')
    await build()
    const { failure } = await execute({
      command: join(FOLDER, 'bin', 'bettertls'),
      args: ['export-tests', '--out', file],
    })
    if (failure !== undefined) throw new Error(failure)
    return JSON.parse(await readFile(file, 'utf8')) as Cases
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function build(): Promise<void> {
  if (existsSync(FOLDER)) return
  const making = `${FOLDER}-making`
  await rm(making, { recursive: true, force: true })
  await mkdir(join(making, 'bin'), { recursive: true })
  await writeFile(join(making, 'go.mod'), 'module provlog.example/bettertls\n\ngo 1.25.0\n')
  const env = { GOTOOLCHAIN: 'local', GOFLAGS: '-mod=mod', CGO_ENABLED: '0' }
  for (const args of [
    ['get', '-tool', `${PROGRAM}@${VERSION}`],
    ['build', '-trimpath', '-o', 'bin/', PROGRAM],
  ]) {
    const { failure } = await execute({ command: 'go', args, cwd: making, env, timeout: 300 })
    if (failure !== undefined) throw new Error(failure)
  }
  await rename(making, FOLDER)
}
