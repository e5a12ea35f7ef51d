/**
 * Who may come in: certificates by openssl, step-ca and SPIRE, shown by curl, by go-spiffe and by our own client, to a log that lets in
 * some of them; and our client before a server that go-spiffe guards.
 *
 * @module
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ClientTls, createFetcher } from '../../clients/log-client/index.ts'
import { toHex } from '../../merkle/index.ts'
import { parseSignedStatement } from '../../statement/index.ts'
import { type Authority, type Identity, type OpensslAuthority, opensslAuthority } from './authority.ts'
import { provlog } from './fixture.ts'
import { buildGo } from './go.ts'
import { type GuardedLog, startGuardedLog } from './guarded-log.ts'
import { execute, runChecks } from './program.ts'
import type { Report } from './report.ts'
import { missingSpire, SPIRE, type Spire, startSpire } from './spire.ts'
import { missingStepCa, STEP_CA, startStepCa } from './step-ca.ts'

const PATHS = ['/issuer', '/reader', '/nobody']

interface World {
  readonly directory: string
  readonly report: Report
  readonly log: GuardedLog
  /** Of the log itself. */
  readonly bank: OpensslAuthority
  /** Of another trust domain that the log knows. */
  readonly partner: OpensslAuthority
  readonly server: Identity
  readonly authorities: readonly Authority[]
}

export async function runAccess({ report, withSpire }: { report: Report; withSpire: boolean }): Promise<void> {
  for (const [command, asked] of [
    ['openssl', 'version'],
    ['curl', '--version'],
  ] as const) {
    const { failure } = await execute({ command, args: [asked] })
    if (failure !== undefined) return report.skip('access: who may come in, by certificate', `there is no ${command}`)
  }
  const directory = await mkdtemp(join(tmpdir(), 'provlog-access-'))
  const authorities: Authority[] = []
  let log: GuardedLog | undefined
  try {
    const bank = await opensslAuthority(join(directory, 'bank'), 'bank.example')
    const partner = await opensslAuthority(join(directory, 'partner'), 'partner.example')
    authorities.push(bank)
    const noStepCa = await missingStepCa(report)
    if (noStepCa === undefined) authorities.push(await startStepCa('step.example'))
    else report.skip(`access: certificates by ${STEP_CA}`, noStepCa)
    const noSpire = await missingSpire(report, withSpire)
    const spire = noSpire === undefined ? await startSpire('spire.example', PATHS) : undefined
    if (spire) authorities.push(spire)
    else report.skip(`access: X509-SVIDs by ${SPIRE}, and the exchange of its authority`, noSpire!)

    const server = await bank.issue('/log', { names: 'URI:spiffe://bank.example/log,DNS:localhost' })
    log = await startGuardedLog({
      directory,
      server,
      bundles: Object.fromEntries([...authorities, partner].map(({ trustDomain, bundle }) => [trustDomain, bundle])),
      rules: [
        { who: authorities.map((each) => `spiffe://${each.trustDomain}/issuer`), may: ['append:issuer', 'read'] },
        { who: authorities.map((each) => `spiffe://${each.trustDomain}/reader`), may: ['read'] },
      ],
      statements: 60,
    })
    const world: World = { directory, report, log, bank, partner, server, authorities }
    for (const authority of authorities) await withCurl(world, authority)
    await refusedByCurl(world)
    await withGo(world)
    for (const authority of authorities) {
      await withOurClient(world, authority)
      await withOurCommands(world, authority)
    }
    if (spire) await exchangeAuthority(world, spire)
    await readAudit(world)
  } finally {
    await log?.close()
    for (const authority of authorities) await authority.close()
    await rm(directory, { recursive: true, force: true })
  }
}

interface Answer {
  /** 0 when there was none. */
  readonly status: number
  readonly body: string
  readonly failure: string | undefined
}

