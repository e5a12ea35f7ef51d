/**
 * Mutual TLS: what it takes from a log that is asked in clear text, and what our own judgement adds to a handshake.
 *
 *     POST /entries, keep-alive      by certificate, through the door, with its audit line    /  in clear text, open
 *     GET /checkpoint, keep-alive    likewise                                                  /  in clear text, and by TLS alone, open
 *     handshakes                     chain verified by us against its own trust domain         /  by OpenSSL against all anchors
 *
 * Both are counted by what they cost the server: its processor time, all threads of it. A client that speaks TLS is as dear as its
 * server, and would be what is measured. And each log has a process of its own, as where it serves: in one, both run code that was compiled
 * for connections of both kinds, and one collector takes what either leaves.
 *
 * @module
 */
import 'reflect-metadata'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import type { RequestListener } from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509'
import { Peers } from '../log-server/access/peer.ts'
import { TrustDomains } from '../log-server/access/trust-domains.ts'
import { createServer } from '../log-server/http/http-server.ts'
import { ServerTls } from '../log-server/http/tls.ts'
import { initLog } from '../log-server/init.ts'
import { type Load, LoadProcess, preparedBodies } from './load.ts'
import { type BenchOptions, type BenchResult, median } from './result.ts'
import { ServerProcess } from './server-process.ts'
import { createSignedLog } from './signed-log.ts'

const CONNECTIONS = 64
const READER = 'spiffe://bench.example/reader'

export async function benchMutualTls(options: BenchOptions): Promise<BenchResult[]> {
  const directory = await mkdtemp(join(tmpdir(), 'provlog-bench-'))
  const load = new LoadProcess()
  try {
    const world = await certificates(directory)
    return [
      await registrations(options, directory, world, load),
      ...(await keptAlive(options, directory, world, load)),
      await handshakes(options, world, load),
    ]
  } finally {
    load.close()
    await rm(directory, { recursive: true })
  }
}

/** What the door is for: sealed records, one to a request, each signature verified. */
async function registrations(
  { quick }: BenchOptions,
  directory: string,
  world: World,
  load: LoadProcess,
): Promise<BenchResult> {
  const [rounds, perRound] = quick ? [1, 200] : [7, 3000]
  const sides = await Promise.all(
    (['clear', 'certified'] as const).map(async (name) => {
      const dataDir = join(directory, name)
      const signed = await createSignedLog(dataDir, 'ES256')
      await signed.log.close()
      return { dataDir, signed, tls: name === 'certified' ? world.reader : undefined }
    }),
  )
  const [plain, mutual] = [
    await serve(sides[0]!.dataDir, {}),
    await serve(sides[1]!.dataDir, guarded(directory, world)),
  ]
  const file = join(directory, 'bodies')
  const run = async ({ signed, tls }: (typeof sides)[number], server: ServerProcess) => {
    const bodies: Uint8Array[] = []
    while (bodies.length < perRound) bodies.push((await signed.provenance()).bytes)
    await writeFile(file, preparedBodies(bodies))
    return rateOf(load, server, {
      port: Number(new URL(server.url).port),
      connections: CONNECTIONS,
      seconds: 60,
      paths: ['/entries'],
      bodyBytes: 0,
      bodies: { file, type: 'application/cose' },
      ...(tls && { tls }),
    })
  }
  try {
    return await interleaved('registrations by mutual TLS, audited / in clear text, per CPU s', '/s', rounds, {
      ours: () => run(sides[1]!, mutual),
      bound: () => run(sides[0]!, plain),
      must: 0.8,
    })
  } finally {
    await Promise.all([plain.close(), mutual.close()])
  }
}

