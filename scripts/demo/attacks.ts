/**
 * Four attacks, each by somebody with more power than the one before, each refused for its own reason.
 *
 * @module
 */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { LogClient, MisbehaviourError, memoryInProcess } from '../../clients/log-client/index.ts'
import { verifyOffline } from '../../clients/relying-party/index.ts'
import { signCheckpoint, utf8 } from '../../merkle/index.ts'
import { decodeBundle, encodeBundle, encodeRecord, recordOfStatement } from '../../provenance/index.ts'
import { attachReceipts, encodeCoseSign1, parseTransparentStatement } from '../../statement/index.ts'
import type { Told } from './story.ts'
import type { Teller } from './teller.ts'
import type { World } from './world.ts'

export async function attacks(world: World, told: Told, tell: Teller): Promise<void> {
  const { issued, certificate, trust } = told
  const judge = (credential: string, bundle: Uint8Array) =>
    verifyOffline({ credential: utf8(credential), bundle, trust, at: world.now() })

  const refused = async (id: string, title: string, credential: string, bundle: Uint8Array) => {
    const report = await judge(credential, bundle)
    const failed = report.checks.find(({ outcome }) => outcome === 'failed')
    if (report.ok || failed === undefined) throw new Error(`not refused: ${title}`)
    tell.refused(id, title, failed.code ?? failed.id, failed.detail)
  }

  await refused(
    'changed-credential',
    'a thief changes one character of the token',
    changeOneCharacter(issued.text),
    issued.bundle,
  )
  await refused(
    'other-bundle',
    'the token is shown with the true bundle of another credential',
    issued.text,
    certificate.bundle,
  )
  await forkedCheckpoint(world, tell)
  await refused(
    'swapped-section',
    'a record’s sealed section is replaced by that of another record',
    issued.text,
    swapSealedSection(issued.bundle, certificate.bundle),
  )
}

/** Another signature, still base64url of the right length. */
function changeOneCharacter(token: string): string {
  const at = token.length - 10
  return `${token.slice(0, at)}${token[at] === 'A' ? 'B' : 'A'}${token.slice(at + 1)}`
}

/** The bundle of a token whose record carries, in place of its own sealed sections, those of another record. */
function swapSealedSection(bundleBytes: Uint8Array, otherBytes: Uint8Array): Uint8Array {
  const bundle = decodeBundle(bundleBytes)
  const [first, ...others] = bundle.statements
  const [otherFirst] = decodeBundle(otherBytes).statements
  if (first === undefined || otherFirst === undefined) throw new Error('a bundle without statements')

  const { statement, receipts } = parseTransparentStatement(first)
  const { sealed } = recordOfStatement(parseTransparentStatement(otherFirst).statement)
  const record = { ...recordOfStatement(statement), ...(sealed === undefined ? {} : { sealed }) }
  const forged = encodeCoseSign1({ ...statement.sign1, unprotected: new Map(), payload: encodeRecord(record) })
  const swapped = attachReceipts(forged, receipts)
  return encodeBundle({ ...bundle, statements: [swapped, ...others] })
}

/** The operator itself signs a second history with the log's own key, and shows it to a client that saw the first. */
async function forkedCheckpoint(world: World, tell: Teller): Promise<void> {
  const remembered = memoryInProcess()
  const { origin, vkey } = world.server
  const honest = await world.client.checkpoint()
  await remembered.save(honest.note)
  const otherRoot = honest.root.map((byte) => byte ^ 0xff)
  const forged = signCheckpoint({ origin, size: honest.size, root: otherRoot }, [await world.logSigner()])

  const liar = await serveText(forged)
  const client = new LogClient({ url: liar.url, pinned: { origin, vkey }, clock: world.now, remembered })
  try {
    await client.checkpoint()
    throw new Error('not refused: a forked checkpoint')
  } catch (error) {
    if (!(error instanceof MisbehaviourError)) throw error
    const title = 'the operator signs a second history of the same size'
    tell.refused('forked-checkpoint', title, error.code, `${error.message} (both notes are kept as evidence)`)
  } finally {
    client.close()
    liar.server.close()
  }
}

async function serveText(text: string): Promise<{ server: Server; url: string }> {
  const server = createServer((_request, response) =>
    response.setHeader('content-type', 'text/plain; charset=utf-8').end(text),
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}