const TLS_1_2 = ['--tlsv1.2', '--tls-max', '1.2']
const TLS_1_3 = ['--tlsv1.3']

async function curl({ log, bank }: World, who: Identity | undefined, path: string, more: readonly string[] = []) {
  const shown = who ? ['--cert', who.cert, '--key', who.key] : []
  const args = ['--silent', '--show-error', '--max-time', '20', '--cacert', bank.bundle, ...shown, ...more]
  const ended = await execute({ command: 'curl', args: [...args, '-w', '\n%{http_code}', `${log.url}${path}`] })
  const lines = ended.stdout.trimEnd().split('\n')
  return { status: Number(lines.at(-1)), body: lines.slice(0, -1).join('\n'), failure: ended.failure } satisfies Answer
}

const posted = (statement: string) => [
  ...['-H', 'content-type: application/cose', '-H', 'accept: application/problem+json, application/cose'],
  ...['--data-binary', `@${statement}`, '-o', '/dev/stderr'],
]

function expect({ status, body, failure }: Answer, wanted: number): void {
  if (status !== wanted) throw new Error(`${status}, and not ${wanted}: ${failure ?? body.slice(0, 500)}`)
}

async function withCurl(world: World, authority: Authority): Promise<void> {
  const { log, report } = world
  const [issuer, reader, nobody] = await Promise.all(PATHS.map((path) => authority.issue(path)))
  const by = `curl, certificates by ${authority.name}:`
  for (const [version, flags] of [
    ['1.2', TLS_1_2],
    ['1.3', TLS_1_3],
  ] as const) {
    await report.step(`${by} the issuer appends and reads over TLS ${version}`, async () => {
      expect(await curl(world, issuer, '/entries', [...flags, ...posted(log.spare())]), 201)
      expect(await curl(world, issuer, '/checkpoint', flags), 200)
    })
  }
  await report.step(`${by} a reader reads, and appends nothing`, async () => {
    expect(await curl(world, reader, '/checkpoint'), 200)
    expect(await curl(world, reader, '/entries', posted(log.spare())), 403)
  })
  await report.step(`${by} who is in no rule does neither, with a certificate that holds`, async () => {
    expect(await curl(world, nobody, '/checkpoint'), 403)
    expect(await curl(world, nobody, '/entries', posted(log.spare())), 403)
  })
}

async function refusedByCurl(world: World): Promise<void> {
  const { directory, bank, partner, report } = world
  const impostor = await opensslAuthority(join(directory, 'impostor'), 'bank.example')
  const reader = 'URI:spiffe://bank.example/reader'
  const two = `${reader},URI:spiffe://bank.example/issuer`
  const cases: [what: string, code: string, who: () => Promise<Identity | undefined>][] = [
    ['no certificate', 'access_denied', async () => undefined],
    ['a certificate by an authority that nobody knows', 'unknown_anchor', () => impostor.issue('/reader')],
    ['a certificate for bank.example by the authority of partner.example', 'unknown_anchor', () => forged(partner)],
    ['two identifiers', 'identifier_ambiguous', () => bank.issue('/reader', { names: two })],
    ['no identifier', 'identifier_missing', () => bank.issue('/reader', { names: 'DNS:reader.bank.example' })],
    [
      'a certificate for servers alone',
      'certificate_wrong_usage',
      () => bank.issue('/reader', { purposes: 'serverAuth' }),
    ],
  ]
  for (const [what, code, make] of cases) {
    await report.step(`curl is refused with ${what} (${code})`, async () => {
      const { status, body } = await curl(world, await make(), '/checkpoint')
      if (status < 400 || status > 403 || !body.includes(`"code":"${code}"`)) throw new Error(`${status} ${body}`)
    })
  }
}

/** What an authority that is believed for its own trust domain can make of another. */
function forged(partner: OpensslAuthority): Promise<Identity> {
  return partner.issue('/unused', { names: 'URI:spiffe://bank.example/reader' })
}