async function keptAlive(
  { quick }: BenchOptions,
  directory: string,
  world: World,
  load: LoadProcess,
): Promise<BenchResult[]> {
  const { files, reader } = world
  const empty = async (name: string) => {
    const dataDir = join(directory, name)
    await initLog({
      dataDir,
      origin: `bench.example/${name}`,
      now: clock,
      random: (n) => new Uint8Array(randomBytes(n)),
    })
    return dataDir
  }
  const [plain, oneSided, mutual] = [
    await serve(await empty('plain'), {}),
    await serve(await empty('one-sided'), { tls: files }),
    await serve(await empty('mutual'), guarded(directory, world)),
  ]
  const [rounds, seconds] = quick ? [1, 0.2] : [9, 0.5]
  const run = (server: ServerProcess, tls?: Load['tls']) => {
    const port = Number(new URL(server.url).port)
    const asked = { port, connections: CONNECTIONS, seconds, paths: ['/checkpoint'], bodyBytes: 0 }
    return rateOf(load, server, { ...asked, ...(tls && { tls }) })
  }
  try {
    const ours = () => run(mutual, reader)
    return [
      await interleaved('GET by mutual TLS, kept alive, audited / in clear text, per CPU s', '/s', rounds, {
        ours,
        bound: () => run(plain),
        // Of so small an answer TLS alone, Node's own, takes about a fifth of what there is in clear text.
        goal: 0.8,
      }),
      await interleaved('GET by mutual TLS, kept alive, audited / by TLS alone, per CPU s', '/s', rounds, {
        ours,
        bound: () => run(oneSided, reader),
        must: 0.8,
      }),
    ]
  } finally {
    await Promise.all([plain, oneSided, mutual].map((server) => server.close()))
  }
}

async function handshakes(
  { quick }: BenchOptions,
  { bundle, files, anchor, reader }: World,
  load: LoadProcess,
): Promise<BenchResult> {
  const trust = await TrustDomains.load(new Map([['bench.example', { bundle }]]))
  const peers = new Peers({ trust, required: true, now: clock })
  const tls = await ServerTls.open(files, { requestCert: true })
  const answer: RequestListener = (_request, response) =>
    void response.writeHead(200, { 'content-length': 2 }).end('ok')
  const ours = createServer(
    (request, response) => {
      Promise.resolve(peers.of(request.socket)).then(
        () => answer(request, response as never),
        () => request.socket.destroy(),
      )
    },
    { tls: tls.settings },
  )
  const { cert, key } = tls.settings
  const theirs = https.createServer({ cert, key, ca: anchor, requestCert: true, rejectUnauthorized: true }, answer)
  const ports = await Promise.all(
    [ours, theirs].map(async (server) => {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      return (server.address() as AddressInfo).port
    }),
  )
  const [rounds, seconds] = quick ? [1, 0.2] : [9, 0.6]
  const run = (port: number) =>
    rateOf(load, HERE, {
      port,
      connections: 8,
      seconds,
      paths: ['/'],
      bodyBytes: 0,
      tls: reader,
      reconnect: true,
    })
  try {
    return await interleaved('handshakes, the client judged by us / by OpenSSL, per CPU s', '/s', rounds, {
      ours: () => run(ports[0]!),
      bound: () => run(ports[1]!),
      must: 0.77,
    })
  } finally {
    for (const server of [ours, theirs]) {
      server.closeAllConnections()
      server.close()
    }
  }
}

async function serve(dataDir: string, server: object): Promise<ServerProcess> {
  const config = join(dataDir, 'config.json')
  const text: object = JSON.parse(await readFile(config, 'utf8'))
  await writeFile(config, JSON.stringify({ ...text, server }))
  return ServerProcess.start(dataDir)
}

/** The `server` section of a log that asks everybody for a certificate. */
function guarded(directory: string, { bundle, files }: World): object {
  return {
    tls: files,
    access: {
      clientCertificate: 'required',
      trustDomains: { 'bench.example': { bundle } },
      rules: [{ who: [READER], may: ['read', 'append:issuer'] }],
      audit: { file: join(directory, 'audit.jsonl') },
    },
  }
}

