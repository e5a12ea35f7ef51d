/**
 * What the programs of others are given: where the log is, whom to believe, and files to judge, all named in one JSON file.
 *
 * @module
 */
import { createPrivateKey, createPublicKey } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { processIo } from '../../clients/cli/io.ts'
import { generateKey } from '../../clients/cli/key-files.ts'
import { main } from '../../clients/cli/main.ts'
import { publishLogPolicy } from '../../clients/log-client/index.ts'
import { createNoteSigner, signCheckpoint, toHex } from '../../merkle/index.ts'
import { decodePublicKey, encodePublicKey } from '../../provenance/index.ts'
import { kidOf, type PublicJwk, publicJwkOf } from '../../statement/index.ts'
import { certify, createAuthority } from '../provenance/signers.ts'
import { type InteropLog, now, random } from './log.ts'

/** Sizes at which a checkpoint is kept: around the edges of tiles, and partial tiles of several widths on two levels. */
const SIZES = [3, 6, 255, 256, 258, 300, 511, 512, 777, 1024, 2000, 2817]
/** After which of them each signer registers a statement that is looked at closely. */
const SAMPLED_AT = [3, 6, 256, 258, 300, 777, 2000, 2817]
/** For each program that writes, how many statements that it may register. */
const SPARES = { go: 12, http: 6, pyscitt: 6 }

/** Writes a file of the fixture, and returns its path. */
type Write = (name: string, content: string | Uint8Array) => Promise<string>

export interface FixtureFiles {
  /** The JSON file. */
  readonly path: string
  readonly directory: string
  /** Of a key of the log's name that is not the log's. */
  readonly strangerVkey: string
}

export async function fixtureOf(log: InteropLog): Promise<FixtureFiles> {
  const directory = join(log.directory, 'fixture')
  await mkdir(directory)
  const write: Write = async (name, content) => {
    const path = join(directory, name)
    await writeFile(path, content)
    return path
  }

  const checkpoints: { size: number; note: string }[] = []
  const sampled: { index: number; entry: string; algorithm: string; publicKey: string }[] = []
  for (const size of SIZES) {
    await log.grow(size)
    checkpoints.push({ size, note: await write(`checkpoint-${size}`, (await log.get('checkpoint')).body) })
    if (!SAMPLED_AT.includes(size)) continue
    for (const writer of log.writers) {
      const { algorithm, author } = writer
      const { entry, index } = await log.client.register((await log.build(writer)).bytes)
      const publicKey = await write(`${algorithm}.pem`, pemOf(author.key.publicJwk))
      sampled.push({ index, entry: toHex(entry), algorithm, publicKey })
    }
  }
  // The last one that the files speak of holds all samples.
  const newest = await log.client.checkpoint()
  const { size } = newest
  checkpoints.push({ size, note: await write(`checkpoint-${size}`, newest.note) })

  const entries = await Promise.all(
    sampled.map(async (sample) => {
      const { index, entry } = sample
      const { statement } = await log.client.statement(Uint8Array.from(Buffer.from(entry, 'hex')))
      const transparent = await log.get(`entries/${entry}/statement`, 'application/cose')
      const receipt = await log.get(`entries/${entry}`, 'application/cose')
      return {
        ...sample,
        statement: await write(`${index}.statement.cose`, statement.bytes),
        transparent: await write(`${index}.transparent.cose`, transparent.body),
        receipt: await write(`${index}.receipt.cose`, receipt.body),
      }
    }),
  )

  const proofs = []
  for (const { entry } of entries.slice(0, 4)) proofs.push({ entry, path: await writeProof(log, directory, entry) })

  const spares: Record<string, string[]> = {}
  for (const [program, count] of Object.entries(SPARES)) {
    spares[program] = []
    for (let i = 0; i < count; i++) {
      const statement = await log.build(log.writers[i % log.writers.length]!)
      spares[program].push(await write(`spare-${program}-${i}.cose`, statement.bytes))
    }
  }

  const { fields } = await log.client.policy()
  const fixture = {
    url: log.url,
    ca: log.ca,
    origin: log.origin,
    vkey: log.vkey,
    strangerVkey: createNoteSigner(log.origin, random(32)).vkey,
    receiptKey: await write('receipt-key.pem', pemOf(decodePublicKey(fields.receiptKeys[0]!))),
    strangerKey: await write('stranger-key.pem', pemOf(publicJwkOf(generateKey('ES256')))),
    checkpoints,
    forged: await write('forged', forgery(log, size)),
    entries,
    proofs,
    consistency: await writeConsistency(log, size, write),
    spares,
    signers: await admitOthers(log, write),
  }
  return { directory, path: await write('fixture.json', JSON.stringify(fixture)), strangerVkey: fixture.strangerVkey }
}

/** What the log says of its own growth, from each size until now (RFC 9942 §5.3). */
async function writeConsistency(log: InteropLog, to: number, write: Write) {
  const receipts = []
  for (const from of SIZES) {
    const { body } = await log.get(`v1/receipts/consistency/${from}`, 'application/cose')
    receipts.push({ from, to, receipt: await write(`consistency-${from}.cose`, body) })
  }
  return receipts
}

/** Who may register statements that are no records: whoever has a certificate of an authority of ours, and the holder of one key. */
async function admitOthers(log: InteropLog, write: Write) {
  const [notBefore, notAfter] = [now() - 3600, now() + 86_400]
  const ca = await createAuthority('interop authority', { notBefore, notAfter })
  const certified = []
  for (const kind of ['ES256', 'Ed25519'] as const) {
    const holder = await certify(`interop ${kind}`, { kind, issuer: ca, notBefore, notAfter })
    const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', holder.keys.privateKey))
    certified.push({
      algorithm: kind,
      key: await write(`signer-${kind}.key.pem`, pem('PRIVATE KEY', pkcs8)),
      chain: [
        await write(`signer-${kind}.pem`, pem('CERTIFICATE', holder.der)),
        await write('signer-ca.pem', pem('CERTIFICATE', ca.der)),
      ],
    })
  }
  const jwk = generateKey('ES256')
  const own = createPrivateKey({ key: { ...jwk }, format: 'jwk' }).export({ type: 'pkcs8', format: 'pem' })
  const foreign = { anchors: [ca.der], keys: [encodePublicKey(publicJwkOf(jwk))] }
  await publishLogPolicy(log.client, log.admin, (fields) => ({ ...fields, foreign }))
  return { certified, byKid: { kid: kidOf(jwk), key: await write('signer-kid.key.pem', String(own)) } }
}

function pem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n')
}

async function writeProof(log: InteropLog, directory: string, entry: string): Promise<string> {
  const path = join(directory, `${entry.slice(0, 8)}.tlog-proof`)
  await provlog('proof', '--log', log.url, '--ca', log.ca, '--vkey', log.vkey, entry, '--out', path)
  return path
}

/** The command, as a user would call it. */
export async function provlog(...words: string[]): Promise<void> {
  const said: string[] = []
  const io = { ...processIo(), out: () => {}, err: (line: string) => void said.push(line) }
  const exit = await main(words, io)
  if (exit !== 0) throw new Error(`provlog ${words[0]} exited with ${exit}: ${said.join('\n')}`)
}

/** A checkpoint of an older size and another root, under the log's own signature: what a log that forks would hand out. */
function forgery(log: InteropLog, newest: number): string {
  return signCheckpoint({ origin: log.origin, size: newest - 1, root: random(32) }, [log.signer])
}

export function pemOf(jwk: PublicJwk): string {
  return String(createPublicKey({ key: { ...jwk }, format: 'jwk' }).export({ type: 'spki', format: 'pem' }))
}