async function withGo(world: World): Promise<void> {
  const { directory, report, log, bank, partner, server, authorities } = world
  const bin = await buildGo(report, 'go-spiffe, as client and as server')
  if (bin === undefined) return
  const peers = await Promise.all(
    authorities.map(async (each) => ({ ...(await each.issue('/issuer')), name: each.name, statement: log.spare() })),
  )
  const stranger = { ...(await forged(partner)), id: 'spiffe://bank.example/reader', name: 'forged' }
  const gate = { server: await bank.issue('/gate'), bundle: bank.bundle, allowed: 'spiffe://bank.example/reader' }
  const door = { serverId: server.id, serverBundle: bank.bundle, peers, stranger, ...gate }
  const path = join(directory, 'spiffe.json')
  await writeFile(path, JSON.stringify({ url: log.url, door }))
  await runChecks(report, 'go', { command: join(bin, 'interop'), args: [path, 'spiffe'] })
  await withGoServer(world, join(bin, 'interop'), path, gate.server)
}

/** Our client before a server that lets in one workload, and is known by its identifier: it has no name in the DNS. */
async function withGoServer({ report, bank, partner }: World, command: string, path: string, gate: Identity) {
  const gone = new AbortController()
  let ended: Promise<unknown> = Promise.resolve()
  const url = new Promise<string>((resolve, reject) => {
    const run = { command, args: [path, 'spiffe-server'], signal: gone.signal }
    ended = execute(run, (line) => resolve((JSON.parse(line) as { url: string }).url)).then(({ failure }) =>
      reject(new Error(failure)),
    )
  })
  try {
    const at = await url
    const ask = async (who: Identity, expected: string) => {
      const fetcher = createFetcher({ url: at, tls: tlsOf(who, bank.bundle, expected) })
      try {
        const { body } = await fetcher.fetch({ path: '', maxBytes: 1000 })
        return Buffer.from(body).toString()
      } finally {
        fetcher.close()
      }
    }
    const reader = await bank.issue('/reader')
    await report.step('our client is let in by go-spiffe, and knows it by its identifier', async () => {
      const seen = await ask(reader, gate.id)
      if (seen !== reader.id) throw new Error(seen)
    })
    await report.step('our client does not take the server of go-spiffe for another workload', () =>
      rejects(ask(reader, 'spiffe://bank.example/log'), 'unexpected_peer'),
    )
    await report.step(
      'our client is refused by go-spiffe as another workload, and by forged certificates',
      async () => {
        await rejects(ask(await bank.issue('/issuer'), gate.id))
        await rejects(ask(await forged(partner), gate.id))
      },
    )
  } finally {
    gone.abort()
    await ended
  }
}

/** A certificate of ours, and whom we expect by the bundle of whose trust domain. */
function tlsOf({ cert, key }: Identity, bundle: string, identifier: string): ClientTls {
  return {
    certificate: async () => ({ cert: await readFile(cert, 'utf8'), key: await readFile(key, 'utf8') }),
    server: { identifier, bundle: () => readFile(bundle) },
  }
}

async function rejects(attempt: Promise<unknown>, code?: string): Promise<void> {
  const outcome = await attempt.then(
    (value) => `it was accepted: ${String(value)}`,
    (error: Error & { code?: string }) => {
      // Without a code it is the other side who refuses, and not we.
      const ours = error.code === 'untrusted_certificate' || error.code === 'unexpected_peer'
      return (code === undefined ? !ours : error.code === code) ? undefined : String(error)
    },
  )
  if (outcome !== undefined) throw new Error(outcome)
}