type Served = Pick<ServerProcess, 'cpuMilliseconds'>

/** Of servers in this process. */
const HERE: Served = {
  cpuMilliseconds: async () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1000
  },
}

/** What a second is good for. */
interface Rate {
  /** Of processor time of the process that serves. */
  readonly processor: number
  /** By the clock, with a client that has to do the same work beside it. */
  readonly wall: number
}

async function rateOf(load: LoadProcess, server: Served, asked: Load): Promise<Rate> {
  let before: Promise<number> | undefined
  const { requests, requestsPerSecond, failures } = await load.run(asked, () => {
    before = server.cpuMilliseconds()
  })
  if (failures > 0) throw new Error(`${failures} requests failed`)
  return {
    processor: (requests * 1000) / ((await server.cpuMilliseconds()) - (await before!)),
    wall: requestsPerSecond,
  }
}

async function interleaved(
  name: string,
  unit: string,
  rounds: number,
  { ours, bound, ...held }: Pick<BenchResult, 'must' | 'goal'> & Record<'ours' | 'bound', () => Promise<Rate>>,
): Promise<BenchResult> {
  // Code and caches warm.
  await ours()
  await bound()
  const all: (readonly [ours: Rate, bound: Rate])[] = []
  for (let round = 0; round < rounds; round++) all.push([await ours(), await bound()])
  const of = (kind: keyof Rate) => ({
    ours: median(all.map(([mine]) => mine[kind])),
    bound: median(all.map(([, other]) => other[kind])),
    ratio: median(all.map(([mine, other]) => mine[kind] / other[kind])),
  })
  const wall = of('wall')
  const notes = `by the clock ${Math.round(wall.ours)}/s, ${Math.round(wall.bound)}/s: ${wall.ratio.toFixed(2)}`
  return { name, unit, ...of('processor'), notes, ...held }
}

interface World {
  /** Path of the anchor, in PEM. */
  readonly bundle: string
  readonly anchor: string
  /** Of the server: a chain of two, and the key. */
  readonly files: { readonly cert: string; readonly key: string }
  /** Likewise of the client, in PEM. */
  readonly reader: { readonly cert: string; readonly key: string }
}

/** anchor → intermediate → server, client: P-256, as SPIRE makes them. */
async function certificates(directory: string): Promise<World> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const issue = async (name: string, extensions: Extension[], issuer?: { name: string; keys: CryptoKeyPair }) => {
    const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
    const certificate = await X509CertificateGenerator.create({
      subject: `CN=${name}`,
      issuer: `CN=${issuer?.name ?? name}`,
      notBefore: new Date(Date.now() - 60_000),
      notAfter: new Date(Date.now() + 3_600_000),
      publicKey: keys.publicKey,
      signingKey: (issuer?.keys ?? keys).privateKey,
      signingAlgorithm: algorithm,
      extensions,
    })
    const key = PemConverter.encode(await crypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY')
    return { name, keys, key, cert: `${certificate.toString('pem')}\n` }
  }
  const authority = [
    new BasicConstraintsExtension(true, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
  ]
  const workload = (uri: string) => [
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    new ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']),
    new SubjectAlternativeNameExtension([{ type: 'url', value: uri }]),
  ]
  const anchor = await issue('anchor', authority)
  const between = await issue('intermediate', authority, anchor)
  const log = await issue('log', workload('spiffe://bench.example/log'), between)
  const reader = await issue('reader', workload(READER), between)
  const write = async (name: string, text: string) => {
    const path = join(directory, name)
    await writeFile(path, text)
    return path
  }
  return {
    bundle: await write('bundle.pem', anchor.cert),
    anchor: anchor.cert,
    files: { cert: await write('log.pem', log.cert + between.cert), key: await write('log-key.pem', log.key) },
    reader: { cert: reader.cert + between.cert, key: reader.key },
  }
}

function clock(): number {
  return Math.floor(Date.now() / 1000)
}