async function withOurClient(world: World, authority: Authority): Promise<void> {
  const { log, report, bank, server } = world
  const issuer = await authority.issue('/issuer')
  await report.step(`our client, a certificate by ${authority.name}: appends and reads`, async () => {
    const tls = { ca: await readFile(bank.bundle, 'utf8'), ...tlsOf(issuer, bank.bundle, server.id) }
    const fetcher = createFetcher({ url: log.url, tls })
    try {
      const body = new Uint8Array(await readFile(log.spare()))
      const request = { method: 'POST', path: 'entries', body, contentType: 'application/cose' } as const
      const { status } = await fetcher.fetch({ ...request, maxBytes: 2 ** 20 })
      if (status !== 201) throw new Error(`status ${status}`)
      await fetcher.fetch({ path: 'checkpoint', maxBytes: 2 ** 16 })
    } finally {
      fetcher.close()
    }
  })
}

/** As an operator would call them: each time the log is known by its name, by its identifier and by its key. */
async function withOurCommands({ log, report, bank, server }: World, authority: Authority): Promise<void> {
  const [issuer, reader] = await Promise.all([authority.issue('/issuer'), authority.issue('/reader')])
  const about = ['--log', log.url, '--vkey', log.vkey, '--ca', bank.bundle]
  const as = ({ cert, key }: Identity) => [
    ...[...about, '--client-cert', cert, '--client-key', key],
    ...['--server-id', server.id, '--server-bundle', bank.bundle],
  ]
  await report.step(`our commands, certificates by ${authority.name}: submit, and read the proof of it`, async () => {
    const statement = log.spare()
    await provlog('submit', statement, ...as(issuer))
    const entry = toHex(parseSignedStatement(await readFile(statement)).entry)
    await provlog('proof', entry, ...as(reader))
  })
  await report.step(`our commands, certificates by ${authority.name}: a reader submits nothing`, () =>
    rejects(provlog('submit', log.spare(), ...as(reader))),
  )
}

/** SPIRE's authority is exchanged while the log serves: workloads of before and after come in as long as the bundle has theirs. */
async function exchangeAuthority(world: World, spire: Spire): Promise<void> {
  const { log, report } = world
  const before = await spire.issue('/issuer')
  const appends = (who: Identity) => curl(world, who, '/entries', posted(log.spare()))
  await report.step('SPIRE prepares another authority: certificates of the one there is hold', async () => {
    await spire.prepare()
    await log.reload()
    expect(await appends(before), 201)
  })
  await report.step('SPIRE activates it: those of both authorities append', async () => {
    await spire.activate()
    await log.reload()
    expect(await appends(before), 201)
    expect(await appends(await spire.issue('/issuer')), 201)
  })
  await report.step(
    'SPIRE revokes the first: its certificates are refused from then on, the others append',
    async () => {
      await spire.revoke()
      await log.reload()
      const { status } = await appends(before)
      if (status < 400 || status > 403) throw new Error(`${status}`)
      expect(await appends(await spire.issue('/issuer')), 201)
    },
  )
  await report.step('a bundle of before the exchange is not taken back', async () => {
    const current = await readFile(spire.bundle, 'utf8')
    const { spiffe_sequence: sequence } = JSON.parse(current) as { spiffe_sequence: number }
    await writeFile(spire.bundle, JSON.stringify({ keys: [], spiffe_sequence: sequence - 1 }))
    await log.reload()
    expect(await appends(await spire.issue('/issuer')), 201)
    await writeFile(spire.bundle, current)
    await log.reload()
  })
}

/** Who came is written down, by the identifier that was proven, and nothing of what they showed. */
async function readAudit({ log, report, authorities }: World): Promise<void> {
  await report.step('each who came is in the audit log by its identifier, and no certificate or key is', async () => {
    const lines = await log.audit()
    const text = JSON.stringify(lines)
    for (const { trustDomain } of authorities) {
      if (!text.includes(`spiffe://${trustDomain}/issuer`)) throw new Error(`nothing of ${trustDomain}`)
    }
    if (/BEGIN|MII[A-Za-z0-9+/]{20}/.test(text)) throw new Error('a certificate or key')
  })
}
